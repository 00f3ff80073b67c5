"""What a submission tells of the listening: Label Studio's `lead_time`, and the add-on's record in the control `heard`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from labelstudio.results import Item, Kind, Say, is_number
from podcast.errors import InputError
from podcast.model import Heard
from podcast.reading import parse_json

FIELDS = ("loaded", "heard_s", "duration_s", "asked")
"""The fields of the add-on's record: docs/label-studio-addon.md."""


def read_heard(annotation: Mapping[str, Any], items: Iterable[Item], say: Say) -> Heard:
    """What is known of the listening. No box hangs on it, so what cannot be read is said in words and counts as unknown."""
    open_s = annotation.get("lead_time")
    if open_s is not None and not _is_seconds(open_s):
        say(f"lead_time is {open_s!r:.60}, expected a number of seconds; it is not kept")
        open_s = None
    records = [line for item in items if item.kind is Kind.HEARD for line in item.text.split("\n") if line]
    if len(records) > 1:
        say(f"{len(records)} records of the listening; the last was taken")
    loaded, heard_s, length_s, asked = _record(records[-1], say) if records else (None, None, None, ())
    return Heard(_rounded(open_s), loaded, _rounded(heard_s), _rounded(length_s), asked)


def to_record(heard: Heard) -> str:
    """The add-on's record of what `heard` holds; empty where it holds none."""
    if heard.loaded is None:
        return ""
    return json.dumps(dict(zip(FIELDS, (heard.loaded, heard.heard_s, heard.length_s, list(heard.asked)), strict=True)))


def _record(text: str, say: Say) -> tuple[bool | None, float | None, float | None, tuple[str, ...]]:
    try:
        record = parse_json(text.encode(errors="replace"), "the record of the listening")
        if not isinstance(record, Mapping):
            raise InputError("the record of the listening is no object")
        loaded, heard_s, length_s, asked = (record.get(field) for field in FIELDS)
        if not isinstance(loaded, bool):
            raise InputError(f"loaded is {loaded!r:.60}, expected true or false")
        if not _is_seconds(heard_s):
            raise InputError(f"heard_s is {heard_s!r:.60}, expected a number of seconds")
        if length_s is not None and not (_is_seconds(length_s) and length_s > 0):
            raise InputError(f"duration_s is {length_s!r:.60}, expected a number of seconds")
        if not (isinstance(asked, list) and all(isinstance(name, str) and name for name in asked)):
            raise InputError(f"asked is {asked!r:.60}, expected a list of names")
    except InputError as error:
        say(f"what was heard is not kept: {error}")
        return None, None, None, ()
    return loaded, heard_s, length_s, tuple(asked)


def _is_seconds(value: Any) -> bool:
    return is_number(value) and value >= 0


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(float(seconds), 3)
