"""This project's own dataset releases, read back whole: predictions, every submission with its boxes, states and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict

from importers.base import ReadOptions
from podcast import dataset_table, storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import (
    Annotation,
    Certainty,
    Detection,
    Heard,
    ModelRun,
    Outcome,
    Recording,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)
from podcast.reading import Line, Table
from podcast.spool import Spool
from podcast.times import parse_utc

SESSIONS = (
    *("session_id", "round", "split", "review_state", "wav_filename", "sha256", "duration_s", "start_utc", "node"),
    *("absolute_time", "uri", "model_versions"),
)
REVIEWS = ("session_id", "review", "annotator", "review_state", "submitted_utc", "ground_truth", "boxes", "note")
BOXES = (
    *("session_id", "review", "annotator", "outcome", "start_time_s", "end_time_s", "low_hz", "high_hz", "label", "call_type"),
    *("certainty", "note", "model_version", "confidence", "predicted_start_time_s", "predicted_end_time_s", "predicted_low_hz"),
    *("predicted_high_hz", "predicted_label"),
)
"""The columns that are read of each table; all are written by `podcast release`. Those that
`heard_of` reads, and `blind`, came later, and may be missing."""


def is_release(source: str) -> bool:
    """Whether the folder is a release of this project, rather than an older one."""
    return storage.exists(storage.join(source, "review_boxes.csv"))


def read(source: str, options: ReadOptions) -> Iterator[Session | Refusal]:
    """One session a row of sessions.csv, with the rows of reviews.csv and review_boxes.csv that belong to it, in any order.

    Audio is in `wav/` of the release, or in `options.audio`. Annotators keep the pseudonyms that they were released under. A bad
    line refuses its whole session: without one of its boxes a session would say "no call" where there was one.
    """
    with Spool() as spool:
        for name, columns in (("reviews.csv", REVIEWS), ("review_boxes.csv", BOXES)):
            for line in _table(source, name, columns):
                spool.add(f"{name}/{line.cells.get('session_id', '')}", f"{line.number:09d}", asdict(line))
        for line in _table(source, "sessions.csv", SESSIONS):
            session_id = line.cells.get("session_id", "")
            said, drawn = (
                [Line(**row) for row in spool.group(f"{name}/{session_id}")] for name in ("reviews.csv", "review_boxes.csv")
            )
            try:
                if not spool.add("sessions", session_id):
                    raise InputError("its session stands there twice")
                for part in (line, *said, *drawn):
                    if part.problem:
                        raise InputError(f"{part.where}: {part.problem}")
                yield _session(source, line.cells, said, drawn, options)
            except PodcastError as error:
                yield Refusal(f"{line.where} (session {session_id})", str(error))
            except (KeyError, ValueError) as error:
                yield Refusal(
                    f"{line.where} (session {session_id})", f"not as a release has it ({type(error).__name__}: {error})"
                )
        for group, rows in spool.groups():
            name, _, session_id = group.partition("/")
            if name != "sessions" and not spool.has("sessions", session_id):
                yield from (Refusal(row["where"], row["problem"] or "its session is not in sessions.csv") for row in rows)


def read_splits(source: str) -> dict[str, str]:
    """The split of every session of a release. Raises InputError if it is no release of this project, or damaged."""
    found = {}
    for line in _table(source, "sessions.csv", ("session_id", "split")):
        if line.problem:
            raise InputError(f"{line.where}: {line.problem}")
        found[line.cells["session_id"]] = line.cells["split"]
    return found


def _table(source: str, name: str, columns: tuple[str, ...]) -> Iterator[Line]:
    uri = storage.join(source, name)
    with closing(storage.open_read(uri)) as file:
        yield from Table(file, uri, ",", columns, multiline=True)  # notes have line ends


def _session(source: str, cells: Mapping[str, str], said: list[Line], drawn: list[Line], options: ReadOptions) -> Session:
    by_review: dict[str, list[Line]] = {}
    for line in drawn:
        by_review.setdefault(line.cells["review"], []).append(line)
    detections = tuple(_detection(line.cells) for line in by_review.pop("", []))
    reviews = tuple(_review(line, by_review.pop(line.cells["review"], [])) for line in said)
    if by_review:
        raise InputError(f"{next(iter(by_review.values()))[0].where}: review {next(iter(by_review))!r} is not in reviews.csv")
    return Session(
        id=cells["session_id"],
        recording=Recording(
            uri=cells["uri"],
            source_guid=cells["node"],
            start=parse_utc(cells["start_utc"]),
            duration_s=dataset_table.number(cells["duration_s"]) if cells["duration_s"] else None,
            sha256=cells["sha256"],
            audio_uri=_audio(source, cells, options),
        ),
        absolute_time=cells["absolute_time"],
        round=cells["round"],
        detections=detections,
        model_runs=tuple(ModelRun.parse(item) for item in _list(cells["model_versions"])),
        reviews=reviews,
        blind=cells.get("blind") == "true",
    )


def _audio(source: str, cells: Mapping[str, str], options: ReadOptions) -> str:
    name = cells["wav_filename"]
    if options.audio is not None:
        name = f"{cells['session_id']}.wav"
    uri = storage.join(options.audio if options.audio is not None else storage.join(source, "wav"), name) if name else ""
    if options.audio_required and not (uri and storage.exists(uri)):
        raise InputError(f"its audio is not at {uri or 'any place that the release tells'}; name the folder with --audio")
    return uri


def _review(said: Line, drawn: list[Line]) -> Review:
    cells = said.cells
    annotations, rejected = [], []
    for line in drawn:
        try:
            if line.cells["outcome"] == "deleted":
                rejected.append(_detection(line.cells))
            else:
                annotations.append(_annotation(line.cells))
        except (InputError, ValueError, KeyError) as error:
            raise InputError(f"{line.where}: {error}") from error
    if len(annotations) != int(cells["boxes"]):
        raise InputError(f"{said.where}: {cells['boxes']} boxes were submitted, and review_boxes.csv holds {len(annotations)}")
    return Review(
        annotator=cells["annotator"],
        state=ReviewState(cells["review_state"]),
        annotations=tuple(annotations),
        rejected=tuple(rejected),
        submitted=parse_utc(cells["submitted_utc"]),
        ground_truth=cells["ground_truth"] == "true",
        note=cells["note"],
        heard=heard_of(cells),
    )


def heard_of(cells: Mapping[str, str]) -> Heard:
    """What a row of reviews.csv tells of the listening, where it has the columns. Raises InputError naming one that is wrong."""
    if "page_open_s" not in cells:
        return Heard()
    if cells["audio_loaded"] not in ("true", "false", ""):
        raise InputError(f"audio_loaded is {cells['audio_loaded']!r:.60}, expected true, false or nothing")
    return Heard(
        open_s=_seconds(cells, "page_open_s"),
        loaded=cells["audio_loaded"] == "true" if cells["audio_loaded"] else None,
        heard_s=_seconds(cells, "heard_s"),
        length_s=_seconds(cells, "page_length_s"),
        asked=tuple(_list(cells["asked"])),
    )


def _seconds(cells: Mapping[str, str], column: str) -> float | None:
    try:
        return dataset_table.number(cells[column]) if cells[column] else None
    except InputError as error:
        raise InputError(f"{column}: {error}") from error


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
