"""Task JSON, as Label Studio exports it, to sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labelstudio.labels import LabelConfig
from labelstudio.tasks import ORIGINS
from podcast.errors import InputError
from podcast.model import (
    EDGE_S,
    Annotation,
    Certainty,
    Detection,
    ModelRun,
    Outcome,
    Recording,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)
from podcast.times import parse_utc

OUTCOMES = {origin: outcome for outcome, origin in ORIGINS.items()}


def from_task(task: Mapping[str, Any], config: LabelConfig, users: Mapping[int, str] | None = None) -> Session:
    """A session with all that its task holds: predictions where they are given in full, and every submission.

    Takes a task as Label Studio exports or lists it. `users` gives the address of each account number; without it annotators
    are named by number. Drafts are no reviews. Raises InputError naming task, session and field.
    """
    name = f"task {task.get('id', '?')}"
    data = task.get("data")
    if not isinstance(data, Mapping) or not data.get("session_id"):
        raise InputError(f"{name}: data.session_id is missing; this project did not import the task")
    name += f" (session {data['session_id']})"
    try:
        predictions = [item for item in task.get("predictions") or [] if isinstance(item, Mapping)]
        detections = tuple(item for prediction in predictions for item in from_prediction(prediction, config))
        reviews = [
            from_annotation(item, data.get("duration_s"), config, users or {}, _parent(item, predictions))
            for item in task.get("annotations") or []
        ]
        return Session(
            id=str(data["session_id"]),
            recording=Recording(
                uri=str(data.get("uri", "")),
                source_guid=str(data.get("source_guid", "")),
                start=parse_utc(data.get("start") or ""),
                duration_s=data.get("duration_s"),
                sha256=str(data.get("sha256") or ""),
                audio_uri=str(data.get("audio", "")),
            ),
            absolute_time=str(data.get("absolute_time", "")),
            round=str(data.get("round", "")),
            detections=tuple(sorted(detections)),
            model_runs=tuple(sorted({ModelRun.parse(item["model_version"]) for item in predictions})),
            reviews=tuple(review for _, review in sorted(reviews, key=lambda item: item[0])),
        )
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{name}: not shaped as Label Studio exports it ({type(error).__name__}: {error})") from error


def from_prediction(prediction: Mapping[str, Any], config: LabelConfig) -> list[Detection]:
    """The boxes of one stored prediction."""
    run = ModelRun.parse(str(prediction.get("model_version") or "undefined"))
    return [
        Detection(_event(region, None), _meaning(region, config)[0], float(region.get("score") or 0.0), run)
        for region in prediction.get("result") or []
        if region.get("type") == "labels"
    ]


def from_annotation(
    annotation: Mapping[str, Any],
    duration_s: float | None,
    config: LabelConfig,
    users: Mapping[int, str],
    parent: Mapping[str, Any] | None = None,
) -> tuple[tuple[str, int], Review]:
    """One submission, with the key that orders submissions of a task (time of the last change, number).

    A deleted box leaves no trace in `result`, so it is compared with the prediction that the annotator started from: the copy in
    the annotation, or `parent` where Label Studio made none.
    """
    result = annotation.get("result") or []
    author = _annotator(annotation.get("completed_by"), users)
    prediction = annotation.get("prediction") or parent or {}
    regions = {str(item["id"]): item for item in prediction.get("result") or [] if item.get("type") == "labels"}
    origins = dict(zip(regions, from_prediction(prediction, config), strict=True))
    texts = {(str(item["id"]), item.get("from_name")): _text(item) for item in result if item.get("type") != "labels"}
    annotations = tuple(
        _annotation(item, origins.get(str(item["id"])), texts, author, duration_s, config)
        for item in result
        if item.get("type") == "labels"
    )
    kept = {str(item["id"]) for item in result}
    answer = next((text for (_, name), text in texts.items() if name == config.review), "")
    submitted = str(annotation.get("updated_at") or annotation.get("created_at") or "")
    review = Review(
        annotator=author,
        state=_state(bool(annotation.get("was_cancelled")), bool(annotations), answer, config),
        annotations=tuple(sorted(annotations, key=lambda item: item.event)),
        rejected=tuple(sorted(detection for identity, detection in origins.items() if identity not in kept)),
        submitted=parse_utc(submitted),
        ground_truth=bool(annotation.get("ground_truth")),
        note=next((text for (_, name), text in texts.items() if name == config.session_note), ""),
    )
    return (submitted, int(annotation.get("id") or 0)), review


def _parent(annotation: Mapping[str, Any], predictions: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The prediction that the annotator started from.

    Work that was saved as a draft and opened again is submitted without its number; boxes that were kept still have their ids.
    """
    number = annotation.get("parent_prediction")
    if number is not None:
        return next((item for item in predictions if item.get("id") == number), None)
    kept = {item.get("id") for item in annotation.get("result") or []}
    return next((item for item in predictions if kept & {region.get("id") for region in item.get("result") or []}), None)


def _state(cancelled: bool, boxes: bool, answer: str, config: LabelConfig) -> ReviewState:
    """Boxes beside "No calls" contradict each other: nobody can tell what was meant, so the session is `unsure`."""
    if cancelled:
        return ReviewState.SKIPPED
    if not answer:
        return ReviewState.CALLS if boxes else ReviewState.NO_CALLS
    state = config.answers.get(answer, ReviewState.UNSURE)
    return ReviewState.UNSURE if boxes and state is ReviewState.NO_CALLS else state


def _annotation(
    region: Mapping[str, Any],
    origin: Detection | None,
    texts: Mapping[tuple[str, Any], str],
    author: str,
    duration_s: float | None,
    config: LabelConfig,
) -> Annotation:
    event, (label, certainty) = _event(region, duration_s), _meaning(region, config)
    if origin is not None:
        same = (event.start_s, event.end_s) == (origin.event.start_s, origin.event.end_s)
        outcome = Outcome.ACCEPTED if same else Outcome.MOVED
    else:
        outcome = OUTCOMES.get(str(region.get("origin")), Outcome.ADDED)
    identity = str(region["id"])
    return Annotation(
        event=event,
        label=label,
        certainty=certainty,
        annotator=author,
        outcome=outcome,
        detection=origin,
        call_type=texts.get((identity, config.call_type), ""),
        note=texts.get((identity, config.note), ""),
    )


def _event(region: Mapping[str, Any], duration_s: float | None) -> SoundEvent:
    value, meta = region["value"], region.get("meta") or {}
    start, end = value["start"], value["end"]
    if isinstance(start, str) or isinstance(end, str):
        raise InputError(f"region {region['id']!r}: times are text ({start!r} to {end!r}), expected seconds")
    if -EDGE_S <= start < 0:
        start = 0.0
    if duration_s is not None and duration_s < end:
        if end > duration_s + EDGE_S:
            raise InputError(f"region {region['id']!r}: ends at {end} s, past the end of the recording at {duration_s} s")
        end = duration_s
    try:
        return SoundEvent(start, end, meta.get("low_hz"), meta.get("high_hz"))
    except InputError as error:
        raise InputError(f"region {region['id']!r}: {error}") from error


def _meaning(region: Mapping[str, Any], config: LabelConfig) -> tuple[str, Certainty]:
    labels = region["value"].get("labels") or []
    if len(labels) != 1:
        raise InputError(f"region {region['id']!r}: expected one label, not {labels!r}")
    return config.labels.get(labels[0], (str(labels[0]), Certainty.CERTAIN))


def _text(item: Mapping[str, Any]) -> str:
    value = item.get("value") or {}
    entries: Iterable[Any] = value.get("choices") or value.get("text") or []
    return entries if isinstance(entries, str) else "\n".join(map(str, entries))


def _annotator(completed_by: Any, users: Mapping[int, str]) -> str:
    if isinstance(completed_by, Mapping):
        return str(completed_by.get("email") or completed_by.get("id"))
    return users.get(completed_by, str(completed_by)) if completed_by is not None else ""
