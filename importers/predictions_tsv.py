"""A model's predictions as a table: `wav_filename start_time_s duration_s confidence`, tab separated, with header.

Published files hold one row a scoring window, without a threshold. Rows over the threshold that touch are one box, with their
highest confidence. A file with a fifth column `model_version` was written by `podcast detect`: its rows are boxes already and
are taken as they are. See docs/formats/predictions-tsv.md.
"""

from __future__ import annotations

import csv
import io
import itertools
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing

from importers.base import ReadOptions
from importers.recordings import AudioFolder
from podcast import storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import CALL, Detection, ModelRun, Session, SoundEvent

COLUMNS = ("wav_filename", "start_time_s", "duration_s", "confidence")
WINDOW_THRESHOLD = 0.5
TOUCH_S = 0.0015
"""Windows whose borders lie this close touch; borders are rounded to the millisecond."""

Row = tuple[str, float, float, float, str]


def read(source: str, options: ReadOptions) -> Iterator[Session | Refusal]:
    """One session a file name, in order of their names; a bad line is refused and the session's other lines are kept."""
    folder = AudioFolder(options.audio, source.rpartition("/")[0] or ".", required=options.audio_required)
    with closing(sqlite3.connect("")) as database, storage.open_read(source) as file:
        database.execute("CREATE TABLE row (wav TEXT, start_s REAL, duration_s REAL, confidence REAL, version TEXT)")
        lines = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""), delimiter="\t")
        if missing := [column for column in COLUMNS if column not in (lines.fieldnames or [])]:
            raise InputError(f"{source}, line 1: columns {missing} are missing; expected {list(COLUMNS)}")
        boxes = "model_version" in (lines.fieldnames or [])
        for line in lines:
            try:
                database.execute("INSERT INTO row VALUES (?, ?, ?, ?, ?)", _row(line, options, boxes=boxes))
            except InputError as error:
                yield Refusal(f"{source}, line {lines.line_num}", str(error))
        query = "SELECT * FROM row ORDER BY wav, version, start_s, duration_s"
        for wav, rows in itertools.groupby(database.execute(query), key=lambda row: str(row[0])):
            try:
                yield _session(wav, list(rows), options, folder, boxes=boxes)
            except PodcastError as error:
                yield Refusal(f"{source}, {wav}", str(error))


def _row(line: Mapping[str, str | None], options: ReadOptions, *, boxes: bool) -> Row:
    numbers = []
    for column in COLUMNS[1:]:
        try:
            numbers.append(float(line[column] or ""))
        except ValueError as error:
            raise InputError(f"{column}: expected a number, not {line[column]!r}") from error
    start_s, duration_s, confidence = numbers
    if not line["wav_filename"]:
        raise InputError("wav_filename is empty")
    version = (line.get("model_version") if boxes else options.model_version) or "predictions"
    if duration_s or start_s:
        Detection(SoundEvent(start_s, start_s + duration_s), CALL, confidence, ModelRun.parse(version))
    return line["wav_filename"], start_s, duration_s, confidence, version


def _session(wav: str, rows: list[Row], options: ReadOptions, folder: AudioFolder, *, boxes: bool) -> Session:
    session_id = storage.stem(wav)
    recording, name = folder.recording(session_id, wav, options.source_guid)
    threshold = options.threshold if options.threshold is not None else 0.0 if boxes else WINDOW_THRESHOLD
    detections = [
        Detection(SoundEvent(start_s, start_s + duration_s), CALL, confidence, ModelRun.parse(version))
        for _, start_s, duration_s, confidence, version in rows
        if duration_s and confidence >= threshold
    ]
    runs = sorted({ModelRun.parse(row[4]) for row in rows})
    kept = detections if boxes else list(_joined(detections))
    return Session(session_id, recording, name.parent, detections=tuple(sorted(kept)), model_runs=tuple(runs))


def _joined(windows: list[Detection]) -> Iterator[Detection]:
    """Windows in time order, those that touch or overlap as one box with their highest confidence."""
    box: Detection | None = None
    for window in windows:
        if box and window.model_run == box.model_run and window.event.start_s <= box.event.end_s + TOUCH_S:
            event = SoundEvent(box.event.start_s, max(box.event.end_s, window.event.end_s))
            box = Detection(event, box.label, max(box.confidence, window.confidence), box.model_run)
        else:
            if box:
                yield box
            box = window
    if box:
        yield box
