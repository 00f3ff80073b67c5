"""The scores of one model against the truth: per second by dataset and hydrophone, and per event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve

from evaluation.false_alarms import FalseAlarms, false_alarms
from evaluation.scoring import (
    Confidence,
    EventCounts,
    Protocol,
    Span,
    Truth,
    average_precision,
    bootstrap_interval,
    boxes,
    confidence_per_second,
    match_events,
    truth_per_second,
)
from evaluation.tables import Labelled, Predicted
from podcast.errors import InputError

OVERLAPS = (0.1, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Row:
    """Scores over some recordings; `auprc` is None where no second is true, `interval` (95 %, bootstrap over recordings) where
    there are fewer than two of them, or none was asked for."""

    name: str
    recordings: int
    seconds: int
    positive_seconds: int
    auprc: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ModelScores:
    """All scores of one model. `overall` is the plain mean over the datasets that hold a call, as published; `pooled` is over all
    seconds together."""

    model: str
    datasets: tuple[Row, ...]
    hydrophones: tuple[Row, ...]
    overall: float | None
    pooled: Row
    events: Mapping[float, EventCounts]
    curve: tuple[tuple[float, float], ...]
    unpredicted: int
    unlabelled: int
    alarms: tuple[FalseAlarms, ...] = ()
    """Sounds that people named, and how often the model boxes them, by source."""


def lengths(truth: Sequence[Labelled], models: Sequence[Predicted], known: Mapping[str, float]) -> dict[str, float]:
    """Every labelled recording's length in seconds: from `known`, its table, or the predictions where they cover the truth.

    Raises InputError naming a recording whose length nothing tells.
    """
    found = {}
    for recording in truth:
        length_s = known.get(recording.name) or recording.length_s
        if not length_s:
            length_s = max((span.end_s for model in models for span in model.spans.get(recording.name, ())), default=0.0)
            if length_s < max([1.0, *(span.end_s for span in recording.spans)]):
                raise InputError(
                    f"{recording.name}: its length is unknown and no prediction reaches its last call; give --audio or --length, "
                    "or a column length_s"
                )
        found[recording.name] = length_s
    return found


def guessed(truth: Sequence[Labelled], known: Mapping[str, float]) -> list[str]:
    """The recordings whose length `lengths` takes from the predictions: where these end, and not the audio."""
    return [recording.name for recording in truth if not (known.get(recording.name) or recording.length_s)]


def score(
    truth: Sequence[Labelled],
    model: Predicted,
    length_s: Mapping[str, float],
    protocol: Protocol,
    threshold: float,
    *,
    draws: int = 0,
) -> ModelScores:
    """Score one model. `length_s` gives the length of every labelled recording; `threshold` is for events and
    false alarms alone.

    `draws` is how often recordings are drawn anew for the intervals; 0 leaves these out.
    """
    arrays: dict[str, tuple[Truth, Confidence]] = {}
    events = dict.fromkeys(OVERLAPS, EventCounts())
    for recording in truth:
        length, predicted = length_s[recording.name], model.spans.get(recording.name, ())
        arrays[recording.name] = (
            truth_per_second(recording.spans, length, protocol),
            confidence_per_second(predicted, length, protocol),
        )
        called = [span for span in recording.spans if span.duration_s > 0]
        boxed = _boxes(predicted, model, threshold)
        for overlap in OVERLAPS:
            events[overlap] += match_events(called, boxed, overlap)
    datasets = _grouped(truth, arrays, lambda recording: recording.dataset, draws)
    scored = [row.auprc for row in datasets if row.auprc is not None]
    names = {recording.name for recording in truth}
    return ModelScores(
        model.model,
        datasets,
        _grouped(truth, arrays, lambda recording: recording.hydrophone, draws),
        sum(scored) / len(scored) if scored else None,
        _row("all", list(arrays.values()), draws),
        events,
        _curve(list(arrays.values())),
        len(names - model.spans.keys()),
        len(model.spans.keys() - names),
        tuple(false_alarms(truth, model, length_s, threshold)),
    )


def _boxes(predicted: Sequence[Span], model: Predicted, threshold: float) -> list[Span]:
    if not model.are_boxes:
        return boxes(predicted, threshold)
    return [span for span in predicted if span.confidence >= threshold and span.duration_s > 0]


def _grouped(
    truth: Sequence[Labelled], arrays: Mapping[str, tuple[Truth, Confidence]], key: Callable[[Labelled], str], draws: int
) -> tuple[Row, ...]:
    rows = []
    for name in sorted({key(recording) for recording in truth}):
        group = [arrays[recording.name] for recording in truth if key(recording) == name]
        rows.append(_row(name, group, draws))
    return tuple(rows)


def _row(name: str, arrays: Sequence[tuple[Truth, Confidence]], draws: int) -> Row:
    def precision(members: Sequence[int]) -> float | None:
        true, confidence = (np.concatenate(part) for part in zip(*(arrays[i] for i in members), strict=True))
        return average_precision(true, confidence)

    seconds = sum(len(true) for true, _ in arrays)
    positive = sum(int(true.sum()) for true, _ in arrays)
    interval = bootstrap_interval(precision, len(arrays), rounds=draws) if draws else None
    return Row(name, len(arrays), seconds, positive, precision(range(len(arrays))), interval)


def _curve(arrays: list[tuple[Truth, Confidence]]) -> tuple[tuple[float, float], ...]:
    """Recall and precision over all seconds, for the picture."""
    true, confidence = (np.concatenate(part) for part in zip(*arrays, strict=True))
    if not true.any():
        return ()
    precision, recall, _ = precision_recall_curve(true, confidence)
    return tuple(zip(recall.tolist(), precision.tolist(), strict=True))
