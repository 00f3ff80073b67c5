"""Hugging Face AudioFolder: the audio in one folder a split, with a metadata.csv beside it. See docs/formats/audiofolder.md."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

from exporters.base import WriteOptions
from exporters.selection import Selection
from podcast import storage
from podcast.consensus import consensus
from podcast.errors import InputError, Refusal, StorageError
from podcast.model import Review, ReviewState, Session
from podcast.report import Report
from podcast.splits import SPLITS, Unit, assign, unit_of
from podcast.spool import Spool
from podcast.times import format_utc

COLUMNS = ("file_name", "session_id", "round", "review_state", "calls", "boxes", "node", "start_utc", "duration_s")


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """`train`, `dev` and `test` below the folder `to`, each with its WAVs and metadata.csv.

    The split is that of a first `podcast release` of the same sessions. A session whose audio cannot be read is refused.
    """
    units: dict[str, Unit] = {}
    selection = Selection(_noted(sessions, units), to, options)
    with Spool() as spool:
        for folder, session, review in selection:
            spool.add(folder, session.id, [session.recording.audio_uri, session.id, row(session, review)])
        splits = assign(list(units.values()), {})
        for folder, found in spool.groups():
            with ExitStack() as stack:
                tables = {split: _metadata(stack, storage.join(folder, split, "metadata.csv")) for split in SPLITS}
                for audio_uri, session_id, cells in found:
                    try:
                        _copy(audio_uri, storage.join(folder, splits[session_id], cells[0]))
                    except (InputError, StorageError) as error:
                        selection.report.refuse(Refusal(f"session {session_id}", f"its audio cannot be copied: {error}"))
                        selection.report.counts["written"] -= 1
                        continue
                    tables[splits[session_id]](cells)
    return selection.report


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


def _noted(sessions: Iterable[Session | Refusal], units: dict[str, Unit]) -> Iterator[Session | Refusal]:
    """The sessions, with what the split must know of each noted on the way: also of those that are not written."""
    for session in sessions:
        if isinstance(session, Session):
            found = consensus(session)
            usable = found.state in (ReviewState.CALLS, ReviewState.NO_CALLS)
            units[session.id] = unit_of(session, usable=usable, calls=len(found.boxes))
        yield session


def _metadata(stack: ExitStack, uri: str) -> Callable[[Iterable[str]], object]:
    text = io.TextIOWrapper(stack.enter_context(storage.open_write(uri)), "utf-8", newline="")
    stack.callback(text.detach)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    return writer.writerow


def _copy(audio_uri: str, to: str) -> None:
    with storage.open_read(audio_uri) as file, storage.open_write(to) as copy:
        shutil.copyfileobj(file, copy, 2**20)
