"""The reports that a session was made for, in its task's data and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from podcast.errors import InputError
from podcast.model import Sighting
from podcast.times import format_utc, parse_utc

FIELD = "sightings"
TEXTS = ("node", "source", "category", "description")
MOMENTS = ("time", "start", "end")


def to_json(sighting: Sighting) -> dict[str, Any]:
    """One report as it stands in a task: moments UTC with milliseconds."""
    return {
        **{name: format_utc(getattr(sighting, name)) for name in MOMENTS},
        **{name: getattr(sighting, name) for name in TEXTS},
        "confidence": sighting.confidence,
        "tags": list(sighting.tags),
    }


def from_data(data: Mapping[str, Any], say: Callable[[str], None]) -> tuple[Sighting, ...]:
    """The reports of a task; `say` is told of what is none, for a report is nobody's answer and refuses no task."""
    found = []
    given = data.get(FIELD) or []
    for value in given if isinstance(given, list) else [given]:
        try:
            found.append(_sighting(value))
        except (InputError, KeyError, TypeError, AttributeError, ValueError) as error:
            say(f"data.{FIELD}: one is not as an import wrote it ({type(error).__name__}: {error}); it is not kept")
    return tuple(found)


def _sighting(value: Any) -> Sighting:
    time, start, end = (parse_utc(value[name]) for name in MOMENTS)
    if not (time and start and end):
        raise InputError("a time is missing")
    node, source, category, description = (str(value.get(name) or "") for name in TEXTS)
    confidence = value.get("confidence")
    if confidence is not None and not 0 <= confidence <= 1:
        raise InputError("confidence lies outside 0 to 1")
    return Sighting(
        node, time, start, end, source, category, confidence, description, tuple(str(tag) for tag in value.get("tags") or ())
    )
