"""Pod.Cast's submit JSON, one file a session, an empty list where people heard no call. See docs/formats/podcast-json.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from exporters.base import WriteOptions
from exporters.folder import Folder
from podcast.errors import Refusal
from podcast.model import Review, Session
from podcast.report import Report


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One file a completed session below the folder `to`; see `Selection` for what is left out."""

    with Folder(to, "podcast-json", options) as target:

        def put(folder: str, session: Session, review: Review) -> None:
            target.add(folder, f"{session.id}.json", as_text(session, review))

        return target.run(sessions, put)


def as_text(session: Session, review: Review) -> str:
    """The submit file itself, on one line as Pod.Cast wrote it."""
    return json.dumps(as_json(session, review), ensure_ascii=False) + "\n"


def as_json(session: Session, review: Review) -> dict[str, Any]:
    """The submit file's content: boxes by time, in seconds on the millisecond grid."""
    return {
        "uri": session.recording.uri,
        "absolute_time": session.absolute_time,
        "source_guid": session.recording.source_guid,
        "annotations": [{"start_s": item.event.start_s, "duration_s": item.event.duration_s} for item in review.annotations],
    }
