"""Hugging Face AudioFolder: a folder of WAVs with a metadata.parquet for each split. See docs/formats/audiofolder.md."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from exporters.base import WriteOptions, audio_address
from exporters.folder import Folder
from exporters.selection import check_texts, refusal
from exporters.wav import check_digest, check_length
from podcast import audio
from podcast.errors import InputError, Refusal, StorageError
from podcast.model import Review, Session
from podcast.report import Report
from podcast.reviews import COMPLETED, calls_of, consensus
from podcast.session_spool import SessionSpool
from podcast.splits import Unit, assign, unit_of
from podcast.spool import Spool
from podcast.times import format_utc

if TYPE_CHECKING:
    import pyarrow

FILE = "metadata.parquet"
BLOCK = 2**20
ROWS_AT_ONCE = 2**10


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """`train`, `dev` and `test` below the folder `to`, each with its WAVs and metadata.parquet.

    The split is that of a first `podcast release` of the same sessions. A session whose audio cannot be read, or is not the audio
    that was labelled, is refused.
    """
    schema = _schema()
    with Folder(to, "audiofolder", options) as target, SessionSpool() as spool, Spool() as rows:
        given, splits = _kept(sessions, spool)

        def put(folder: str, session: Session, review: Review) -> None:
            place = f"{folder}/{splits[session.id]}" if folder else splits[session.id]
            duration_s, digest = _examined(session, review, options)
            target.add_made(place, f"{session.id}.wav", partial(_content, session, options, digest), digest)
            rows.add(place, session.id, row(session, review, duration_s))

        def tables() -> None:
            for place in [group for group, _ in rows.groups()]:
                target.add_made(place, FILE, partial(_parquet, rows, place, schema))

        return target.run(given, put, tables, every_source=True)


def row(session: Session, review: Review, duration_s: float) -> dict[str, Any]:
    """One session, by column."""
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
    return {
        "file_name": f"{session.id}.wav",
        "session_id": session.id,
        "round": session.round,
        "review_state": str(review.state),
        "calls": len(calls_of(review.annotations)),
        "boxes": boxes,
        "node": recording.source_guid,
        "start_utc": format_utc(recording.start),
        "duration_s": duration_s,
    }


def _schema() -> pyarrow.Schema:
    """Types of the columns, the same for every split whatever is in it. Raises InputError where pyarrow is not installed."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise InputError("audiofolder needs pyarrow: install orcasound-podcast[audiofolder]") from error
    hz, text = pa.float64(), pa.string()
    box = {"start_s": hz, "end_s": hz, "low_hz": hz, "high_hz": hz, "label": text, "call_type": text, "certainty": text}
    columns = dict.fromkeys(("file_name", "session_id", "round", "review_state"), text)
    columns |= {"calls": pa.int64(), "boxes": pa.list_(pa.struct(list(box.items()))), "node": text, "start_utc": text}
    return pa.schema([*columns.items(), ("duration_s", pa.float64())])


def _parquet(rows: Spool, place: str, schema: pyarrow.Schema) -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    with tempfile.TemporaryFile() as file:
        with parquet.ParquetWriter(file, schema) as writer:
            values = rows.group(place)
            while some := list(islice(values, ROWS_AT_ONCE)):
                writer.write_table(pa.Table.from_pylist(some, schema))
        file.seek(0)
        while block := file.read(BLOCK):
            yield block


def _kept(sessions: Iterable[Session | Refusal], spool: SessionSpool) -> tuple[Iterator[Session | Refusal], dict[str, str]]:
    """The same sessions, in order of their ids, and the split of each: that is known only once all have been seen."""
    units: dict[str, Unit] = {}
    others: list[Refusal] = []
    for session in sessions:
        if isinstance(session, Refusal):
            others.append(session)
            continue
        try:
            check_texts(session)
            said = consensus(session)
            unit = unit_of(session, usable=said.state in COMPLETED, calls=len(said.calls))
        except InputError as error:
            others.append(refusal(session, error))
            continue
        if spool.add(session):
            units[session.id] = unit
        else:
            others.append(refusal(session, InputError("a second task of this session; the first was taken")))
    ordered = (session for same in spool.by_id() for session in same)
    return chain(others, ordered), assign(list(units.values()), {})


def _examined(session: Session, review: Review, options: WriteOptions) -> tuple[float, str]:
    """Length in seconds and sha256 of the session's WAV."""
    source = audio_address(session, options.audio)
    try:
        with options.open(session) as file:
            last_box_s = max((item.event.end_s for item in review.annotations), default=0.0)
            duration_s = check_length(file, source, session, last_box_s)
            return session.recording.duration_s or duration_s, check_digest(audio.sha256(file), source, session)
    except StorageError as error:
        raise InputError(f"its audio cannot be read: {error}; name the folder that holds it with --audio") from error


def _content(session: Session, options: WriteOptions, digest: str) -> Iterator[bytes]:
    with options.open(session) as file:
        if audio.sha256(file) != digest:
            raise StorageError(f"{audio_address(session, options.audio)} changed while it was exported; export again")
        while block := file.read(BLOCK):
            yield block
