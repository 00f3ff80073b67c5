"""How much two events overlap in time, and which events of two lists are the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from podcast.model import SoundEvent


def overlap(one: SoundEvent, other: SoundEvent) -> float:
    """Intersection over union of two events in time, 0 to 1 (frequencies do not count)."""
    shared_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    if shared_s <= 0:
        return 0.0
    return shared_s / (max(one.end_s, other.end_s) - min(one.start_s, other.start_s))


def match(ones: Sequence[SoundEvent], others: Sequence[SoundEvent], threshold: float) -> list[tuple[int, int]]:
    """Pairs (index in `ones`, index in `others`) of events that overlap by at least `threshold`, each event in one pair.

    As many pairs as possible, and among those the pairs that overlap most (an assignment problem, solved exactly).
    """
    overlaps = {
        (row, column): shared
        for row, one in enumerate(ones)
        for column, other in enumerate(others)
        if (shared := overlap(one, other)) >= threshold and shared > 0
    }
    if len(overlaps) == len({row for row, _ in overlaps}) == len({column for _, column in overlaps}):
        return list(overlaps)  # nothing to choose
    from scipy.optimize import linear_sum_assignment  # slow to import, and rarely needed: calls seldom overlap each other

    weights = np.zeros((len(ones), len(others)))
    for pair, shared in overlaps.items():
        weights[pair] = 1 + shared / (min(len(ones), len(others)) + 1)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return [pair for pair in zip(rows.tolist(), columns.tolist(), strict=True) if pair in overlaps]
