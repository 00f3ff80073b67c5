"""OrcaHello detections, reviewed: one JSON a session. See docs/formats/orcahello.md."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from exporters.base import WriteOptions
from exporters.folder import Folder
from exporters.makers import tag_of
from podcast.errors import InputError, Refusal
from podcast.model import CALL, Annotation, Review, ReviewState, Session, Sighting
from podcast.nodes import find_node
from podcast.report import Report
from podcast.reviews import calls_of
from podcast.times import format_utc
from podcast.vocabulary import SRKW_CALL, is_call, of_tag, source, sources

PREFIX = "orcahello"
STATES = {ReviewState.CALLS: "Positive", ReviewState.NO_CALLS: "Negative"}


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One file `<session id>.json` a completed session below the folder `to`. A session whose start is unknown is refused."""

    with Folder(to, "orcahello", options) as target:

        def put(folder: str, session: Session, review: Review) -> None:
            content = json.dumps(as_json(session, review), indent=2, ensure_ascii=False) + "\n"
            target.add(folder, f"{session.id}.json", content)

        return target.run(sessions, put, every_source=True)


def as_json(session: Session, review: Review) -> dict[str, Any]:
    """The detection: times in seconds, `timestamp` UTC, `whaleFoundConfidence` 0 to 100, `confidence` 0 to 1.

    `predictions` are the calls alone, and `tags` name the other sounds. `confidence` is that of the prediction which a box came
    from, 1 for a box that a person added. Raises InputError if the session's start is unknown.
    """
    recording, node = session.recording, find_node(session.recording.source_guid)
    if recording.start is None:
        raise InputError("its start is unknown, and an OrcaHello detection has a timestamp")
    calls = calls_of(review.annotations)
    confidences = [_confidence(item) for item in calls]
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
            for number, (item, confidence) in enumerate(zip(calls, confidences, strict=True))
        ],
        "comments": review.note or "; ".join(filter(None, (item.description for item in _stored(session)))),
        "dateModerated": format_utc(review.submitted),
        "moderator": review.annotator,
        "tags": sorted({*_tags(review), *_other_tags(session)}),
    }


def _tags(review: Review) -> Iterator[str]:
    """Call types, and orcasite's tags of the sources that a label tells apart."""
    for item in review.annotations:
        if item.call_type and is_call(item.label):
            yield item.call_type
        if item.label != CALL and (found := source(item.label)):
            yield tag_of(found)


def _other_tags(session: Session) -> Iterator[str]:
    """The stored tags that say neither source nor call type: what was heard is now what people marked."""
    keys = {item.key for item in sources()}
    for item in _stored(session):
        yield from (tag for tag in item.tags if of_tag(tag) is None and tag not in keys and not SRKW_CALL.fullmatch(tag))


def _stored(session: Session) -> Iterator[Sighting]:
    """The detections of OrcaHello that the session was made for."""
    return (item for item in session.sightings if item.source.startswith(PREFIX))


def _confidence(item: Annotation) -> float:
    return item.detection.confidence if item.detection else 1.0
