"""Task JSON, as Label Studio exports it, to sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labelstudio import planned, sightings
from labelstudio.heard import read_heard
from labelstudio.labels import LabelConfig
from labelstudio.results import Item, Kind, Prediction, Say, is_number, label_of, read_prediction, read_result
from labelstudio.signed import BLIND
from labelstudio.tasks import ORIGINS
from podcast.errors import InputError
from podcast.model import Annotation, Detection, Outcome, Recording, Review, ReviewState, Session
from podcast.reviews import state_of
from podcast.times import parse_utc

OUTCOMES = {origin: outcome for outcome, origin in ORIGINS.items()}


def from_task(
    task: Mapping[str, Any], config: LabelConfig, users: Mapping[int, str] | None = None, say: Say = lambda _: None
) -> Session:
    """A session with all that its task holds: predictions where they are given in full, and every submission.

    Takes a task as Label Studio exports or lists it. `users` gives the address of each account number; without it annotators
    are named by number. Drafts are no reviews. `say` is told in words what was left out: see `results`. Raises InputError
    naming task, session and field where a box or an answer of a person would be lost.
    """
    name, data = task_name(task), task.get("data")
    if not isinstance(data, Mapping) or not isinstance(data.get("session_id"), str) or not data["session_id"]:
        raise InputError(f"{name}: data.session_id is missing; this project did not import the task")
    try:
        duration_s = data.get("duration_s")
        if duration_s is not None and not (is_number(duration_s) and duration_s > 0):
            raise InputError(f"data.duration_s is {duration_s!r}, expected a number of seconds")
        predictions = _predictions(task, config, say)
        reviews = [_numbered(item, duration_s, config, users or {}, predictions, say) for item in _annotations(task)]
        return Session(
            id=data["session_id"],
            recording=Recording(
                uri=str(data.get("uri", "")),
                source_guid=str(data.get("source_guid", "")),
                start=parse_utc(str(data.get("start") or "")),
                duration_s=duration_s,
                sha256=str(data.get("sha256") or ""),
                audio_uri=str(data.get(config.recording_field(data), "")),
            ),
            absolute_time=str(data.get("absolute_time", "")),
            round=str(data.get("round", "")),
            detections=tuple(sorted(detection for prediction in predictions for _, detection in prediction.boxes)),
            model_runs=tuple(sorted({prediction.run for prediction in predictions})),
            reviews=tuple(review for _, review in sorted(reviews, key=lambda item: item[0])),
            sightings=sightings.from_data(data, say),
            blind=data.get(BLIND) is True,
            planned=planned.from_data(data, say),
        )
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def task_name(task: Mapping[str, Any]) -> str:
    """How a task is named in words: its number, and its session where it has one."""
    data = task.get("data")
    session = data.get("session_id") if isinstance(data, Mapping) else None
    return f"task {task.get('id', '?')}" + (f" (session {session})" if isinstance(session, str) and session else "")


def from_annotation(
    annotation: Any,
    duration_s: float | None,
    config: LabelConfig,
    users: Mapping[int, str],
    predictions: Sequence[Prediction] = (),
    say: Say = lambda _: None,
) -> Review:
    """One submission. Raises InputError naming the item that cannot be read.

    A deleted box leaves no trace in `result`, so it is compared with the prediction that the annotator started from: the copy in
    the annotation, or that of `predictions` where Label Studio made none.
    """
    if not isinstance(annotation, Mapping):
        raise InputError(f"an annotation is {annotation!r}, expected an object")
    cancelled, truth = (_flag(annotation, field) for field in ("was_cancelled", "ground_truth"))
    author = _annotator(annotation.get("completed_by"), users)
    result = annotation.get("result")
    items = read_result([] if cancelled and result is None else result, config, duration_s, say)
    ids = {item.id for item in items if item.kind is Kind.BOX}
    origins = _origins(annotation, ids, predictions, config, say)
    texts = _texts(items)
    labels = {item.id: label_of(item.label, _sources(items, item.id), say) for item in items if item.kind is Kind.BOX}
    annotations = tuple(
        _annotation(item, labels[item.id], origins.get(item.id, ()), texts, author) for item in items if item.kind is Kind.BOX
    )
    rejected = (found for identity, found in origins.items() if identity not in ids and len(found) == 1)
    return Review(
        annotator=author,
        state=_state(cancelled, state_of(annotations), items, config, say),
        annotations=tuple(sorted(annotations, key=lambda item: item.event)),
        rejected=tuple(sorted(detection for (detection,) in rejected)),
        submitted=parse_utc(_time(annotation)),
        ground_truth=truth,
        note="\n".join(item.text for item in items if item.kind is Kind.SESSION_NOTE),
        heard=read_heard(annotation, items, say),
    )


def _numbered(annotation: Any, *more: Any) -> tuple[tuple[str, int], Review]:
    """A review, with the key that orders submissions of a task (time of the last change, number)."""
    review = from_annotation(annotation, *more)
    number = annotation.get("id")
    return (_time(annotation), number if isinstance(number, int) else 0), review


def _annotations(task: Mapping[str, Any]) -> list[Any]:
    """The submissions of a task. Raises InputError where they may have been left out of the file."""
    found = task.get("annotations")
    if not isinstance(found, list):
        raise InputError("annotations are missing or no list: this is not Label Studio's JSON export")
    return found


def _predictions(task: Mapping[str, Any], config: LabelConfig, say: Say) -> list[Prediction]:
    stored = task.get("predictions") or []
    if not isinstance(stored, list):
        say("predictions are no list, and are not kept")
        return []
    return [found for item in stored if (found := read_prediction(item, config, say)) is not None]


def _origins(
    annotation: Mapping[str, Any], ids: set[str], predictions: Sequence[Prediction], config: LabelConfig, say: Say
) -> dict[str, list[Detection]]:
    """The boxes that the annotator started from, by id; more than one of an id cannot be told apart.

    Label Studio copies into an annotation what the project shows when it is submitted; that is another model's prediction where
    one was promoted since the page was opened. So the number of the prediction counts. Work that was saved as a draft and opened
    again is submitted without it; boxes that were kept still have their ids.
    """
    number = annotation.get("parent_prediction")
    copied = read_prediction(annotation["prediction"], config, say) if annotation.get("prediction") else None
    known = [*([copied] if copied else []), *predictions]
    found = next((prediction for prediction in known if ids & prediction.ids), None)
    if number is not None:
        found = next((prediction for prediction in known if prediction.id == number), found)
    if found is None and copied and (number is None or copied.id is None):
        found = copied
    origins: dict[str, list[Detection]] = {}
    for identity, detection in found.boxes if found else ():
        origins.setdefault(identity, []).append(detection)
    return origins


def _texts(items: Iterable[Item]) -> dict[tuple[str, Kind], str]:
    """Call types and notes of boxes, by the box's id; several are all kept, a line each."""
    texts: dict[tuple[str, Kind], str] = {}
    for item in items:
        if item.kind in (Kind.CALL_TYPE, Kind.NOTE) and item.text:
            earlier = texts.get((item.id, item.kind))
            texts[item.id, item.kind] = f"{earlier}\n{item.text}" if earlier else item.text
    return texts


def _sources(items: Iterable[Item], identity: str) -> list[str]:
    return [item.text for item in items if item.kind is Kind.SOURCE and item.id == identity]


def _state(cancelled: bool, boxes: ReviewState, items: Sequence[Item], config: LabelConfig, say: Say) -> ReviewState:
    """What a submission says, of which `boxes` is what its boxes say. It is `unsure` where nobody can tell what was meant: calls
    beside "No calls", or two answers, contradict each other; and without a call, an answer under a control that is not known may
    have said "not sure"."""
    answers = {item.text for item in items if item.kind is Kind.ANSWER}
    foreign = any(item.kind is Kind.OTHER for item in items)
    if cancelled:
        return ReviewState.SKIPPED
    if not answers:
        return ReviewState.UNSURE if foreign and boxes is ReviewState.NO_CALLS else boxes
    if len(answers) > 1:
        say(f"two answers, {' and '.join(map(repr, sorted(answers)))}, so it counts as unsure")
        return ReviewState.UNSURE
    state = config.answers.get(answers.pop(), ReviewState.UNSURE)
    return ReviewState.UNSURE if state is ReviewState.NO_CALLS and boxes is not ReviewState.NO_CALLS else state


def _annotation(
    item: Item, label: str, origins: Sequence[Detection], texts: Mapping[tuple[str, Kind], str], author: str
) -> Annotation:
    assert item.event is not None
    times = (item.event.start_s, item.event.end_s)
    same = [origin for origin in origins if (origin.event.start_s, origin.event.end_s) == times]
    if same:
        outcome, origin = Outcome.ACCEPTED, same[0]
    elif len(origins) == 1:
        outcome, origin = Outcome.MOVED, origins[0]
    else:
        outcome, origin = OUTCOMES.get(item.origin, Outcome.ADDED), None
    return Annotation(
        event=item.event,
        label=label,
        certainty=item.certainty,
        annotator=author,
        outcome=outcome,
        detection=origin,
        call_type=texts.get((item.id, Kind.CALL_TYPE), ""),
        note=texts.get((item.id, Kind.NOTE), ""),
    )


def _flag(annotation: Mapping[str, Any], field: str) -> bool:
    value = annotation.get(field, False)
    if not isinstance(value, bool):
        raise InputError(f"{field} is {value!r}, expected true or false")
    return value


def _time(annotation: Mapping[str, Any]) -> str:
    """The moment of the last change. The SDK gives it as a time, files as text."""
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _annotator(completed_by: Any, users: Mapping[int, str]) -> str:
    if isinstance(completed_by, Mapping):
        return str(completed_by.get("email") or completed_by.get("id") or "")
    if isinstance(completed_by, int):
        return users.get(completed_by, str(completed_by))
    if completed_by is None or isinstance(completed_by, str):
        return completed_by or ""
    raise InputError(f"completed_by is {completed_by!r}, expected the annotator's number or address")
