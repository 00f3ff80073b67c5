"""Windows of the archive that other files name: stored OrcaHello detections, and Orcasound's bouts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.times import parse_utc

CLIP_S = 60.0
"""An OrcaHello detection is one clip of a minute that begins at its timestamp."""
STARTS = ("startTime", "start_time", "start")
ENDS = ("endTime", "end_time", "end")
NODES = ("nodeName", "node_name", "source_guid", "node")


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """From `start` to `end` (UTC) at one node."""

    node: str
    start: datetime
    end: datetime


def read_windows(uri: str, margin_s: float = 0.0) -> tuple[list[Window], list[Refusal]]:
    """The windows that a file names (JSON, or CSV with a header), each `margin_s` longer at both ends, and what is no window.

    Windows of one node that touch are joined, so that no minute is imported twice.
    """
    text = storage.read(uri).decode(errors="replace")
    found: list[Window] = []
    refusals: list[Refusal] = []
    for number, entry in enumerate(_entries(text, uri), 1):
        try:
            window = to_window(entry)
            margin = timedelta(seconds=margin_s)
            found.append(Window(window.node, window.start - margin, window.end + margin))
        except InputError as error:
            refusals.append(Refusal(f"{uri}, entry {number}", str(error)))
    return list(_joined(sorted(found))), refusals


def to_window(entry: Mapping[str, Any]) -> Window:
    """One detection or bout. Raises InputError naming the field that is missing or wrong."""
    feed = entry.get("feed") or entry.get("location") or {}
    node = next((str(entry[name]) for name in NODES if entry.get(name)), "")
    if not node and isinstance(feed, Mapping):
        node = str(next((feed[name] for name in (*NODES, "id") if feed.get(name)), ""))
    if not node:
        raise InputError("names no node; expected source_guid, or feed.nodeName, or node")
    if "timestamp" in entry:
        start = _time(entry, ("timestamp",))
        return Window(node, start, start + timedelta(seconds=CLIP_S))
    start, end = _time(entry, STARTS), _time(entry, ENDS)
    if not start < end:
        raise InputError(f"ends at {end.isoformat()}, before it starts")
    return Window(node, start, end)


def _time(entry: Mapping[str, Any], names: tuple[str, ...]) -> datetime:
    for name in names:
        if entry.get(name):
            moment = parse_utc(str(entry[name]))
            if moment:
                return moment
    raise InputError(f"{names[0]} is missing")


def _entries(text: str, uri: str) -> Iterator[Mapping[str, Any]]:
    if text.lstrip()[:1] not in ("{", "["):
        yield from csv.DictReader(io.StringIO(text))
        return
    try:
        yield from _found(json.loads(text))
    except json.JSONDecodeError as error:
        raise InputError(f"{uri}: neither JSON nor CSV ({error})") from error


def _found(value: Any) -> Iterator[Mapping[str, Any]]:
    """The detections and bouts in whatever the web answers wrap them in (`data`, `results`, `attributes`, ...)."""
    if isinstance(value, list):
        for item in value:
            yield from _found(item)
    elif isinstance(value, Mapping):
        if any(name in value for name in ("timestamp", *STARTS)):
            yield value
        elif "attributes" in value:
            yield {**value.get("relationships", {}), **value["attributes"]}
        else:
            for item in value.values():
                yield from _found(item)


def _joined(windows: Iterable[Window]) -> Iterator[Window]:
    last: Window | None = None
    for window in windows:
        if last and window.node == last.node and window.start <= last.end:
            last = Window(last.node, last.start, max(last.end, window.end))
            continue
        if last:
            yield last
        last = window
    if last:
        yield last
