"""What Label Studio's server accepts and its page then shows wrongly or not at all, refused by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from labelstudio.labels import LabelConfig
from podcast.errors import InputError


def validate_task(task: Mapping[str, Any], config: LabelConfig) -> None:
    """Raise InputError, naming session, region and field, for a task that the page would show wrongly or not at all."""
    data = task.get("data", {})
    name = f"session {data.get('session_id') or '?'}"
    for field in ("audio", "session_id", "round", "uri", "absolute_time", "source_guid"):
        if not isinstance(data.get(field), str):
            raise InputError(f"{name}: data.{field} must be text, not {data.get(field)!r}")
    for field in ("audio", "session_id", "round"):
        if not data[field]:
            raise InputError(f"{name}: data.{field} is empty")
    duration_s = data.get("duration_s")
    for kind in ("predictions", "annotations"):
        for item in task.get(kind, []):
            if kind == "predictions" and not item.get("model_version"):
                raise InputError(f"{name}: a prediction has no model_version; Label Studio would store 'undefined'")
            validate_result(item.get("result"), duration_s, config, f"{name}, {kind}")


def validate_result(result: Any, duration_s: float | None, config: LabelConfig, name: str) -> None:
    """The same for one `result` list; `duration_s` bounds the times where it is known."""
    if not isinstance(result, list):
        raise InputError(f"{name}: result must be a list, not {type(result).__name__}")
    seen: set[tuple[str, str]] = set()
    for region in result:
        where = f"{name}, region {region.get('id')!r}"
        for field in ("id", "type", "from_name", "to_name"):
            if not isinstance(region.get(field), str) or not region[field]:
                raise InputError(f"{where}: {field} must be text, not {region.get(field)!r}")
        types = config.controls
        if region["from_name"] not in types:
            raise InputError(f"{where}: from_name is {region['from_name']!r}; expected one of {sorted(types)}")
        if region["type"] != types[region["from_name"]]:
            raise InputError(f"{where}: type is {region['type']!r}; expected {types[region['from_name']]!r}")
        if region["to_name"] != config.audio:
            raise InputError(f"{where}: to_name is {region['to_name']!r}; expected {config.audio!r}")
        if (region["id"], region["from_name"]) in seen:
            raise InputError(f"{where}: two regions have this id; the page would show one")
        seen.add((region["id"], region["from_name"]))
        if region["type"] == "labels":
            _validate_region(region, duration_s, config, where)


def _validate_region(region: Mapping[str, Any], duration_s: float | None, config: LabelConfig, where: str) -> None:
    value = region.get("value", {})
    for field in ("start", "end"):
        time = value.get(field)
        if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
            raise InputError(f"{where}: value.{field} must be a number of seconds, not {time!r}")
    if not 0 <= value["start"] < value["end"]:
        raise InputError(f"{where}: must have 0 <= start < end, not {value['start']} to {value['end']} s")
    if duration_s is not None and value["end"] > duration_s:
        raise InputError(f"{where}: ends at {value['end']} s, past the end of the recording at {duration_s} s")
    if not value.get("labels") or any(label not in config.labels for label in value["labels"]):
        raise InputError(f"{where}: labels are {value.get('labels')!r}; expected one of {sorted(config.labels)}")
