"""Is a confidence a probability? Boxes by their confidence, against the share of them that lie on a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.scoring import bootstrap_interval

BINS = 10
Scored = Sequence[tuple[float, int]]
"""The confidence of each box of a recording, and 1 if it lies on a call, else 0."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Boxes whose confidence lies from `low` to `high`: how many, their mean confidence, and how many of them lie on a call.

    `interval` holds the share that do with a probability of 95 % (bootstrap over recordings).
    """

    low: float
    high: float
    boxes: int
    confidence: float
    on_calls: int
    interval: tuple[float, float] | None

    @property
    def share(self) -> float:
        """The share of boxes that lie on a call."""
        return self.on_calls / self.boxes


@dataclass(frozen=True, slots=True)
class Calibration:
    """A reliability table without its empty bins, and the expected calibration error: the mean distance of confidence and share,
    weighted by boxes; with its 95 % interval.

    `by_chance` is the error that these boxes would show if every confidence were right, and what it stays below in 95 % of cases:
    few boxes miss their mean by chance, and the error has no sign to cancel it (docs/adr/0124).
    """

    bins: tuple[Bin, ...]
    error: float | None
    interval: tuple[float, float] | None
    by_chance: tuple[float, float] | None = None


def calibration(recordings: Sequence[Scored], least: float = 0.0, *, draws: int = 300) -> Calibration:
    """The calibration of boxes with a confidence of at least `least`, recording by recording."""
    shown = [(chance, lie, number) for number, boxes in enumerate(recordings) for chance, lie in boxes if chance >= least]
    chances, lies = (np.array([row[column] for row in shown], float) for column in (0, 1))
    origin = np.array([number for _, _, number in shown], int)
    place = np.minimum((chances * BINS).astype(int), BINS - 1)
    # Of each recording and bin: boxes, their confidences in sum, and how many lie on a call.
    sums = np.zeros((3, len(recordings), BINS))
    for layer, values in zip(sums, (np.ones(len(chances)), chances, lies), strict=True):
        np.add.at(layer, (origin, place), values)

    def error(members: Sequence[int]) -> float | None:
        boxes, confidence, hits = sums[:, members].sum(axis=1)
        return float(np.abs(confidence - hits).sum() / boxes.sum()) if boxes.sum() else None

    everything = range(len(recordings))
    bins = []
    for number in np.flatnonzero(sums[0].sum(axis=0)):

        def share(members: Sequence[int], number: int = number) -> float | None:
            boxes, _, hits = sums[:, members, number].sum(axis=1)
            return float(hits / boxes) if boxes else None

        boxes, confidence, hits = sums[:, :, number].sum(axis=1)
        interval = bootstrap_interval(share, len(recordings), rounds=draws)
        bins.append(Bin(number / BINS, (number + 1) / BINS, int(boxes), float(confidence / boxes), int(hits), interval))
    interval = bootstrap_interval(error, len(recordings), rounds=draws)
    return Calibration(tuple(bins), error(everything), interval, _by_chance(chances, place, draws))


def _by_chance(chances: npt.NDArray[np.float64], place: npt.NDArray[np.int64], draws: int) -> tuple[float, float] | None:
    """Each box lies on a call with the probability that it says, independently of the others."""
    if not len(chances) or not draws:
        return None
    rng = np.random.default_rng(0)
    found = [
        float(np.abs(np.bincount(place, chances - (rng.random(len(chances)) < chances))).sum() / len(chances))
        for _ in range(draws)
    ]
    return float(np.mean(found)), float(np.quantile(found, 0.95))
