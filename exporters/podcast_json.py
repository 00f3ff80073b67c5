"""Pod.Cast's submit JSON: one file a session, `<session id>.json`, an empty list where people heard no call."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from exporters.base import WriteOptions
from exporters.selection import Selection
from podcast import storage
from podcast.errors import Refusal
from podcast.model import Review, Session
from podcast.report import Report


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One file a completed session below the folder `to`; see `Selection` for what is left out."""

    def put(folder: str, session: Session, review: Review) -> None:
        storage.write(storage.join(folder, f"{session.id}.json"), as_bytes(session, review))

    return Selection(sessions, to, options).run(put)


def as_bytes(session: Session, review: Review) -> bytes:
    """The submit file itself, on one line as Pod.Cast wrote it."""
    return (json.dumps(as_json(session, review), ensure_ascii=False) + "\n").encode()


def as_json(session: Session, review: Review) -> dict[str, Any]:
    """The submit file's content: boxes by time, in seconds on the millisecond grid."""
    return {
        "uri": session.recording.uri,
        "absolute_time": session.absolute_time,
        "source_guid": session.recording.source_guid,
        "annotations": [{"start_s": item.event.start_s, "duration_s": item.event.duration_s} for item in review.annotations],
    }
