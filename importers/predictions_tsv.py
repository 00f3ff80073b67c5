"""A model's predictions as a table: `wav_filename start_time_s duration_s confidence`, tab separated, with header.

Published files hold one row a scoring window, without a threshold. Rows over the threshold that touch are one box, with their
highest confidence. A file with a fifth column `model_version` was written by `podcast detect`: its rows are boxes already and
are taken as they are. A column `label` names the class of each row, for models that tell sounds apart. See
docs/formats/predictions-tsv.md.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from importers.base import ReadOptions
from importers.recordings import AudioFolder
from podcast import storage
from podcast.dataset_table import DatasetTable, Row
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import CALL, Detection, ModelRun, Session, SoundEvent
from podcast.overlap import joined
from podcast.vocabulary import of_name

WINDOW_THRESHOLD = 0.5
Kept = tuple[str, float, float, float, str, str]
"""WAV, start and duration in seconds, confidence, model version, label."""


def read(source: str, options: ReadOptions) -> Iterator[Session | Refusal]:
    """One session a file name, in order of their names; a bad line is refused and the session's other lines are kept."""
    folder = AudioFolder(options.audio, source.rpartition("/")[0] or ".", required=options.audio_required)
    with closing(sqlite3.connect("")) as database, storage.open_read(source) as file:
        database.execute("CREATE TABLE row (wav TEXT, start_s REAL, duration_s REAL, confidence REAL, version TEXT, label TEXT)")
        table = DatasetTable(file, source)
        if not table.are_predictions:
            raise InputError(f"{source}, line 1: there is no column confidence; import a table of labels with --from dataset")
        for row in table:
            if not options.wants(storage.stem(row.wav_filename)):
                continue
            try:
                database.execute("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?)", _checked(row, options))
            except InputError as error:
                yield Refusal(row.where, str(error))
        query = "SELECT * FROM row ORDER BY wav, version, label, start_s, duration_s"
        for wav, rows in itertools.groupby(database.execute(query), key=lambda row: str(row[0])):
            try:
                yield _session(wav, list(rows), options, folder, boxes=table.are_boxes)
            except PodcastError as error:
                yield Refusal(f"{source}, {wav}", str(error))


def _checked(row: Row, options: ReadOptions) -> Kept:
    """A row as it is kept. Raises InputError for one that cannot be a box."""
    if row.problem:
        raise InputError(row.problem)
    if row.duration_s or row.start_s:
        SoundEvent(row.start_s, row.start_s + row.duration_s)
    version = row.model_version or options.model_version or "predictions"
    meant = of_name(row.label) if row.label else None
    if row.label and meant is None:
        raise InputError(f"label: {row.label[:60]!r} is no source of vocabulary.csv, nor a class of pods-ai or DCLDE")
    label = meant.name if meant else CALL
    return row.wav_filename, row.start_s, row.duration_s, row.confidence or 0.0, version, label


def _session(wav: str, rows: list[Kept], options: ReadOptions, folder: AudioFolder, *, boxes: bool) -> Session:
    session_id = storage.stem(wav)
    recording, name = folder.recording(session_id, wav, options.source_guid)
    threshold = options.threshold if options.threshold is not None else 0.0 if boxes else WINDOW_THRESHOLD
    found: list[Detection] = []
    for (version, label), same in itertools.groupby(rows, key=lambda row: row[4:]):
        windows = [(start_s, start_s + duration_s, score) for _, start_s, duration_s, score, *_ in same if duration_s]
        kept = (window for window in windows if window[2] >= threshold)
        found += [
            Detection(SoundEvent(start_s, end_s), label, confidence, ModelRun.parse(version))
            for start_s, end_s, confidence in (kept if boxes else joined(kept))
        ]
    runs = sorted({ModelRun.parse(row[4]) for row in rows})
    return Session(session_id, recording, name.parent, detections=tuple(sorted(found)), model_runs=tuple(runs))
