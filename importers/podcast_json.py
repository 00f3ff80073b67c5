"""Pod.Cast's session JSON: predictions as the old server gave them out, annotations as it took them back.

Quirks that are read: two keys for a start, old submit files in Python's notation, Windows paths in `uri`, heads without
`absolute_time` or `source_guid`. See docs/formats/podcast-json.md.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

from importers.base import ReadOptions
from importers.recordings import AudioFolder
from podcast import storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import (
    CALL,
    Annotation,
    Certainty,
    Detection,
    ModelRun,
    Outcome,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)
from podcast.reading import number_in, parse_json, parse_python

Kind = Literal["predictions", "annotations"]


def read(source: str, options: ReadOptions, *, kind: Kind | None = None) -> Iterator[Session | Refusal]:
    """One JSON file, or all below a folder. `kind` says who made them where the files cannot: see `kind_of`."""
    if source.lower().endswith(".json"):
        uris: Iterator[str] = iter([source])
        beside = source.rpartition("/")[0] or "."
    else:
        uris, beside = storage.list_files(source, ".json"), source
    folder = AudioFolder(options.audio, beside, required=options.audio_required)
    for uri in uris:
        try:
            yield to_session(parse(storage.read(uri), uri), uri, options, folder, kind)
        except PodcastError as error:
            yield Refusal(uri, str(error).removeprefix(f"{uri}: "))


read_predictions = partial(read, kind="predictions")
read_annotations = partial(read, kind="annotations")


def parse(content: bytes, source: str) -> Mapping[str, Any]:
    """The object in a file, JSON or old Python notation. Raises InputError naming `source`."""
    try:
        value = parse_json(content, source)
    except InputError as error:
        try:
            value = parse_python(content, source)
        except InputError:
            raise error from None
    if not isinstance(value, Mapping):
        raise InputError(f"{source}: expected an object with uri and annotations, not {type(value).__name__}")
    return value


def kind_of(content: Mapping[str, Any], source: str) -> Kind:
    """Whether a model or a person made the file.

    A confidence in any box, `model_guid` or `backend_state` say a model; boxes without confidence a person. An empty file that
    says nothing counts by its folder, which Pod.Cast named PREDICTIONS or ANNOTATIONS, and else as predictions: then people
    look at the session again, and no "no calls" is made up.
    """
    boxes = content["annotations"]
    confident = {isinstance(box, Mapping) and "confidence" in box for box in boxes}
    if len(confident) > 1:
        raise InputError("annotations: some boxes have a confidence and some have none; expected all or none")
    if confident == {True} or "backend_state" in content or "model_guid" in content:
        return "predictions"
    if confident == {False}:
        return "annotations"
    return "annotations" if "ANNOTATIONS" in source.upper().rpartition("/")[0] else "predictions"


def to_session(
    content: Mapping[str, Any], source: str, options: ReadOptions, folder: AudioFolder, kind: Kind | None = None
) -> Session:
    """A session of a parsed file; its id is the WAV's stem, the file's own where `uri` is missing.

    Raises InputError naming the field that is missing or wrong.
    """
    if not isinstance(content.get("annotations"), list):
        raise InputError(f"annotations: expected a list, not {reprlib.repr(content.get('annotations'))}")
    for field in ("uri", "absolute_time", "source_guid", "model_guid"):
        if field in content and not isinstance(content[field], str):
            raise InputError(f"{field}: expected text, not {reprlib.repr(content[field])}")
    uri = content.get("uri", "")
    session_id = storage.stem(uri or source)
    recording, name = folder.recording(session_id, uri, content.get("source_guid") or options.source_guid)
    head = Session(session_id, recording, content.get("absolute_time") or name.parent)
    boxes = list(enumerate(content["annotations"]))
    if (kind or kind_of(content, source)) == "annotations":
        annotations = tuple(_annotation(number, box) for number, box in boxes)
        state = ReviewState.CALLS if annotations else ReviewState.NO_CALLS
        ordered = tuple(sorted(annotations, key=lambda item: item.event))
        return Session(head.id, recording, head.absolute_time, reviews=(Review("", state, ordered),))
    run = ModelRun.parse(content.get("model_guid") or options.model_version or "podcast")
    detections = sorted(_detection(number, box, run) for number, box in boxes)
    kept = tuple(item for item in detections if item.confidence >= (options.threshold or 0))
    return Session(head.id, recording, head.absolute_time, detections=kept, model_runs=(run,))


def _annotation(number: int, box: Any) -> Annotation:
    return Annotation(_event(number, box), CALL, Certainty.CERTAIN, "", Outcome.ADDED)


def _detection(number: int, box: Any, run: ModelRun) -> Detection:
    event = _event(number, box)
    confidence = number_in(box, "confidence", f"annotations[{number}]")
    try:
        return Detection(event, CALL, confidence, run)
    except InputError as error:
        raise InputError(f"annotations[{number}]: {error}") from error


def _event(number: int, box: Any) -> SoundEvent:
    where = f"annotations[{number}]"
    if not isinstance(box, Mapping):
        raise InputError(f"{where}: expected an object, not {reprlib.repr(box)}")
    start_s = number_in(box, "start_time_s" if "start_time_s" in box else "start_s", where)
    try:
        return SoundEvent(start_s, start_s + number_in(box, "duration_s", where))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
