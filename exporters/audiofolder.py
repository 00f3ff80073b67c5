"""Hugging Face AudioFolder: the audio in one folder a split, with a metadata.csv beside it. See docs/formats/audiofolder.md."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain

from exporters.base import WriteOptions
from exporters.selection import Selection
from podcast import storage
from podcast.errors import InputError, Refusal, StorageError
from podcast.model import Review, Session
from podcast.report import Report
from podcast.reviews import COMPLETED, consensus
from podcast.session_spool import SessionSpool
from podcast.splits import SPLITS, Unit, assign, unit_of
from podcast.times import format_utc

COLUMNS = ("file_name", "session_id", "round", "review_state", "calls", "boxes", "node", "start_utc", "duration_s")


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """`train`, `dev` and `test` below the folder `to`, each with its WAVs and metadata.csv.

    The split is that of a first `podcast release` of the same sessions. A session whose audio cannot be read is refused.
    """
    with SessionSpool() as spool, ExitStack() as stack:
        given, splits = _kept(sessions, spool)
        tables: dict[str, Callable[[Iterable[str]], object]] = {}

        def put(folder: str, session: Session, review: Review) -> None:
            place = storage.join(folder, splits[session.id])
            cells = row(session, review)
            _copy(options, session, storage.join(place, cells[0]))
            for split in SPLITS:  # a split without sessions has an empty table
                uri = storage.join(folder, split, "metadata.csv")
                if uri not in tables:
                    tables[uri] = _metadata(stack, uri)
            tables[storage.join(place, "metadata.csv")](cells)

        return Selection(given, to, options).run(put)


def row(session: Session, review: Review) -> list[str]:
    """One session. `boxes` is JSON: a CSV cell holds no list, and `json.loads` reads it everywhere."""
    boxes = [
        {
            "start_s": item.event.start_s,
            "end_s": item.event.end_s,
            "low_hz": item.event.low_hz,
            "high_hz": item.event.high_hz,
            "label": item.label,
            "call_type": item.call_type,
            "certainty": str(item.certainty),
        }
        for item in review.annotations
    ]
    recording = session.recording
    return [
        f"{session.id}.wav",
        session.id,
        session.round,
        str(review.state),
        str(len(boxes)),
        json.dumps(boxes, ensure_ascii=False),
        recording.source_guid,
        format_utc(recording.start),
        "" if recording.duration_s is None else str(recording.duration_s),
    ]


def _kept(sessions: Iterable[Session | Refusal], spool: SessionSpool) -> tuple[Iterator[Session | Refusal], dict[str, str]]:
    """The same sessions, in order of their ids, and the split of each: that is known only once all have been seen."""
    units: dict[str, Unit] = {}
    others: list[Refusal] = []
    for session in sessions:
        if isinstance(session, Refusal):
            others.append(session)
        elif spool.add(session):
            said = consensus(session)
            units[session.id] = unit_of(session, usable=said.state in COMPLETED, calls=len(said.boxes))
        else:
            others.append(Refusal(f"session {session.id}", "a second task of this session; the first was taken"))
    ordered = (session for same in spool.by_id() for session in same)
    return chain(others, ordered), assign(list(units.values()), {})


def _metadata(stack: ExitStack, uri: str) -> Callable[[Iterable[str]], object]:
    text = io.TextIOWrapper(stack.enter_context(storage.open_write(uri)), "utf-8", newline="")
    stack.callback(text.detach)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    return writer.writerow


def _copy(options: WriteOptions, session: Session, to: str) -> None:
    try:
        file = options.open_audio(session.recording.audio_uri)
    except (InputError, StorageError) as error:
        raise InputError(f"its audio cannot be copied: {error}") from error
    with file, storage.open_write(to) as copy:
        shutil.copyfileobj(file, copy, 2**20)
