"""Released Pod.Cast datasets, in every variant that is known, so that an old round can be corrected and come out clean.

A release of this project is read whole (`importers.release`). Older ones are tables without review states or annotators: see
docs/formats/dataset.md for their columns, and what becomes of each.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime

from importers import release
from importers.base import ReadOptions, own_name
from importers.recordings import AudioFolder
from importers.tags import meaning
from podcast import storage
from podcast.dataset_table import DatasetTable, Row
from podcast.errors import InputError, PodcastError, Refusal, StorageError
from podcast.model import Annotation, Detection, ModelRun, Outcome, Review, ReviewState, Session, SoundEvent
from podcast.nodes import node_of_location
from podcast.reviews import state_of
from podcast.spool import Spool
from podcast.times import pacific_to_utc

DATE_FORMS = ("%Y-%m-%d", "%m/%d/%Y", "%Y_%m_%d")
ANNOTATOR = "released"

_LOG = logging.getLogger(__name__)


def read(source: str, options: ReadOptions) -> Iterator[Session | Refusal]:
    """The sessions of a release, by name of their WAV. `source` is its folder, or one of its tables.

    One bad line refuses its whole session: without one of its boxes a session would say "no call" where there was one. With
    `options.model_version` the boxes come as that model's detections, to be corrected as pre-labels, and not as a review. WAVs of
    a folder that no table names come unreviewed. Tags that are not in importers/tags.tsv are logged with how often they stand
    there.
    """
    is_table = source.lower().endswith(".tsv")
    if not is_table and release.is_release(source):
        yield from release.read(source, options)
        return
    wavs = storage.join(folder_of(source), "wav")
    audio = AudioFolder(options.audio, wavs, required=options.audio_required)
    unknown: Counter[str] = Counter()
    with Spool() as spool:
        for number, uri in enumerate(_tables(source)):
            yield from _load(uri, number, spool)
        for wav, rows in spool.groups():
            try:
                yield _session(wav, [Row(**row) for row in rows], audio, options, unknown, own_name(source))
            except PodcastError as error:
                yield Refusal(f"{source}, {wav}", str(error))
        if not is_table:
            yield from _unreviewed(options.audio or wavs, spool, audio, options, own_name(source))
    for tag, count in sorted(unknown.items()):
        _LOG.warning("%s: unknown tag %r, %d times: kept as an uncertain call; add it to importers/tags.tsv", source, tag, count)


def _tables(source: str) -> list[str]:
    if source.lower().endswith(".tsv"):
        return [source]
    root = source.rstrip("/") + "/"
    found = [uri for uri in storage.list_files(source, ".tsv") if "/" not in uri.removeprefix(root)]
    if not found:
        raise InputError(f"{source}: there is no .tsv table; expected a released dataset, with train.tsv, dev.tsv or test.tsv")
    return found


def _load(uri: str, table_number: int, spool: Spool) -> Iterator[Refusal]:
    """Keep the table's rows by WAV, in their order; those that name none are refused."""
    with closing(storage.open_read(uri)) as file:
        table = DatasetTable(file, uri)
        if table.are_predictions:
            raise InputError(f"{uri}: these are predictions; import them with --from predictions-tsv")
        for number, row in enumerate(table):
            if not row.wav_filename:
                yield Refusal(row.where, row.problem)
                continue
            spool.add(row.wav_filename, f"{table_number:06d}/{number:09d}", asdict(row))


def folder_of(source: str) -> str:
    """The folder of a dataset, which may be named by one of its tables."""
    return (source.rpartition("/")[0] or ".") if source.lower().endswith(".tsv") else source


def _session(
    wav: str, rows: list[Row], audio: AudioFolder, options: ReadOptions, unknown: Counter[str], round_name: str
) -> Session:
    first = rows[0]
    node = options.source_guid or node_of_location(first.location)
    recording, name = audio.recording(storage.stem(wav), wav, node)
    tape = ""
    if name.parent_start is None:
        start = _start(first)
        recording = replace(recording, start=start)
        tape = "" if start else first.identifier
    annotator = first.dataset or ANNOTATOR
    boxes = [box for row in rows if (box := _annotation(row, annotator, recording.duration_s, unknown))]
    state = state_of(boxes)
    if 0 < len(boxes) < len(rows):  # a line of zeros beside boxes: nobody can tell what was meant
        state = ReviewState.UNSURE
    boxes.sort(key=lambda box: box.event.start_s)
    session = Session(storage.stem(wav), recording, tape or name.parent, first.dataset or round_name)
    if options.model_version:
        run = ModelRun.parse(options.model_version)
        detections = sorted({Detection(SoundEvent(box.event.start_s, box.event.end_s), box.label, 1.0, run) for box in boxes})
        return replace(session, detections=tuple(detections), model_runs=(run,))
    return replace(session, reviews=(Review(annotator, state, tuple(boxes)),))


def _annotation(row: Row, annotator: str, length_s: float | None, unknown: Counter[str]) -> Annotation | None:
    """The box of one line, None for a line of zeros."""
    if row.problem:
        raise InputError(f"{row.where}: {row.problem}")
    if row.start_s == row.duration_s == 0:
        return None
    try:
        event = SoundEvent(row.start_s, row.start_s + row.duration_s)
    except InputError as error:
        raise InputError(f"{row.where}: {error}") from error
    if length_s is not None and event.start_s >= length_s:
        raise InputError(f"{row.where}: the box begins at {event.start_s} s, past the end of the audio at {length_s} s")
    found = meaning(row.tag)
    if not found.known:
        unknown[row.tag] += 1
    return Annotation(event, found.label, found.certainty, annotator, Outcome.ADDED, None, found.call_type, found.note)


def _start(row: Row) -> datetime | None:
    """UTC start from date and Pacific time of day, where the name tells none; None if the line names a tape instead."""
    for form in DATE_FORMS:
        try:
            return pacific_to_utc(datetime.strptime(f"{row.date} {row.identifier}", f"{form} %H:%M:%S"))
        except ValueError:
            continue
    return None


def _unreviewed(
    folder: str, named: Spool, audio: AudioFolder, options: ReadOptions, round_name: str
) -> Iterator[Session | Refusal]:
    """WAVs that no line names: nobody says that they hold no call."""
    try:
        files = list(storage.list_files(folder, ".wav"))
    except StorageError:
        return
    for uri in files:
        if next(named.group(storage.file_name(uri)), None) is not None:
            continue
        try:
            recording, name = audio.recording(storage.stem(uri), storage.file_name(uri), options.source_guid)
            yield Session(storage.stem(uri), recording, name.parent, round_name)
        except PodcastError as error:
            yield Refusal(uri, str(error))
