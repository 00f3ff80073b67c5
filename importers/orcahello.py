"""Stored OrcaHello detections: a minute each, with the detector's boxes and what a moderator said. See docs/formats/orcahello.md.

A moderator says whether there is a call in the minute, and not where, so that is a report and no review: the boxes come as
predictions, to be corrected.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from importers.base import ReadOptions
from importers.recordings import AudioFolder
from podcast import storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import CALL, Detection, ModelRun, Session, Sighting, SoundEvent
from podcast.reading import number_in, parse_json
from podcast.times import parse_utc
from podcast.vocabulary import of_tag

CLIP_S = 60.0
"""A detection is one clip of a minute that begins at its timestamp."""
SAME = timedelta(seconds=2)
"""A clip is named after its start without the fraction of the second."""
STATES = {"yes": "Positive", "no": "Negative", "don't know": "Unknown"}
"""What older detections say in `SRKWFound`."""


def read(source: str, options: ReadOptions) -> Iterator[Session | Refusal]:
    """One JSON file, or all below a folder; each holds a detection, or a list of them. A bad one is refused."""
    one = source.lower().endswith(".json")
    beside = (source.rpartition("/")[0] or ".") if one else source
    folder = AudioFolder(options.audio, beside, required=options.audio_required)
    for uri in [source] if one else storage.list_files(source, ".json"):
        try:
            value = parse_json(storage.read(uri), uri)
        except InputError as error:
            yield Refusal(uri, str(error).removeprefix(f"{uri}: "))
            continue
        for number, entry in enumerate(value if isinstance(value, list) else [value], 1):
            try:
                yield to_session(entry, options, folder)
            except PodcastError as error:
                yield Refusal(f"{uri}, detection {number}" if isinstance(value, list) else uri, str(error))


def to_session(entry: Any, options: ReadOptions, folder: AudioFolder) -> Session:
    """The session of one detection. Raises InputError naming the field that is missing or wrong.

    So it does where the clip's name and `timestamp`, or its node and `location.id`, contradict each other: one of them would
    give the sounds another time or place.
    """
    if not isinstance(entry, Mapping):
        raise InputError(f"expected an object, not {reprlib.repr(entry)}")
    uri, start = _text(entry, "audioUri"), parse_utc(_text(entry, "timestamp"))
    if not uri or start is None:
        raise InputError("audioUri or timestamp is missing")
    location = entry.get("location")
    node = _text(location if isinstance(location, Mapping) else {}, "id") or _text(entry, "source_guid") or options.source_guid
    recording, name = folder.recording(storage.stem(uri), uri, node)
    if name.chunk is None and name.parent_start and abs(name.parent_start - start) > SAME:
        raise InputError(f"timestamp is {start.isoformat()}, and audioUri names {name.parent_start.isoformat()}: one is wrong")
    if name.source_guid and node and name.source_guid != node:
        raise InputError(f"location.id is {node[:60]!r}, and audioUri names {name.source_guid[:60]!r}: one is wrong")
    run = ModelRun.parse(options.model_version or _text(entry, "modelId") or "orcahello")
    predictions = entry.get("predictions")
    if not isinstance(predictions, list):
        raise InputError(f"predictions: expected a list, not {reprlib.repr(predictions)}")
    found = sorted(_detection(number, item, run) for number, item in enumerate(predictions))
    return Session(
        storage.stem(uri),
        replace(recording, start=start),
        name.parent,
        detections=tuple(item for item in found if item.confidence >= (options.threshold or 0)),
        model_runs=(run,),
        sightings=(sighting(entry, recording.source_guid, start),),
    )


def sighting(entry: Mapping[str, Any], node: str, start: datetime) -> Sighting:
    """What a detection reports beside its boxes, as far as it can be read: none of it decides where to look, or what a box is."""
    confidence = entry.get("whaleFoundConfidence")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 100:
        confidence = None
    elif confidence > 1:  # 0 to 100, but in the oldest
        confidence = round(confidence / 100, 8)
    state, comments, found, interest = (
        value.strip() if isinstance(value := entry.get(name), str) else ""
        for name in ("state", "comments", "SRKWFound", "interestLabel")
    )
    if not state and entry.get("reviewed") is True:
        state = STATES.get(found.lower(), "")
    given = entry.get("tags")
    texts = given.split(";") if isinstance(given, str) else given if isinstance(given, list) else []
    tags = tuple(dict.fromkeys(tag.strip() for tag in [*texts, interest] if isinstance(tag, str) and tag.strip()))
    kinds = {kind.pods_ai for tag in tags if (kind := of_tag(tag)) and kind.pods_ai}
    category = kinds.pop() if len(kinds) == 1 else ""
    end = start + timedelta(seconds=CLIP_S)
    return Sighting(node, start, start, end, f"orcahello {state}".strip(), category, confidence, comments, tags)


def _detection(number: int, item: Any, run: ModelRun) -> Detection:
    where = f"predictions[{number}]"
    if not isinstance(item, Mapping):
        raise InputError(f"{where}: expected an object, not {reprlib.repr(item)}")
    start_s, duration_s, confidence = (number_in(item, name, where) for name in ("startTime", "duration", "confidence"))
    try:
        return Detection(SoundEvent(start_s, start_s + duration_s), CALL, confidence, run)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _text(entry: Mapping[str, Any], field: str) -> str:
    value = entry.get(field)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{field}: expected text, not {reprlib.repr(value)}")
    return value or ""
