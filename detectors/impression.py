"""What a detector makes of a recording before anybody hears it: each event that could be a call, and how the recording sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detectors.base import Detector, Framed
from detectors.frames import FEATURES, Frames, Numbers, features
from detectors.rules import LEARNED, BoxRules, rules_for
from podcast.audio import Samples
from podcast.errors import InputError
from podcast.model import SoundEvent

FAINTER, SHORTEST_S = 0.5, 0.18
"""Faint events are cut at this share of the thresholds, and may be this short."""
MOST = 12
"""Events of one recording that are kept: the most likely ones."""
DIGITS = 4
LEVELS = (50, 90, 99, 100)


@dataclass(frozen=True, slots=True)
class Heard:
    """An event in a recording: the probability that it is a call, and its features by `detectors.frames.FEATURES`."""

    start_s: float
    end_s: float
    chance: float
    features: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Impression:
    """The events of a recording, those below the detector's threshold too, and a vector that is close for what sounds alike.

    `faint` are the events that lower thresholds of cutting give: their probabilities were never held against anything, and
    are for searching alone.
    """

    events: tuple[Heard, ...]
    vector: tuple[float, ...] = ()
    faint: tuple[Heard, ...] = ()

    def as_json(self) -> list[Any]:
        """For a journal."""
        events, faint = (
            [[item.start_s, item.end_s, item.chance, list(item.features)] for item in some] for some in (self.events, self.faint)
        )
        return [events, list(self.vector), faint]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> Impression:
        """The inverse of `as_json`."""
        events, faint = (
            tuple(Heard(start_s, end_s, chance, tuple(told)) for start_s, end_s, chance, told in some)
            for some in (value[0], value[2])
        )
        return cls(events, tuple(value[1]), faint)


def impression(detector: Detector, samples: Samples, sample_rate: int) -> Impression:
    """What `detector` makes of a recording; of one without frames its boxes alone.

    The probabilities are those of the rules that it learned, or of those that ship with it where it has none.
    """
    if not isinstance(detector, Framed):
        [found] = detector.detect([(samples, sample_rate)])
        return Impression(tuple(Heard(item.event.start_s, item.event.end_s, item.confidence) for item in found))
    frames, rules = detector.frames(samples, sample_rate), probable(detector)
    if rules is None:
        [found] = detector.detect([(samples, sample_rate)])
        return Impression(tuple(Heard(item.event.start_s, item.event.end_s, item.confidence) for item in found), sound(frames))
    return impression_of(frames, rules)


def impression_of(frames: Frames, rules: BoxRules) -> Impression:
    """The same of what was heard moment by moment."""
    cut = rules.cut
    lower = replace(
        cut,
        on_strength=FAINTER * cut.on_strength,
        off_strength=FAINTER * cut.off_strength,
        shortest_s=min(SHORTEST_S, cut.shortest_s),
    )
    return Impression(_events(frames, rules), sound(frames), _events(frames, replace(rules, cut=lower)))


def _events(frames: Frames, rules: BoxRules) -> tuple[Heard, ...]:
    found, placed = rules.cut.events(frames)
    told = features(found, frames)
    chances = rules.score.probabilities(told)
    best = np.sort(np.argsort(-chances, kind="stable")[:MOST])
    return tuple(_heard(placed[at], float(chances[at]), told[at]) for at in best)


def probable(detector: Framed) -> BoxRules | None:
    """The rules by which a detector's events get probabilities; None where there are none for its weights."""
    try:
        return detector.rules or rules_for(detector.model_run.model, detector.strengths, LEARNED, "")
    except InputError:  # it ships with none, or with others
        return None


def example(frames: Frames, start_s: float, end_s: float) -> tuple[float, ...]:
    """The features of a stretch that somebody marked, as those of `Heard`; empty where it holds no frame."""
    first = max(round((start_s - frames.first_s) / frames.hop_s), 0)
    last = min(round((end_s - frames.first_s) / frames.hop_s), len(frames.strength) - 1)
    return tuple(features([(first, last)], frames)[0].round(DIGITS).tolist()) if last > first else ()


def sound(frames: Frames) -> tuple[float, ...]:
    """How a recording sounds: levels of strength and of its change, and where and how widely the sound lies, of shape (14,)."""
    strength = frames.strength.astype(np.float64)
    if not len(strength):
        return ()
    shape = frames.shape.astype(np.float64) if len(frames.shape) else np.zeros((len(strength), 5))
    weight = np.maximum(shape[:, 0], 1e-6)
    loud = np.argsort(-strength, kind="stable")[: max(len(strength) // 20, 1)]
    middle, spread = shape[loud, 1] / weight[loud], np.sqrt(np.maximum(shape[loud, 2] / weight[loud], 0))
    found = [
        *np.log1p(np.percentile(strength, LEVELS)),
        *np.log1p(np.percentile(np.abs(np.diff(strength, append=strength[-1:])), LEVELS)),
        float((strength > strength.mean()).mean()),
        *(middle.mean(), middle.std(), spread.mean()),
        float(np.log1p(shape[loud, 3]).mean()),
        float((shape[loud, 4] / weight[loud]).mean()),
    ]
    return tuple(np.round(found, DIGITS).tolist())


def _heard(event: SoundEvent, chance: float, told: Numbers) -> Heard:
    assert len(told) == len(FEATURES)
    return Heard(round(event.start_s, 3), round(event.end_s, 3), round(chance, DIGITS), tuple(told.round(DIGITS).tolist()))
