"""This project's own dataset releases, read back whole: predictions, every submission with its boxes, states and notes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby
from typing import NamedTuple

from importers.base import ReadOptions
from podcast import storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import (
    Annotation,
    Certainty,
    Detection,
    ModelRun,
    Outcome,
    Recording,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)
from podcast.times import parse_utc


class Line(NamedTuple):
    """One line of a table."""

    where: str
    cells: Mapping[str, str]


def is_release(source: str) -> bool:
    """Whether the folder is a release of this project, rather than an older one."""
    return storage.exists(storage.join(source, "review_boxes.csv"))


def read(source: str, options: ReadOptions) -> Iterator[Session | Refusal]:
    """One session a row of sessions.csv, with the rows of reviews.csv and review_boxes.csv that belong to it.

    Audio is in `wav/` of the release, or in `options.audio`. Annotators keep the pseudonyms that they were released under.
    """
    with ExitStack() as stack:
        reviews, boxes = (_Joined(_table(source, name, stack)) for name in ("reviews.csv", "review_boxes.csv"))
        for line in _table(source, "sessions.csv", stack):
            session_id = line.cells.get("session_id", "")
            said, drawn = reviews.take(session_id), boxes.take(session_id)
            try:
                yield _session(source, line.cells, said, drawn, options)
            except PodcastError as error:
                yield Refusal(f"{line.where} (session {session_id})", str(error))
            except (KeyError, ValueError) as error:
                yield Refusal(
                    f"{line.where} (session {session_id})", f"not as a release has it ({type(error).__name__}: {error})"
                )
        for table in (reviews, boxes):
            table.take(None)
            yield from (Refusal(where, "its session is not in sessions.csv, or not in this order") for where in table.strays)


def read_splits(source: str) -> dict[str, str]:
    """The split of every session of a release. Raises InputError if it is no release of this project."""
    with ExitStack() as stack:
        return {line.cells["session_id"]: line.cells["split"] for line in _table(source, "sessions.csv", stack)}


class _Joined:
    """A table sorted by session, read along with sessions.csv; `strays` are lines that no session asked for."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._groups = groupby(lines, key=lambda line: line.cells.get("session_id", ""))
        self.strays: list[str] = []
        self._name: str | None = None
        self._next()

    def take(self, session_id: str | None) -> list[Line]:
        """The lines of this session; None passes by all that are left."""
        while self._name is not None and (session_id is None or self._name < session_id):
            self.strays += [line.where for line in self._lines]
            self._next()
        if self._name is None or self._name != session_id:
            return []
        lines = self._lines
        self._next()
        return lines

    def _next(self) -> None:
        name, lines = next(self._groups, (None, iter(())))
        self._name, self._lines = name, list(lines)


def _table(source: str, name: str, stack: ExitStack) -> Iterator[Line]:
    uri = storage.join(source, name)
    file = stack.enter_context(storage.open_read(uri))
    reader = csv.DictReader(io.TextIOWrapper(file, "utf-8", newline=""), restval="", strict=True)
    if "session_id" not in (reader.fieldnames or []):
        raise InputError(f"{uri}, line 1: there is no column session_id; expected a table that `podcast release` wrote")
    try:
        for cells in reader:
            yield Line(f"{uri}, line {reader.line_num}", cells)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{uri}, line {reader.line_num}: not readable as CSV in UTF-8 ({error})") from error


def _session(source: str, cells: Mapping[str, str], said: list[Line], drawn: list[Line], options: ReadOptions) -> Session:
    by_review: dict[str, list[Line]] = {}
    for line in drawn:
        by_review.setdefault(line.cells["review"], []).append(line)
    detections = tuple(_detection(line.cells) for line in by_review.pop("", []))
    reviews = tuple(_review(line.cells, by_review.pop(line.cells["review"], [])) for line in said)
    if by_review:
        raise InputError(f"{next(iter(by_review.values()))[0].where}: review {next(iter(by_review))!r} is not in reviews.csv")
    return Session(
        id=cells["session_id"],
        recording=Recording(
            uri=cells["uri"],
            source_guid=cells["node"],
            start=parse_utc(cells["start_utc"]),
            duration_s=_number(cells["duration_s"]),
            sha256=cells["sha256"],
            audio_uri=_audio(source, cells, options),
        ),
        absolute_time=cells["absolute_time"],
        round=cells["round"],
        detections=detections,
        model_runs=tuple(ModelRun.parse(item) for item in _list(cells["model_versions"])),
        reviews=reviews,
    )


def _audio(source: str, cells: Mapping[str, str], options: ReadOptions) -> str:
    name = cells["wav_filename"]
    if options.audio is not None:
        name = f"{cells['session_id']}.wav"
    uri = storage.join(options.audio if options.audio is not None else storage.join(source, "wav"), name) if name else ""
    if options.audio_required and not (uri and storage.exists(uri)):
        raise InputError(f"its audio is not at {uri or 'any place that the release tells'}; name the folder with --audio")
    return uri


def _review(cells: Mapping[str, str], drawn: list[Line]) -> Review:
    annotations, rejected = [], []
    for line in drawn:
        try:
            if line.cells["outcome"] == "deleted":
                rejected.append(_detection(line.cells))
            else:
                annotations.append(_annotation(line.cells))
        except (InputError, ValueError, KeyError) as error:
            raise InputError(f"{line.where}: {error}") from error
    return Review(
        annotator=cells["annotator"],
        state=ReviewState(cells["review_state"]),
        annotations=tuple(annotations),
        rejected=tuple(rejected),
        submitted=parse_utc(cells["submitted_utc"]),
        ground_truth=cells["ground_truth"] == "true",
        note=cells["note"],
    )


def _annotation(cells: Mapping[str, str]) -> Annotation:
    return Annotation(
        event=_event(cells, ""),
        label=cells["label"],
        certainty=Certainty(cells["certainty"]),
        annotator=cells["annotator"],
        outcome=Outcome(cells["outcome"]),
        detection=_detection(cells) if cells["predicted_start_time_s"] else None,
        call_type=cells["call_type"],
        note=cells["note"],
    )


def _detection(cells: Mapping[str, str]) -> Detection:
    run = ModelRun.parse(cells["model_version"])
    return Detection(_event(cells, "predicted_"), cells["predicted_label"], float(cells["confidence"]), run)


def _event(cells: Mapping[str, str], prefix: str) -> SoundEvent:
    low, high = _number(cells[f"{prefix}low_hz"]), _number(cells[f"{prefix}high_hz"])
    return SoundEvent(float(cells[f"{prefix}start_time_s"]), float(cells[f"{prefix}end_time_s"]), low, high)


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _list(cell: str) -> list[str]:
    return [item.replace("%3B", ";").replace("%25", "%") for item in cell.split(";")] if cell else []
