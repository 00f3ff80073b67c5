"""OrcaHello detections, reviewed: one JSON a session. See docs/formats/orcahello.md."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from exporters.base import WriteOptions
from exporters.folder import Folder
from podcast.errors import InputError, Refusal
from podcast.model import Annotation, Review, ReviewState, Session
from podcast.nodes import find_node
from podcast.report import Report
from podcast.times import format_utc

STATES = {ReviewState.CALLS: "Positive", ReviewState.NO_CALLS: "Negative"}


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One file `<session id>.json` a completed session below the folder `to`. A session whose start is unknown is refused."""

    with Folder(to, "orcahello", options) as target:

        def put(folder: str, session: Session, review: Review) -> None:
            content = json.dumps(as_json(session, review), indent=2, ensure_ascii=False) + "\n"
            target.add(folder, f"{session.id}.json", content)

        return target.run(sessions, put)


def as_json(session: Session, review: Review) -> dict[str, Any]:
    """The detection: times in seconds, `timestamp` UTC, `whaleFoundConfidence` 0 to 100, `confidence` 0 to 1.

    `confidence` is that of the prediction which a box came from, 1 for a box that a person added. Raises InputError if the
    session's start is unknown.
    """
    recording, node = session.recording, find_node(session.recording.source_guid)
    if recording.start is None:
        raise InputError("its start is unknown, and an OrcaHello detection has a timestamp")
    confidences = [_confidence(item) for item in review.annotations]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{session.round}/{session.id}")),
        "state": STATES[review.state],
        "locationName": node.name,
        "audioUri": recording.uri,
        "imageUri": "",
        "timestamp": format_utc(recording.start),
        "whaleFoundConfidence": round(100 * max(confidences, default=0.0), 6),
        "location": {"id": node.source_guid, "name": node.name, "longitude": node.longitude, "latitude": node.latitude},
        "predictions": [
            {"id": number, "startTime": item.event.start_s, "duration": item.event.duration_s, "confidence": confidence}
            for number, (item, confidence) in enumerate(zip(review.annotations, confidences, strict=True))
        ],
        "comments": review.note,
        "dateModerated": format_utc(review.submitted),
        "moderator": review.annotator,
        "tags": sorted({item.call_type for item in review.annotations if item.call_type}),
    }


def _confidence(item: Annotation) -> float:
    return item.detection.confidence if item.detection else 1.0
