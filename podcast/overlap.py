"""How much two events overlap in time, and which events of two lists are the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

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
    if not ones or not others:
        return []
    overlaps = np.array([[overlap(one, other) for other in others] for one in ones])
    possible = (overlaps >= threshold) & (overlaps > 0)
    weights = np.where(possible, 1 + overlaps / (min(len(ones), len(others)) + 1), 0.0)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if possible[row, column]]
