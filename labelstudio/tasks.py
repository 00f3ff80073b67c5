"""Session to task JSON, checked before anything is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from labelstudio import planned, sightings
from labelstudio.checks import validate_task
from labelstudio.heard import to_record
from labelstudio.labels import RECORDING, LabelConfig
from labelstudio.signed import BLIND, FIELD, signature
from podcast.errors import InputError, Refusal
from podcast.model import EDGE_S, Certainty, Detection, ModelRun, Outcome, Review, ReviewState, Session, SoundEvent
from podcast.report import Report
from podcast.spool import Spool
from podcast.times import format_utc

Json = dict[str, Any]


def to_tasks(
    sessions: Iterable[Session | Refusal],
    round_name: str,
    config: LabelConfig,
    address: Callable[[Session], str],
    report: Report,
    key: bytes = b"",
    copy: Callable[[Session], str] = lambda _: "",
    blind: Callable[[Session], bool] = lambda session: session.blind,
) -> Iterator[tuple[Session, Json]]:
    """Each session of a round with its task. What cannot be a task, or comes a second time, is refused in `report`.

    `address` gives the address of a session's recording, `copy` that of its listening copy, empty where there is none; both may
    raise InputError. With a `key` tasks are signed. `blind` says which sessions people hear without boxes.
    """
    with Spool() as seen:
        for session in report.accepted(sessions):
            try:
                if not seen.add(round_name, session.id):
                    raise InputError("the source names this session twice; the first was taken")
                placed = replace(session, round=round_name)
                placed = replace(placed, blind=blind(placed))
                yield placed, to_task(placed, address(placed), config, key, copy(placed))
            except InputError as error:
                report.refuse(Refusal(f"session {session.id}", str(error).removeprefix(f"session {session.id}: ")))


def to_task(session: Session, audio: str, config: LabelConfig, key: bytes = b"", copy: str = "") -> Json:
    """One task for Label Studio's import, with an annotation per review, and a prediction per model run unless it is blind.

    `audio` is the address of the recording; the page plays it, or the listening copy at `copy`. `key` signs what the ML backend
    may believe of it. Raises InputError where Label Studio would swallow an error.
    """
    recording = session.recording
    task: Json = {
        "data": {
            "audio": copy or audio,
            **({RECORDING: audio} if copy else {}),
            "session_id": session.id,
            "round": session.round,
            "uri": recording.uri,
            "absolute_time": session.absolute_time,
            "source_guid": recording.source_guid,
            "start": format_utc(recording.start),
            "duration_s": recording.duration_s,
            "sha256": recording.sha256,
            **({BLIND: True} if session.blind else {}),
        },
        "predictions": to_predictions(session, config),
    }
    if session.sightings:
        task["data"][sightings.FIELD] = [sightings.to_json(item) for item in session.sightings]
    if session.planned:
        task["data"][planned.FIELD] = planned.to_json(session.planned)
    if signed := signature(task["data"], "audio", key):
        task["data"][FIELD] = signed
    if session.reviews:
        task["annotations"] = [to_annotation(session, review, config) for review in session.reviews]
    validate_task(task, config)
    return task | ({"predictions": []} if session.blind else {})


def to_predictions(session: Session, config: LabelConfig) -> list[Json]:
    """One prediction a model run, runs in name order, boxes in time order; a run that found nothing gives an empty one."""
    runs = sorted({*session.model_runs, *(detection.model_run for detection in session.detections)})
    return [to_prediction(session, run, config) for run in runs]


def to_prediction(session: Session, run: ModelRun, config: LabelConfig) -> Json:
    """What one model run found, as `/predict` and the import both give it. The score is the highest confidence."""
    detections = _detections(session, run)
    return {
        "model_version": str(run),
        "score": max((detection.confidence for detection in detections), default=0.0),
        "result": [
            item for number, detection in enumerate(detections) for item in _detection_items(session, number, detection, config)
        ],
    }


def to_annotation(session: Session, review: Review, config: LabelConfig) -> Json:
    """One submission. The annotator is the account that imports it: Label Studio refuses addresses that it does not know."""
    results: list[Json] = []
    for number, annotation in enumerate(review.annotations):
        origin = annotation.detection
        region = _region(
            _region_id(session.id, "annotation", review.annotator, number)
            if origin is None
            else _region_id(session.id, origin.model_run, _detections(session, origin.model_run).index(origin)),
            annotation.event,
            config.label_value(annotation.label, annotation.certainty),
            session.recording.duration_s,
            config,
        )
        region["origin"] = ORIGINS[annotation.outcome]
        if origin is not None:
            region["score"] = origin.confidence
        results.append(region)
        for name, kind, key, text in (
            *((name, "choices", "choices", choice) for name, choice in _choices(annotation.label, config)),
            (config.call_type, "choices", "choices", annotation.call_type),
            (config.note, "textarea", "text", annotation.note),
        ):
            if text:
                results.append(_of_box(region, name, kind, key, text))
    for name, kind, key, text in (
        (config.review, "choices", "choices", config.answer_value(review.state) or ""),
        (config.session_note, "textarea", "text", review.note),
        (config.heard, "textarea", "text", to_record(review.heard)),
    ):
        if text and name:
            identity = _region_id(session.id, name, 0)
            results.append({"id": identity, "from_name": name, "to_name": config.audio, "type": kind, "value": {key: [text]}})
    return {
        "result": results,
        "was_cancelled": review.state is ReviewState.SKIPPED,
        "ground_truth": review.ground_truth,
    } | ({} if review.heard.open_s is None else {"lead_time": review.heard.open_s})


def _detections(session: Session, run: ModelRun) -> list[Detection]:
    return sorted(detection for detection in session.detections if detection.model_run == run)


def _detection_items(session: Session, number: int, detection: Detection, config: LabelConfig) -> list[Json]:
    label = config.label_value(detection.label, Certainty.CERTAIN)
    identity = _region_id(session.id, detection.model_run, number)
    region = _region(identity, detection.event, label, session.recording.duration_s, config)
    region["score"] = detection.confidence
    chosen = _choices(detection.label, config)
    return [region, *(_of_box(region, name, "choices", "choices", choice) for name, choice in chosen)]


def _choices(label: str, config: LabelConfig) -> list[tuple[str, str]]:
    """The control and the choice that say which source a box is of, where its label on the page does not."""
    return [choice] if (choice := config.choice_of(label)) else []


def _of_box(region: Json, name: str, kind: str, key: str, text: str) -> Json:
    """What a control says of a box."""
    value = {**{field: region["value"][field] for field in ("start", "end", "channel")}, key: [text]}
    return {**region, "from_name": name, "type": kind, "value": value}


def _region(identity: str, event: SoundEvent, label: str, duration_s: float | None, config: LabelConfig) -> Json:
    end_s = event.end_s
    if duration_s is not None and duration_s < end_s <= duration_s + EDGE_S and event.start_s < duration_s:
        end_s = round(duration_s, 3)
    region: Json = {
        "id": identity,
        "type": "labels",
        "from_name": config.regions,
        "to_name": config.audio,
        "original_length": duration_s if duration_s is not None else end_s,
        "value": {"start": event.start_s, "end": end_s, "channel": 0, "labels": [label]},
    }
    if event.low_hz is not None or event.high_hz is not None:
        region["meta"] = {"low_hz": event.low_hz, "high_hz": event.high_hz}
    return region


def _region_id(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]


ORIGINS = {Outcome.ACCEPTED: "prediction", Outcome.MOVED: "prediction-changed", Outcome.ADDED: "manual"}
