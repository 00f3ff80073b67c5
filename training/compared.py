"""What a model made of the recordings that it was tested on, kept beside its scores; and two models on the recordings of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.calibration import calibration
from evaluation.edits import EditRow, EditScores, score_edits
from evaluation.scores import ModelScores, Row, score
from evaluation.scoring import Protocol, Span
from evaluation.tables import Labelled, Predicted
from podcast.errors import InputError
from podcast.model import SoundEvent
from podcast.reading import number_in
from training.reviewed import Reviewed
from training.rules import on_calls

ANSWERS = "recordings"
"""The field of `scores.json` that holds them."""
Stretches = tuple[tuple[float, float], ...]
Boxes = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One recording of the test, `length_s` seconds long: what people said of it, and the boxes that the model made.

    `calls` and `unsure` are starts and ends in seconds, `boxes` starts, ends and confidences.
    """

    name: str
    node: str
    length_s: float
    calls: Stretches
    unsure: Stretches
    boxes: Boxes

    def as_dict(self) -> dict[str, Any]:
        """For JSON; times to a tenth of a millisecond."""
        calls, unsure, boxes = (
            [[round(float(number), 4) for number in row] for row in rows] for rows in (self.calls, self.unsure, self.boxes)
        )
        length_s = round(self.length_s, 4)
        return {"name": self.name, "node": self.node, "length_s": length_s, "calls": calls, "unsure": unsure, "boxes": boxes}

    @property
    def said(self) -> tuple[float, Stretches, Stretches]:
        """What makes it the same test for two models: its length, and what people said."""
        return self.length_s, self.calls, self.unsure


def answer(session: Reviewed, length_s: float, boxes: Iterable[tuple[SoundEvent, float]]) -> Answer:
    """What a model made of a session: boxes with their confidences."""
    calls, unsure = (tuple((event.start_s, event.end_s) for event in events) for events in (session.calls, session.unsure))
    found = tuple((event.start_s, event.end_s, chance) for event, chance in boxes)
    return Answer(session.name, session.node, length_s, calls, unsure, found)


def answers(scores: Mapping[str, Any], where: str) -> dict[str, Answer]:
    """The answers in a model's scores, by recording; none where the test was another. Raises InputError naming `where`."""
    try:
        found = [_answer(item, where) for item in scores.get(ANSWERS) or ()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: {ANSWERS}: holds no answers of a model ({type(error).__name__}: {error})") from error
    return {answer.name: answer for answer in found}


def _answer(item: Mapping[str, Any], where: str) -> Answer:
    calls, unsure = (tuple((float(a), float(b)) for a, b in item[field]) for field in ("calls", "unsure"))
    boxes = tuple((float(a), float(b), float(chance)) for a, b, chance in item["boxes"])
    return Answer(str(item["name"]), str(item["node"]), number_in(item, "length_s", where), calls, unsure, boxes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the recordings that both were tested on, by node and over all: average precision over seconds, edits a minute
    and the expected calibration error, each as (first, second).

    `only_first` and `only_second` were no test of the other; of those in `said_otherwise` people had changed their minds between
    the two.
    """

    common: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    said_otherwise: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Measures, Measures]], ...]


@dataclass(frozen=True, slots=True)
class Measures:
    """One model over some recordings."""

    edits: EditRow
    seconds: Row
    calibration_error: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **{name: value for name, value in self.edits.as_dict().items() if name != "name"},
            "average_precision": self.seconds.auprc,
            "calibration_error": self.calibration_error,
        }


def compare(first: Mapping[str, Answer], second: Mapping[str, Answer]) -> Comparison:
    """Two models by their answers."""
    both = sorted(first.keys() & second.keys())
    common = tuple(name for name in both if first[name].said == second[name].said)
    pairs = zip(*(_measures([one[name] for name in common]) for one in (first, second)), strict=True) if common else ()
    return Comparison(
        common,
        tuple(sorted(first.keys() - second.keys())),
        tuple(sorted(second.keys() - first.keys())),
        tuple(name for name in both if name not in common),
        tuple((name, (one, other)) for (name, one), (_, other) in pairs),
    )


def _measures(found: Sequence[Answer]) -> list[tuple[str, Measures]]:
    """By node, and over all."""
    truth = [
        Labelled(item.name, "all", item.node or "unknown", tuple(Span(a, b - a) for a, b in item.calls), item.length_s)
        for item in found
    ]
    boxes = {item.name: tuple(Span(a, b - a, chance) for a, b, chance in item.boxes) for item in found}
    length_s = {item.name: item.length_s for item in found}
    predicted = Predicted("", boxes, are_boxes=True)
    scored: ModelScores = score(truth, predicted, length_s, Protocol.STRICT, 0.0)
    edited: EditScores = score_edits(truth, predicted, length_s, 0.0)
    rows = zip((*edited.hydrophones, edited.all), (*scored.hydrophones, scored.pooled), strict=True)
    return [
        (edit.name, Measures(edit, row, _calibration(item for item in found if edit.name in (item.node or "unknown", "all"))))
        for edit, row in rows
    ]


def _calibration(found: Iterable[Answer]) -> float | None:
    scored = []
    for item in found:
        boxes = [(Span(a, b - a), chance) for a, b, chance in item.boxes]
        calls, unsure = ([Span(a, b - a) for a, b in rows] for rows in (item.calls, item.unsure))
        scored.append(on_calls(boxes, calls, unsure))
    return calibration(scored, draws=0).error
