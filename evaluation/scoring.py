"""Scores of detections against the truth, as pure functions over seconds and events. The two protocols: docs/detectors.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from podcast.overlap import joined, match

Truth = npt.NDArray[np.bool_]
Confidence = npt.NDArray[np.float64]


class Protocol(StrEnum):
    """Which seconds an interval marks.

    `ORCAHELLO` is the published scorer (OrcaHello's ModelEvaluation): `floor(start)` to `ceil(end)` inclusive, so 1.0 to 2.0 s
    marks seconds 1 and 2, and a row of zeros marks second 0. `STRICT` marks the seconds that the half-open interval touches, and
    a row of zeros marks none.
    """

    ORCAHELLO = "orcahello"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Span:
    """One row of truth or of predictions, as it was written: seconds from the recording's start; `confidence` 1 for truth."""

    start_s: float
    duration_s: float
    confidence: float = 1.0

    @property
    def end_s(self) -> float:
        """End in seconds."""
        return self.start_s + self.duration_s


def seconds(span: Span, length_s: float, protocol: Protocol) -> range:
    """The whole seconds that a span marks in a recording of `length_s`, which has `ceil(length_s)` of them."""
    if protocol is Protocol.ORCAHELLO:
        stop = min(math.ceil(span.end_s), math.floor(length_s)) + 1
    else:
        stop = math.ceil(span.end_s) if span.duration_s > 0 else 0
    return range(max(math.floor(span.start_s), 0), min(stop, math.ceil(length_s)))


def truth_per_second(spans: Iterable[Span], length_s: float, protocol: Protocol) -> Truth:
    """Which of the recording's seconds hold a call, shape (ceil(length_s),)."""
    truth = np.zeros(math.ceil(length_s), np.bool_)
    for span in spans:
        marked = seconds(span, length_s, protocol)
        truth[marked.start : marked.stop] = True
    return truth


def confidence_per_second(spans: Iterable[Span], length_s: float, protocol: Protocol) -> Confidence:
    """The highest confidence over each second, 0 where nothing covers it. Shape (ceil(length_s),).

    The published scorer sorts its pairs of second and confidence and lets the last win, which is the highest.
    """
    confidence = np.zeros(math.ceil(length_s))
    for span in spans:
        marked = seconds(span, length_s, protocol)
        part = confidence[marked.start : marked.stop]
        np.maximum(part, span.confidence, out=part)
    return confidence


def average_precision(truth: Truth, confidence: Confidence) -> float | None:
    """Area under the precision-recall curve, as scikit-learn sums it; None if nothing is true."""
    return float(average_precision_score(truth, confidence)) if truth.any() else None


def boxes(spans: Iterable[Span], threshold: float) -> list[Span]:
    """Spans of at least `threshold`, in time order, those that overlap or touch joined with their highest confidence."""
    windows = sorted((s.start_s, s.end_s, s.confidence) for s in spans if s.duration_s > 0 and s.confidence >= threshold)
    return [Span(start_s, end_s - start_s, confidence) for start_s, end_s, confidence in joined(windows)]


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Events found (`hits`), boxes on nothing (`false_boxes`) and events without a box (`missed`)."""

    hits: int = 0
    false_boxes: int = 0
    missed: int = 0

    def __add__(self, other: EventCounts) -> EventCounts:
        return EventCounts(self.hits + other.hits, self.false_boxes + other.false_boxes, self.missed + other.missed)

    @property
    def precision(self) -> float | None:
        """Share of the boxes that lie on an event; None without a box."""
        return self.hits / (self.hits + self.false_boxes) if self.hits + self.false_boxes else None

    @property
    def recall(self) -> float | None:
        """Share of the events that have a box; None without an event."""
        return self.hits / (self.hits + self.missed) if self.hits + self.missed else None


def match_events(truth: Sequence[Span], predicted: Sequence[Span], overlap: float) -> EventCounts:
    """Pair events and boxes one to one, as many as can be, where intersection over union is at least `overlap` (and over 0)."""
    hits = len(match(truth, predicted, overlap))
    return EventCounts(hits, len(predicted) - hits, len(truth) - hits)


def bootstrap_interval(
    statistic: Callable[[Sequence[int]], float | None], items: int, *, seed: int = 0, rounds: int = 1000, level: float = 0.95
) -> tuple[float, float] | None:
    """The percentile interval of a statistic over recordings drawn with replacement.

    `statistic` takes indices of recordings; draws for which it gives None are left out. None for fewer than two recordings.
    """
    if items < 2:
        return None
    draws = np.random.default_rng(seed).integers(0, items, (rounds, items))
    values = [value for draw in draws if (value := statistic(draw.tolist())) is not None]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) if values else (math.nan, math.nan)
    return (float(low), float(high)) if values else None
