"""Truth and predictions, from the table variants of `docs/formats` and from reviewed sessions.

Columns are found by name, so a leading index column, other columns and any order do no harm. A bad line is an error and not a
refusal: a score from half the truth would be a wrong score.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import ReviewState, Session
from podcast.report import Report
from podcast.scoring import Span
from podcast.times import parse_session_name


@dataclass(frozen=True, slots=True)
class Labelled:
    """The truth of one recording. `length_s` is None where the table does not tell it."""

    name: str
    dataset: str
    hydrophone: str
    spans: tuple[Span, ...]
    length_s: float | None = None


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
        return parse_truth(io.TextIOWrapper(file, "utf-8-sig", newline=""), source)


def parse_truth(lines: Iterable[str], source: str) -> list[Labelled]:
    """`read_truth` for the table's lines."""
    found: dict[str, tuple[Labelled, list[Span]]] = {}
    for row, where in _rows(lines, source, ("wav_filename", "start_time_s", "duration_s")):
        name = storage.stem(row["wav_filename"])
        if name not in found:
            hydrophone = row.get("location") or parse_session_name(name).source_guid or "unknown"
            length_s = _number(row, "length_s", where) if row.get("length_s") else None
            found[name] = Labelled(name, row.get("dataset") or "all", hydrophone, (), length_s), []
        found[name][1].append(Span(_number(row, "start_time_s", where), _number(row, "duration_s", where)))
    if not found:
        raise InputError(f"{source}: the table holds no row")
    return [Labelled(r.name, r.dataset, r.hydrophone, tuple(spans), r.length_s) for r, spans in found.values()]


def read_predictions(source: str) -> Predicted:
    """One model's table, named after the file. Raises InputError naming the line and column that is wrong."""
    with storage.open_read(source) as file:
        return parse_predictions(io.TextIOWrapper(file, "utf-8-sig", newline=""), source)


def parse_predictions(lines: Iterable[str], source: str) -> Predicted:
    """`read_predictions` for the table's lines."""
    found: dict[str, list[Span]] = {}
    are_boxes = False
    for row, where in _rows(lines, source, ("wav_filename", "start_time_s", "duration_s", "confidence")):
        are_boxes = "model_version" in row
        numbers = (_number(row, column, where) for column in ("start_time_s", "duration_s", "confidence"))
        found.setdefault(storage.stem(row["wav_filename"]), []).append(Span(*numbers))
    return Predicted(storage.stem(source), {name: tuple(spans) for name, spans in found.items()}, are_boxes)


def truth_of_sessions(sessions: Iterable[Session | Refusal], report: Report) -> list[Labelled]:
    """The truth of a round: sessions with calls, and sessions reviewed as without; all others are counted in `report`."""
    found = []
    for session in report.accepted(sessions):
        report.counts[session.review_state] += 1
        if session.review_state in (ReviewState.CALLS, ReviewState.NO_CALLS) and (review := session.latest_review):
            spans = tuple(Span(a.event.start_s, a.event.duration_s) for a in review.annotations)
            hydrophone = session.recording.source_guid or "unknown"
            found.append(Labelled(session.id, session.round or "all", hydrophone, spans, session.recording.duration_s))
    if not found:
        raise InputError("nobody has reviewed a session of this round yet, so there is no truth to score against")
    return found


def _rows(lines: Iterable[str], source: str, columns: tuple[str, ...]) -> Iterator[tuple[dict[str, str], str]]:
    reader = csv.DictReader(lines, delimiter="\t")
    if missing := [column for column in columns if column not in (reader.fieldnames or [])]:
        raise InputError(f"{source}, line 1: columns {missing} are missing; expected {list(columns)}, tab separated")
    for row in reader:
        where = f"{source}, line {reader.line_num}"
        if not row["wav_filename"]:
            raise InputError(f"{where}, wav_filename: is empty")
        yield row, where


def _number(row: Mapping[str, str | None], column: str, where: str) -> float:
    try:
        number = float(row[column] or "")
    except ValueError as error:
        raise InputError(f"{where}, {column}: expected a number, not {row[column]!r}") from error
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"{where}, {column}: expected a finite number from 0 up, not {row[column]!r}")
    return number
