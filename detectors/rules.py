"""Box rules and scores that were learned: plain JSON, by which any detector's frames become boxes with a probability.

`podcast train --recipe rules` writes such a file. Serving one takes a sum and a sigmoid,
and no scikit-learn (docs/adr/0111).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from detectors.events import EventRules, bounded, events
from detectors.frames import FEATURES, Frames, Numbers, features
from detectors.thresholds import least_probability
from podcast import storage
from podcast.errors import InputError
from podcast.model import SoundEvent
from podcast.reading import parse_json

FORMAT = 1
FIXED, LEARNED = "fixed", "learned"
"""In place of a file: the boxes that the detector makes without learned rules, and the rules that ship with it."""
LEAST_S = 0.01
FURTHEST = 5.0
"""Standard deviations from the mean beyond which a feature counts no more: so far out nothing was learned."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where events begin and end: `EventRules`, with a margin of its own at either end."""

    on_strength: float
    off_strength: float
    share: float
    gap_s: float
    shortest_s: float
    longest_s: float
    before_s: float
    after_s: float

    def events(self, frames: Frames) -> tuple[list[tuple[int, int]], list[SoundEvent]]:
        """The events of one recording, as first and last frame and as boxes, in time order."""
        hop_s = frames.hop_s
        shortest = max(round(self.shortest_s / hop_s), 1)
        gap = min(round(self.gap_s / hop_s), shortest - 1)  # else an event could bridge another, and lie around it
        rules = EventRules(self.on_strength, self.off_strength, self.share, hop_s, gap * hop_s, shortest * hop_s, self.longest_s)
        inside = max(math.ceil((frames.length_s - frames.first_s - LEAST_S) / hop_s), 0)
        found = events(frames.strength[:inside], rules)
        return found, list(bounded(found, frames.hop_s, self.before_s, self.after_s, frames.length_s, frames.first_s))


@dataclass(frozen=True, slots=True)
class Score:
    """A logistic regression over standardised `FEATURES`; `knots` (score, probability) mend what isotonic regression found."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    knots: tuple[tuple[float, float], ...] = ()

    def probabilities(self, found: Numbers) -> Numbers:
        """Of rows of features, shape (events, features) to (events,)."""
        standard = np.clip((found - np.array(self.mean)) / np.array(self.scale), -FURTHEST, FURTHEST)
        chance: Numbers = 1 / (1 + np.exp(-(standard @ np.array(self.weights) + self.bias)))
        if self.knots:
            xs, ys = np.array(self.knots).T
            chance = np.interp(chance, xs, ys)
        return chance


@dataclass(frozen=True, slots=True)
class BoxRules:
    """How the frames of one detector become boxes. `strengths` names the version of the detector that makes those frames.

    Boxes with a probability below `least` are not shown. `held_out` has, for each recording that the score was tested on without
    having learned from it, how many calls it holds, and the probability of each box with 1 if it lay on a call.
    """

    detector: str
    strengths: str
    cut: Cut
    score: Score
    least: float
    held_out: tuple[tuple[int, tuple[tuple[float, int], ...]], ...] = ()
    about: Mapping[str, Any] | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of the rules, hexadecimal: the same wherever and however the file was written."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"format": FORMAT, "features": list(FEATURES), **asdict(self)}

    def boxes(self, frames: Frames) -> list[tuple[SoundEvent, float]]:
        """The boxes of one recording that are worth showing, each with the probability that it lies on a call, in time order."""
        found, placed = self.cut.events(frames)
        chances = self.score.probabilities(features(found, frames)).round(4)
        return [(event, float(chance)) for event, chance in zip(placed, chances, strict=True) if chance >= self.least]


def version(strengths: str, rules: BoxRules | None) -> str:
    """The version of a detector whose frames are those of `strengths`, with these rules or its own."""
    return f"{strengths}-rules-{rules.digest[:8]}" if rules else strengths


def rules_for(detector: str, strengths: str, source: str, threshold: str) -> BoxRules | None:
    """The rules at a URI, those that ship with the detector for `LEARNED`, None for `FIXED`; with the least probability that
    `threshold` asks for, see `least_probability`.

    Raises InputError for a file that holds no rules, or rules for other frames than this detector with these weights makes.
    """
    if source == FIXED:
        return None
    if source == LEARNED:
        shipped = Path(__file__).parent / f"{detector}.rules.json"
        if not shipped.exists():
            raise InputError(f"{detector} ships without learned rules; train them from a round: podcast train --recipe rules")
        source = str(shipped)
    rules = parse_rules(storage.read(source), source)
    if (rules.detector, rules.strengths) != (detector, strengths):
        belongs = f"{rules.detector}:{rules.strengths}"
        raise InputError(f"{source}: these rules were learned for {belongs}, not for {detector}:{strengths}; train them again")
    return replace(rules, least=least_probability(threshold, rules.held_out)) if threshold else rules


def parse_rules(content: bytes, source: str) -> BoxRules:
    """A file of rules. Raises InputError naming the field that is missing or wrong."""
    whole = parse_json(content, source)
    try:
        if whole["format"] != FORMAT or whole["features"] != list(FEATURES):
            raise ValueError("these rules are of another version of this program; train them again")
        score, cut = whole["score"], whole["cut"]
        rules = BoxRules(
            str(whole["detector"]),
            str(whole["strengths"]),
            Cut(**{item.name: _number(cut[item.name]) for item in fields(Cut)}),
            Score(
                *_numbers(score["mean"], score["scale"], score["weights"]),
                _number(score["bias"]),
                tuple((_number(x), _number(y)) for x, y in score["knots"]),
            ),
            _number(whole["least"]),
            tuple((int(calls), tuple((_number(p), int(y)) for p, y in boxes)) for calls, boxes in whole["held_out"]),
            dict(whole["about"] or {}),
        )
    except KeyError as error:
        raise InputError(f"{source}: holds no box rules, {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: holds no box rules ({error})") from error
    if min(rules.cut.before_s, rules.cut.after_s) < 0 or rules.cut.before_s + rules.cut.after_s < LEAST_S:
        raise InputError(f"{source}: cut: before_s and after_s must be 0 or more, and {LEAST_S} s together")
    if not (0 < rules.cut.off_strength <= rules.cut.on_strength and 0 <= rules.cut.share <= 1):
        raise InputError(f"{source}: cut: expected 0 < off_strength <= on_strength and a share from 0 to 1")
    if min(rules.score.scale, default=0) <= 0:
        raise InputError(f"{source}: score: scale must be above 0")
    if {len(rules.score.mean), len(rules.score.scale), len(rules.score.weights)} != {len(FEATURES)}:
        raise InputError(f"{source}: score: expected {len(FEATURES)} numbers each for mean, scale and weights")
    return rules


def _numbers(mean: Any, scale: Any, weights: Any) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    return tuple(map(_number, mean)), tuple(map(_number, scale)), tuple(map(_number, weights))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"expected a number, not {value!r}")
    return float(value)
