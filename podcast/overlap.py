"""Stretches of time: how much two overlap, which of two lists are the same, and which of one list touch.

A stretch is anything with a start and an end in seconds: a `SoundEvent`, or a row of a table as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

TOUCH_S = 0.0015
"""Windows whose borders lie this close touch; borders are rounded to the millisecond."""

Window = tuple[float, float, float]
"""Start and end in seconds, and a confidence."""


class Stretch(Protocol):
    """What has a start and an end, in seconds from the recording's first sample."""

    @property
    def start_s(self) -> float:
        """Start."""

    @property
    def end_s(self) -> float:
        """End."""


def overlap(one: Stretch, other: Stretch) -> float:
    """Intersection over union of two stretches in time, 0 to 1."""
    shared_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    if shared_s <= 0:
        return 0.0
    return shared_s / (max(one.end_s, other.end_s) - min(one.start_s, other.start_s))


def touches(one: Stretch, others: Iterable[Stretch]) -> bool:
    """Whether a stretch shares time with any of the others."""
    return any(one.start_s < other.end_s and other.start_s < one.end_s for other in others)


def match(ones: Sequence[Stretch], others: Sequence[Stretch], threshold: float) -> list[tuple[int, int]]:
    """Pairs (index in `ones`, index in `others`) of stretches that overlap by at least `threshold`, each in one pair.

    As many pairs as possible, and among those the pairs that overlap most.
    """
    return best_pairs(ones, others, lambda _, __, shared: float(shared >= threshold))


def best_pairs(
    ones: Sequence[Stretch], others: Sequence[Stretch], worth: Callable[[Stretch, Stretch, float], float]
) -> list[tuple[int, int]]:
    """Pairs (index in `ones`, index in `others`), each stretch in one pair at most, that are worth most in sum.

    Of equal sums the one whose pairs overlap most counts (an assignment problem, solved exactly).

    `worth` of two stretches and their overlap is a whole number; those worth 0, or apart, are never paired.
    """
    worths = {
        (row, column): value + shared / (min(len(ones), len(others)) + 1)
        for row, one in enumerate(ones)
        for column, other in enumerate(others)
        if (shared := overlap(one, other)) > 0 and (value := worth(one, other, shared))
    }
    if len(worths) == len({row for row, _ in worths}) == len({column for _, column in worths}):
        return list(worths)  # nothing to choose
    from scipy.optimize import linear_sum_assignment  # slow to import, and rarely needed: calls seldom overlap each other

    weights = np.zeros((len(ones), len(others)))
    for pair, value in worths.items():
        weights[pair] = value
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return [pair for pair in zip(rows.tolist(), columns.tolist(), strict=True) if pair in worths]


def joined(windows: Iterable[Window]) -> Iterator[Window]:
    """Windows in order of their starts; those that touch or overlap as one, with their highest confidence."""
    box: Window | None = None
    for window in windows:
        if box and window[0] <= box[1] + TOUCH_S:
            box = (box[0], max(box[1], window[1]), max(box[2], window[2]))
            continue
        if box:
            yield box
        box = window
    if box:
        yield box
