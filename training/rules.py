"""The recipe *rules and scores*: from frames of reviewed recordings to box rules and a calibrated score, in seconds.

All is chosen by edits on recordings that the score had not learned from: the recordings are dealt into folds, those of one parent
into one, and each fold's boxes are scored by what the others taught (docs/adr/0112).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from detectors.frames import Frames, Numbers, features
from detectors.rules import BoxRules, Cut, Score
from evaluation.edits import same_edges
from podcast.errors import InputError
from podcast.overlap import Stretch, best_pairs, touches

FOLDS = 5
FEWEST_CALLS = 15
ENOUGH_FOR_ISOTONIC = 1000
STRENGTH = 0.3
"""Of the regression: the inverse of its penalty on large weights (docs/adr/0112)."""
LEASTS = tuple(round(0.05 * step, 2) for step in range(4, 15))
"""Probabilities from which boxes may be shown, from the least on."""
GAIN = 0.02
"""A change of the rules must save this share of all edits, or it is noise."""
ON, TIMES = (0.3, 0.5, 1.0), (0.5, 0.7, 1.5, 2.0)
"""Factors of the thresholds that are tried."""


@dataclass(frozen=True, slots=True)
class Example:
    """A recording in which people marked every call. Boxes on what they were `unsure` of are neither calls nor mistakes.

    `group` is the parent recording, which is never split.
    """

    group: str
    frames: Frames
    calls: tuple[Stretch, ...]
    unsure: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class Boxes:
    """The candidates of all examples: their features, whether each lies on a call, whether with both edges right, and from which
    example and fold it is. `missed` is how many calls have no candidate."""

    features: Numbers
    lies: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]
    example: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]
    missed: int

    def edits(self, chances: Numbers, least: float) -> int:
        """What showing the boxes from `least` on leaves to do."""
        shown = chances >= least
        return int((shown & ~self.right).sum() + (~shown & self.lies).sum()) + self.missed


def fit(
    examples: Iterable[Example], detector: str, strengths: str, start: Cut, about: Mapping[str, Any] | None = None
) -> BoxRules:
    """The rules and scores that these examples teach, beginning from the rules `start`. They are gone through many times.

    Raises InputError for fewer than two parent recordings, or too few calls to learn from.
    """
    folds = _folds(examples)
    calls = sum(len(example.calls) for example in examples)
    if calls < FEWEST_CALLS or max(folds) < 1:
        raise InputError(
            f"{calls} calls in {len({example.group for example in examples})} recordings cannot teach rules and scores; at least "
            f"{FEWEST_CALLS} calls in 2 are needed"
        )
    cut = _best_cut(examples, folds, start)
    boxes = _candidates(examples, folds, cut)
    chances = _across(boxes)
    score = _regression(boxes.features, boxes.lies)
    if len(chances) >= ENOUGH_FOR_ISOTONIC:
        score = replace(score, knots=_knots(chances, boxes.lies))
        chances = np.interp(chances, *np.array(score.knots).T)
    held_out = tuple(
        (
            len(example.calls),
            tuple((round(float(chances[at]), 4), int(boxes.lies[at])) for at in np.flatnonzero(boxes.example == number)),
        )
        for number, example in enumerate(examples)
    )
    return BoxRules(detector, strengths, cut, score, _best_least(boxes, chances), held_out, about or {})


def on_calls(
    boxes: Sequence[tuple[Stretch, float]], calls: Sequence[Stretch], unsure: Sequence[Stretch] = ()
) -> list[tuple[float, int]]:
    """The probability of each box, and 1 if it lies on a call, one to one; boxes on what nobody was sure of are left out."""
    events = [event for event, _ in boxes]
    pairs = _pairs(events, calls)
    return [(chance, int(at in pairs)) for at, (event, chance) in enumerate(boxes) if at in pairs or not touches(event, unsure)]


def _pairs(events: Sequence[Stretch], calls: Sequence[Stretch]) -> dict[int, int]:
    return dict(best_pairs(events, calls, lambda one, other, _: 2.0 if same_edges(one, other) else 1.0))


def _best_cut(examples: Iterable[Example], folds: Sequence[int], start: Cut) -> Cut:
    """One number after the other, each changed only where that saves edits.

    Candidates begin lower than boxes did, since the score sorts them out.
    """
    best = replace(start, on_strength=ON[1] * start.on_strength)
    least = _edits(examples, folds, best)
    for change in _changes(start):
        tried = replace(best, **change)
        if tried == best or tried.off_strength > tried.on_strength or tried.share > 1:
            continue
        edits = _edits(examples, folds, tried)
        if edits < least * (1 - GAIN):
            best, least = tried, edits
    return best


def _changes(start: Cut) -> Iterator[dict[str, float]]:
    for _ in range(2):
        for margin in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3):
            yield {"after_s": start.after_s + margin}
        for margin in (0.0, 0.05, 0.1, 0.15, 0.2):
            yield {"before_s": start.before_s + margin}
        yield from ({"off_strength": factor * start.off_strength} for factor in TIMES)
        yield from ({"share": factor * start.share} for factor in TIMES)
        yield from ({"gap_s": factor * start.gap_s} for factor in TIMES)
        yield from ({"shortest_s": factor * start.shortest_s} for factor in TIMES)
        yield from ({"on_strength": factor * start.on_strength} for factor in ON)


def _edits(examples: Iterable[Example], folds: Sequence[int], cut: Cut) -> int:
    boxes = _candidates(examples, folds, cut)
    chances = _across(boxes)
    return boxes.edits(chances, _best_least(boxes, chances))


def _best_least(boxes: Boxes, chances: Numbers) -> float:
    """The least threshold whose edits are within `GAIN` of the fewest: one box too many is better than one too few."""
    found = {least: boxes.edits(chances, least) for least in LEASTS}
    return next(least for least, edits in found.items() if edits <= min(found.values()) * (1 + GAIN))


def _candidates(examples: Iterable[Example], folds: Sequence[int], cut: Cut) -> Boxes:
    columns: list[Numbers] = []
    lies, right, origin, fold, missed = [], [], [], [], 0
    for number, example in enumerate(examples):
        found, events = cut.events(example.frames)
        pairs = _pairs(events, example.calls)
        missed += len(example.calls) - len(pairs)
        rows = features(found, example.frames)
        for at, event in enumerate(events):
            if at not in pairs and touches(event, example.unsure):
                continue
            columns.append(rows[at])
            lies.append(at in pairs)
            right.append(at in pairs and same_edges(event, example.calls[pairs[at]]))
            origin.append(number)
            fold.append(folds[number])
    return Boxes(np.array(columns), np.array(lies), np.array(right), np.array(origin), np.array(fold), missed)


def _folds(examples: Iterable[Example]) -> list[int]:
    """The fold of each example: parents with many calls first, each into the fold that has the fewest."""
    calls: dict[str, int] = {}
    for example in examples:
        calls[example.group] = calls.get(example.group, 0) + len(example.calls)
    filled = [0.0] * min(FOLDS, len(calls))
    fold_of = {}
    for group in sorted(calls, key=lambda name: (-calls[name], name)):
        fold_of[group] = filled.index(min(filled))
        filled[fold_of[group]] += calls[group] + 0.01
    return [fold_of[example.group] for example in examples]


def _across(boxes: Boxes) -> Numbers:
    """The probability of every box by a regression on the other folds."""
    chances = np.full(len(boxes.lies), boxes.lies.mean() if len(boxes.lies) else 0.0)
    for fold in np.unique(boxes.fold):
        own = boxes.fold == fold
        if len(np.unique(boxes.lies[~own])) == 2:
            chances[own] = _regression(boxes.features[~own], boxes.lies[~own]).probabilities(boxes.features[own])
    return chances


def _regression(found: Numbers, lies: npt.NDArray[np.bool_]) -> Score:
    if len(np.unique(lies)) < 2:
        raise InputError("every candidate lies on a call, or none does: nothing tells right boxes from wrong ones")
    mean, scale = found.mean(axis=0), found.std(axis=0)
    scale[scale < 1e-9] = 1.0
    model = LogisticRegression(C=STRENGTH, max_iter=1000).fit((found - mean) / scale, lies)
    rounded = [tuple(float(f"{value:.6g}") for value in values) for values in (mean, scale, model.coef_[0])]
    return Score(rounded[0], rounded[1], rounded[2], float(f"{model.intercept_[0]:.6g}"))


def _knots(chances: Numbers, lies: npt.NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    model = IsotonicRegression(y_min=0.001, y_max=0.999).fit(chances, lies)
    return tuple(zip(model.X_thresholds_.round(5).tolist(), model.y_thresholds_.round(5).tolist(), strict=True))
