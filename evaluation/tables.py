"""Truth and predictions, from the table variants of `docs/formats` and from reviewed sessions.

Columns are found by name, so a leading index column, other columns and any order do no harm. A bad line is an error and not a
refusal: a score from half the truth would be a wrong score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from evaluation.scoring import Span
from podcast import storage
from podcast.dataset_table import DatasetTable, Row
from podcast.errors import InputError, Refusal
from podcast.model import Annotation, Session
from podcast.report import Report
from podcast.reviews import COMPLETED, consensus
from podcast.times import parse_session_name
from podcast.vocabulary import is_call, of_name, unknown_labels

SoundsOf = Mapping[str, tuple[tuple[str, Span], ...]]
"""By recording what people heard in it that was no orca: label and stretch of each sound."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """The truth of one recording. `length_s` is None where the table does not tell it.

    `spans` are calls, `sounds` what people named that was no orca, each with its label.
    """

    name: str
    dataset: str
    hydrophone: str
    spans: tuple[Span, ...]
    length_s: float | None = None
    sounds: tuple[tuple[str, Span], ...] = ()


@dataclass(frozen=True, slots=True)
class Predicted:
    """All predictions of one model; recordings by the stem of their file name.

    `are_boxes` tells boxes of `podcast detect` from a score a window.
    """

    model: str
    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    are_boxes: bool = False


def read_truth(source: str) -> list[Labelled]:
    """The recordings of a truth table, in order of appearance. Raises InputError naming the line and column that is wrong."""
    with storage.open_read(source) as file:
        return parse_truth(file, source)


def parse_truth(file: BinaryIO, source: str) -> list[Labelled]:
    """`read_truth` for an open table."""
    found: dict[str, tuple[Labelled, list[Span]]] = {}
    for row in _rows(DatasetTable(file, source)):
        name = storage.stem(row.wav_filename)
        if name not in found:
            hydrophone = row.location or _node(name, row.where) or "unknown"
            found[name] = Labelled(name, row.dataset or "all", hydrophone, (), row.length_s), []
        found[name][1].append(Span(row.start_s, row.duration_s))
    if not found:
        raise InputError(f"{source}: the table holds no row")
    return [replace(recording, spans=tuple(spans)) for recording, spans in found.values()]


def read_predictions(source: str) -> Predicted:
    """One model's table, named after the file. Raises InputError naming the line and column that is wrong."""
    with storage.open_read(source) as file:
        return parse_predictions(file, source)


def parse_predictions(file: BinaryIO, source: str) -> Predicted:
    """`read_predictions` for an open table."""
    found: dict[str, list[Span]] = {}
    table = DatasetTable(file, source)
    if not table.are_predictions:
        raise InputError(f"{source}, line 1: there is no column confidence, so these are no predictions")
    for row in _rows(table):
        spans = found.setdefault(storage.stem(row.wav_filename), [])
        if not row.label or is_call(of_label(row)):  # what a model calls a ship is no prediction of a call
            spans.append(Span(row.start_s, row.duration_s, row.confidence or 0.0))
    return Predicted(storage.stem(source), {name: tuple(spans) for name, spans in found.items()}, table.are_boxes)


def of_label(row: Row) -> str:
    """The label that a row's class means. Raises InputError for one that the vocabulary does not have."""
    if (meant := of_name(row.label)) is None:
        raise InputError(
            f"{row.where}, label: {row.label[:60]!r} is no source of vocabulary.csv, nor a class of pods-ai or DCLDE"
        )
    return meant.name


def truth_of_sessions(sessions: Iterable[Session | Refusal], report: Report) -> list[Labelled]:
    """The truth of a round: sessions with calls, and sessions reviewed as without; all others are counted in `report`.

    A session with a label that the vocabulary does not have is left out too, and named: the label may have meant a call.
    """
    found = []
    for session in report.accepted(sessions):
        said = consensus(session)
        report.counts[said.state] += 1
        if strange := unknown_labels(item.label for item in said.annotations):
            report.warn(f"session {session.id} is left out: the vocabulary does not have {', '.join(map(repr, strange))}")
        elif said.state in COMPLETED:
            calls, others = ([box.annotation for box in boxes] for boxes in (said.calls, said.others))
            found.append(
                Labelled(
                    session.id,
                    session.round or "all",
                    session.recording.source_guid or "unknown",
                    tuple(_span(item) for item in calls),
                    session.recording.duration_s,
                    tuple((item.label, _span(item)) for item in others),
                )
            )
    if not found:
        raise InputError("nobody has reviewed a session of this round yet, so there is no truth to score against")
    return found


def _span(item: Annotation) -> Span:
    return Span(item.event.start_s, item.event.duration_s)


def _node(name: str, where: str) -> str:
    try:
        return parse_session_name(name).source_guid
    except InputError as error:
        raise InputError(f"{where}, wav_filename: {error}") from error


def _rows(table: DatasetTable) -> Iterator[Row]:
    for row in table:
        if row.problem:
            raise InputError(f"{row.where}, {row.problem}")
        yield row
