"""Bouts: stretches of time in which one source was heard at one node, with their evidence. See docs/formats/bouts.md."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from exporters.base import CONFIDENCES, WriteOptions
from exporters.folder import Folder
from exporters.makers import maker, tag_of
from podcast.errors import InputError, Refusal
from podcast.model import Annotation, Review, Session
from podcast.nodes import find_node
from podcast.reading import parse_json
from podcast.report import Report
from podcast.spool import Spool
from podcast.times import format_utc
from podcast.vocabulary import SIGNALS, Kind, Source, sources

SILENCE_S = 900.0
"""A bout ends where its source is not detected for this long."""
ALGORITHM = "podcast-1, 900 s"
TABLE, LIST = "bouts.csv", "bouts.json"
COLUMNS = (
    *("id", "node", "start", "end", "type", "source", "title", "tags", "confidence", "status", "reviewed_by"),
    *("algorithm_version", "coincident_with", "detections", "signals"),
)
CERTAIN = 1.0
Bout = dict[str, Any]


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """`bouts.json` and `bouts.csv` below the folder `to`, by node and start.

    A session whose start or node is unknown is refused. What is in no bout, above all a session without a named sound, is in the
    sidecar, and a warning counts it.
    """
    with Folder(to, "bouts", options) as target, Spool() as detected, Spool() as found:
        folders: set[str] = set()

        def put(folder: str, session: Session, review: Review) -> None:
            told = list(detections(session, review))
            folders.add(folder)
            for source, detection in told:
                place = (folder, session.recording.source_guid, source.key)
                detected.add(json.dumps(place), f"{detection['first']}/{session.id}", detection)

        def files() -> None:
            for place, members in detected.groups():
                folder, node, key = parse_json(place.encode(), LIST)
                for bout in joined(members, node, next(item for item in sources() if item.key == key)):
                    found.add(folder, f"{node}/{bout['start']}/{key}", bout)
            for folder in sorted(folders):
                target.add_made(folder, LIST, partial(_as_json, found, folder))
                target.add_made(folder, TABLE, partial(_as_csv, found, folder))

        report = target.run(sessions, put, files, holds=is_whole, every_source=True)
        if count := sum(1 for folder in folders for _ in found.group(folder)):
            report.counts["bouts"] = count
    return report


def named(session: Session, item: Annotation) -> Source | None:
    """The source of a box that may be in a bout: one of a kind that bouts have a type for."""
    found = maker(session, item)
    return found if found and found.kind is not Kind.UNKNOWN else None


def is_whole(session: Session, review: Review) -> bool:
    """Whether every box of a review is in a bout, and there is one."""
    return bool(review.annotations) and all(named(session, item) for item in review.annotations)


def detections(session: Session, review: Review) -> Iterator[tuple[Source, dict[str, Any]]]:
    """One detection for each source of a review, with its first and last moment.

    Raises InputError for an unknown start or node.
    """
    recording = session.recording
    if recording.start is None:
        raise InputError("its start is unknown, and a bout is a stretch of time")
    if not recording.source_guid:
        raise InputError("its node is unknown, and a bout is heard at one")
    boxes: dict[str, list[Annotation]] = {}
    by_key = {}
    for item in review.annotations:
        if source := named(session, item):
            boxes.setdefault(source.key, []).append(item)
            by_key[source.key] = source
    for key, items in boxes.items():
        identity = _id(recording.source_guid, key, session.id)
        annotations = [_annotation(identity, number, by_key[key], item) for number, item in enumerate(items)]
        yield (
            by_key[key],
            {
                "first": _moment(recording.start, min(item.event.start_s for item in items)),
                "last": _moment(recording.start, max(item.event.end_s for item in items)),
                "who": review.annotator,
                "when": format_utc(review.submitted),
                "detection": {
                    "id": identity,
                    "session_id": session.id,
                    "node": recording.source_guid,
                    "timestamp": format_utc(recording.start),
                    "duration_s": recording.duration_s,
                    "annotations": annotations,
                    "tags": _union(item["tags"] for item in annotations),
                    "confidence": max(item["confidence"] for item in annotations),
                    "reporter_id": review.annotator,
                    "audio_uri": recording.uri,
                    "spectrogram_uri": "",
                    "description": review.note,
                },
            },
        )


def joined(detected: Iterable[dict[str, Any]], node: str, source: Source) -> Iterator[Bout]:
    """Bouts of one source at one node, from its detections in order of their first signals."""
    held: list[dict[str, Any]] = []
    end = ""
    for item in detected:
        if held and _seconds(end, item["first"]) >= SILENCE_S:
            yield _bout(held, node, source, end)
            held, end = [], ""
        held.append(item)
        end = max(end, item["last"])
    if held:
        yield _bout(held, node, source, end)


def _bout(held: list[dict[str, Any]], node: str, source: Source, end: str) -> Bout:
    start = held[0]["first"]
    evidence = [item["detection"] for item in held]
    confidence = max(item["confidence"] for item in evidence)
    status = "ready" if confidence == CERTAIN else "needs_review"
    steps = [{"who": item["who"], "when": item["when"], "field": "status", "from": "new", "to": status} for item in held]
    return {
        "id": _id(node, source.key, start),
        "node": node,
        "start": start,
        "end": end,
        "type": str(source.kind),
        "source": source.key,
        "title": f"{source.name} at {find_node(node).name}, {start[:16].replace('T', ' ')} UTC",
        "tags": _union(item["tags"] for item in evidence),
        "confidence": confidence,
        "status": status,
        "reviewed_by": sorted({item["who"] for item in held}),
        "algorithm_version": ALGORITHM,
        "coincident_with": [],
        "review_history": sorted(steps, key=lambda step: (step["when"], step["who"])),
        "detections": evidence,
    }


def coincident(bouts: Iterable[Bout]) -> Iterator[Bout]:
    """The bouts, given by node and start, each with those of other sources at its node that it overlaps in time.

    No more are held than overlap the first of those that are held.
    """
    held: list[Bout] = []
    for bout in bouts:
        while held and not _reaches(held[0], bout):
            yield held.pop(0)
        for other in held:
            if _reaches(other, bout):
                other["coincident_with"].append(bout["id"])
                bout["coincident_with"].append(other["id"])
        held.append(bout)
    yield from held


def _reaches(bout: Bout, later: Bout) -> bool:
    """Whether a bout lasts into another one at its node that does not begin before it."""
    return bool(bout["node"] == later["node"] and later["start"] < bout["end"])


def _as_json(found: Spool, folder: str) -> Iterator[bytes]:
    separator = '{"bouts": [\n'
    for bout in coincident(found.group(folder)):
        yield (separator + json.dumps(bout, ensure_ascii=False)).encode()
        separator = ",\n"
    yield b"\n]}\n" if separator == ",\n" else b'{"bouts": []}\n'


def _as_csv(found: Spool, folder: str) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for bout in coincident(found.group(folder)):
        row = {
            **bout,
            "detections": [item["session_id"] for item in bout["detections"]],
            "signals": sum(len(item["annotations"]) for item in bout["detections"]),
        }
        writer.writerow(";".join(value) if isinstance(value := row[column], list) else value for column in COLUMNS)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _annotation(identity: str, number: int, source: Source, item: Annotation) -> dict[str, Any]:
    """A box: its offsets are seconds from the detection's timestamp."""
    said = SIGNALS.get(item.call_type, item.call_type) if source.is_orca else None
    return {
        "id": f"{identity}/{number}",
        "start_offset_s": item.event.start_s,
        "end_offset_s": item.event.end_s,
        "confidence": CONFIDENCES[item.certainty],
        "label": item.label,
        "tags": [tag_of(source), *([said] if said else [])],
        "description": item.note,
    }


def _union(lists: Iterable[list[str]]) -> list[str]:
    return sorted({tag for tags in lists for tag in tags})


def _moment(start: datetime, offset_s: float) -> str:
    return format_utc(start + timedelta(milliseconds=round(offset_s * 1000)))


def _seconds(earlier: str, later: str) -> float:
    first, second = (datetime.fromisoformat(text).astimezone(UTC) for text in (earlier, later))
    return (second - first).total_seconds()


def _id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))
