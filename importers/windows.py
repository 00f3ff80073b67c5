"""Windows of the archive that other files name: stored OrcaHello detections, Orcasound's bouts, and pods-ai's tables."""

from __future__ import annotations

import io
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from importers import orcahello, pods_ai
from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import Session, Sighting
from podcast.reading import Table, parse_json
from podcast.times import parse_utc

STARTS = ("startTime", "start_time", "start")
ENDS = ("endTime", "end_time", "end")
NODES = ("nodeName", "node_name", "source_guid", "node")
NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""What the archive names a folder for."""
JSON_START = re.compile(rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*[{\[]")
"""Of JSON, byte order marks included; all else is a table."""
EXACT = "*"
"""Beside the columns: whether times are those of the sounds themselves."""
PROBLEM = ""
"""In place of a column, in an entry that cannot be read: why."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """From `start` to `end` (UTC) at one node, and what was reported of it."""

    node: str
    start: datetime
    end: datetime
    sightings: tuple[Sighting, ...] = field(default=(), compare=False)

    def noted(self, session: Session) -> Session:
        """The session of this window, with the reports whose stretch of time it shares."""
        start, length_s = session.recording.start, session.recording.duration_s
        if start is None or not self.sightings:
            return session
        end = start + timedelta(seconds=length_s or 0)
        return replace(session, sightings=tuple(item for item in self.sightings if item.start < end and start < item.end))


def read_windows(uri: str, margin_s: float = 0.0) -> tuple[list[Window], list[Refusal]]:
    """The windows that a file names (JSON, or CSV with a header), each `margin_s` longer at both ends, and what is no window.

    Windows of one node that touch are joined, so that no minute is imported twice.
    """
    content = storage.read(uri)
    found: list[Window] = []
    refusals: list[Refusal] = []
    for where, entry in _entries(content, uri):
        try:
            window = to_window(entry)
            margin = timedelta(seconds=margin_s)
            found.append(replace(window, start=window.start - margin, end=window.end + margin))
        except InputError as error:
            refusals.append(Refusal(where, str(error)))
    return list(_joined(sorted(found))), refusals


def to_window(entry: Mapping[str, Any]) -> Window:
    """One detection or bout. Raises InputError naming the field that is missing or wrong."""
    if problem := entry.get(PROBLEM):
        raise InputError(str(problem))
    if all(isinstance(entry.get(column), str) for column in pods_ai.COLUMNS):
        sighting = pods_ai.sighting(entry, exact=bool(entry.get(EXACT)))
        return Window(_node(sighting.node), sighting.start, sighting.end, (sighting,))
    feed = entry.get("feed") or entry.get("location") or {}
    node = next((entry[name] for name in NODES if entry.get(name)), "")
    if not node and isinstance(feed, Mapping):
        node = next((feed[name] for name in (*NODES, "id") if feed.get(name)), "")
    if not node:
        raise InputError("names no node; expected source_guid, or feed.nodeName, or node")
    node = _node(node)
    if "timestamp" in entry:
        start = _time(entry, ("timestamp",))
        end = start + timedelta(seconds=orcahello.CLIP_S)
        return Window(node, start, end, (orcahello.sighting(entry, node, start),))
    start, end = _time(entry, STARTS), _time(entry, ENDS)
    if not start < end:
        raise InputError(f"ends at {end.isoformat()}, before it starts")
    return Window(node, start, end)


def _node(name: Any) -> str:
    if not (isinstance(name, str) and NODE.fullmatch(name)):
        raise InputError(f"{reprlib.repr(name)} is no node's name, such as rpi_orcasound_lab")
    return name


def _time(entry: Mapping[str, Any], names: tuple[str, ...]) -> datetime:
    for name in names:
        if entry.get(name):
            moment = parse_utc(str(entry[name]))
            if moment:
                return moment
    raise InputError(f"{names[0]} is missing")


def _entries(content: bytes, uri: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each entry stands, and the entry; one with a PROBLEM for a line that cannot be read."""
    if JSON_START.match(content):
        for number, entry in enumerate(_found(parse_json(content, uri)), 1):
            yield f"{uri}, entry {number}", entry
        return
    told = Table(io.BytesIO(content), uri, ",")
    theirs = set(pods_ai.COLUMNS) <= set(told.columns)
    exact = {EXACT: "yes"} if storage.file_name(uri).startswith(pods_ai.EXACT) else {}
    for line in Table(io.BytesIO(content), uri, ",", multiline=True) if theirs else told:  # descriptions have line ends
        yield line.where, {PROBLEM: line.problem} if line.problem else {**line.cells, **exact}


def _found(value: Any) -> Iterator[Mapping[str, Any]]:
    """The detections and bouts in whatever the web answers wrap them in (`data`, `results`, `attributes`, ...)."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            entries = any(isinstance(item, Mapping) for item in value)
            waiting += (_entry(item) if entries else item for item in reversed(value))
        elif isinstance(value, Mapping):
            relations, attributes = value.get("relationships"), value.get("attributes")
            if any(name in value for name in ("timestamp", *STARTS, PROBLEM)):
                yield value
            elif isinstance(attributes, Mapping):
                yield {**(relations if isinstance(relations, Mapping) else {}), **attributes}
            else:
                waiting += reversed(list(value.values()))


def _entry(item: Any) -> Any:
    """What stands in a list of objects; one with a PROBLEM for what is none."""
    return item if isinstance(item, Mapping | list) else {PROBLEM: f"expected an object, not {reprlib.repr(item)}"}


def _joined(windows: Iterable[Window]) -> Iterator[Window]:
    last: Window | None = None
    for window in windows:
        if last and window.node == last.node and window.start <= last.end:
            last = Window(last.node, last.start, max(last.end, window.end), last.sightings + window.sightings)
            continue
        if last:
            yield last
        last = window
    if last:
        yield last
