"""What the items of a `result` list are: the one place that tells boxes and answers from all else, and loses none of them.

A person's item is understood, or named in words if it cannot have been a box, or else the submission is refused: a box that is
dropped makes a false "no calls". A model's item is taken or named; whatever a model sent, nobody's submission is refused for it.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, TypeGuard

from labelstudio.labels import LabelConfig
from podcast.errors import InputError
from podcast.model import CALL, EDGE_S, Certainty, Detection, ModelRun, SoundEvent
from podcast.vocabulary import SOMETHING_ELSE, is_call, source

Say = Callable[[str], None]
"""Takes a sentence about something that was left out."""

LABELS = ("label", "labels")
UNKNOWN_VERSION = "undefined"
"""What Label Studio itself stores for a prediction without a version."""


class Kind(Enum):
    """What an item says. `OTHER` is understood to be no box, and kept in words alone."""

    BOX = auto()
    ANSWER = auto()
    SOURCE = auto()
    CALL_TYPE = auto()
    NOTE = auto()
    SESSION_NOTE = auto()
    HEARD = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Item:
    """One item: `text` is what was chosen or written (for `OTHER` what it is, in words); the last four are a box's.

    `on_box` is True for what says something about a box: an item of the same id must be that box.
    """

    kind: Kind
    id: str
    text: str = ""
    on_box: bool = False
    event: SoundEvent | None = None
    label: str = ""
    certainty: Certainty = Certainty.CERTAIN
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One stored prediction: its number, and its boxes by the ids of their regions, which a foreign model may give twice."""

    id: Any
    run: ModelRun
    boxes: tuple[tuple[str, Detection], ...] = ()

    @property
    def ids(self) -> set[str]:
        """The ids of its boxes."""
        return {identity for identity, _ in self.boxes}


def classify(item: Any, config: LabelConfig, duration_s: float | None = None) -> Item:
    """What one item says. Raises InputError for one that may have been a box, an answer or a note and cannot be read as such."""
    if not isinstance(item, Mapping):
        raise InputError(f"is {_shown(item)}, expected an object")
    kind, name, value = item.get("type"), item.get("from_name"), item.get("value")
    identity = str(item.get("id") or "")
    if kind == "relation" and value is None and item.get("from_id") and item.get("to_id"):
        return Item(Kind.OTHER, identity, "a relation between two boxes")
    if not (isinstance(kind, str) and kind and isinstance(name, str) and name):
        raise InputError(f"type is {_shown(kind)} and from_name is {_shown(name)}, expected the type and the name of a control")
    if name not in config.controls:
        return Item(Kind.OTHER, identity, f"{kind!r} of {name!r}: {_shown(value)}", on_box=_spans(item))
    if kind != config.controls[name]:
        raise InputError(f"type is {kind!r}, expected {config.controls[name]!r} for {name!r}")
    if not isinstance(value, Mapping):
        raise InputError(f"value is {_shown(value)}, expected an object")
    if name == config.regions:
        return _box(identity, item, value, config, duration_s)
    if name in config.choices:
        chosen = _chosen(value)
        return Item(Kind.SOURCE, identity, config.choices[name].get(chosen, chosen), on_box=True)
    answers = {config.review: Kind.ANSWER, config.call_type: Kind.CALL_TYPE, config.note: Kind.NOTE, config.heard: Kind.HEARD}
    meaning = answers.get(name, Kind.SESSION_NOTE)
    text = _chosen(value) if kind == "choices" else _written(value)
    return Item(meaning, identity, text, on_box=meaning in (Kind.CALL_TYPE, Kind.NOTE))


def read_result(result: Any, config: LabelConfig, duration_s: float | None, say: Say) -> list[Item]:
    """All that one submission says; what is no box, answer or note is said in words. Raises InputError naming the item."""
    if not isinstance(result, list):
        raise InputError(f"result is {_shown(result)}, expected a list")
    items = []
    for number, raw in enumerate(result, 1):
        try:
            items.append(classify(raw, config, duration_s))
        except InputError as error:
            raise InputError(f"{_place(number, raw)}: {error}") from error
    boxes = {item.id for item in items if item.kind is Kind.BOX}
    for number, item in enumerate(items, 1):
        if item.on_box and item.id not in boxes:
            place = _place(number, result[number - 1])
            raise InputError(f"{place} ({item.text}): there is no labelled box of this id, so one would be lost")
        if item.kind is Kind.OTHER:
            say(f"{item.text} is not kept")
    return items


def read_prediction(prediction: Any, config: LabelConfig, say: Say) -> Prediction | None:
    """The good boxes of one stored prediction; what is not good is said in words. None for the bare number that exports give."""
    if not isinstance(prediction, Mapping):
        if not isinstance(prediction, int):
            say(f"a prediction is {_shown(prediction)}, expected an object")
        return None
    version = prediction.get("model_version")
    name = f"prediction {prediction.get('id', '?')}"
    if not isinstance(version, str) or not version:
        say(f"{name}: model_version is {_shown(version)}, expected text")
        version = UNKNOWN_VERSION if version in (None, "") else _shown(version)
    run, boxes = ModelRun.parse(version), []
    sources: dict[str, list[str]] = {}
    result = prediction.get("result")
    if not isinstance(result, list):
        say(f"{name}: result is {_shown(result)}, expected a list")
        result = []
    for number, raw in enumerate(result, 1):
        place = f"{name} ({version}), {_place(number, raw)}"
        try:
            item = classify(raw, config)
            if item.kind is Kind.SOURCE:
                sources.setdefault(item.id, []).append(item.text)
                continue
            if item.event is None:
                raise InputError("is no box")
        except InputError as error:
            say(f"{place}: {error}; it is not kept")
            continue
        boxes.append((item.id, Detection(item.event, item.label, _confidence(raw.get("score"), place, say), run)))
    told = [(name, replace(box, label=label_of(box.label, sources.get(name, ()), say))) for name, box in boxes]
    found = Prediction(prediction.get("id"), run, tuple(told))
    if len(found.ids) < len(boxes):
        say(f"{name} ({version}): several boxes have one id, so what became of them cannot be told")
    return found


def label_of(label: str, chosen: Iterable[str], say: Say) -> str:
    """The label of a box: what was chosen says which orca it was, or which other sound, and never turns one into the other."""
    for name in chosen:
        if label in (CALL, SOMETHING_ELSE) and source(name) and is_call(name) is is_call(label):
            label = name
        else:
            say(f"{name!r}, chosen for a box that is {label!r}, is not kept")
    return label


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _box(identity: str, item: Mapping[str, Any], value: Mapping[str, Any], config: LabelConfig, duration_s: float | None) -> Item:
    if not identity:
        raise InputError("has no id")
    start, end, meta = value.get("start"), value.get("end"), item.get("meta") or {}
    if not (is_number(start) and is_number(end)):
        raise InputError(f"times are {_shown(start)} to {_shown(end)}, expected numbers of seconds")
    low, high = (meta.get("low_hz"), meta.get("high_hz")) if isinstance(meta, Mapping) else (None, None)
    for hertz in (low, high):
        if hertz is not None and not is_number(hertz):
            raise InputError(f"frequencies are {_shown(low)} to {_shown(high)}, expected numbers of hertz")
    labels = value.get("labels")
    if not (isinstance(labels, list) and len(labels) == 1 and isinstance(labels[0], str) and labels[0]):
        raise InputError(f"expected one label, not {_shown(labels)}")
    if start >= -EDGE_S:
        start = max(start, 0.0)
    if duration_s is not None:
        if end > duration_s + EDGE_S:
            raise InputError(f"ends at {end} s, past the end of the recording at {duration_s} s")
        end = min(end, duration_s)
    label, certainty = config.labels.get(labels[0], (labels[0], Certainty.CERTAIN))
    event, origin = SoundEvent(start, end, low, high), str(item.get("origin"))
    return Item(Kind.BOX, identity, event=event, label=label, certainty=certainty, origin=origin)


def _spans(item: Mapping[str, Any]) -> bool:
    """Whether an item has anything of a box: times, or labels of whatever shape."""
    value = item.get("value")
    fields = [*item, *value] if isinstance(value, Mapping) else [*item]
    if value is not None and not isinstance(value, Mapping):
        return True
    return any(field in ("start", "end", "ranges") or str(field).endswith(LABELS) for field in [*fields, item.get("type")])


def _chosen(value: Mapping[str, Any]) -> str:
    choices = value.get("choices")
    if not (isinstance(choices, list) and choices and all(isinstance(choice, str) and choice for choice in choices)):
        raise InputError(f"choices are {_shown(choices)}, expected a list of texts")
    return "\n".join(choices)


def _written(value: Mapping[str, Any]) -> str:
    text = value.get("text")
    lines = [text] if isinstance(text, str) else text
    if not (isinstance(lines, list) and all(isinstance(line, str) for line in lines)):
        raise InputError(f"text is {_shown(text)}, expected a list of texts")
    return "\n".join(lines)


def _confidence(score: Any, place: str, say: Say) -> float:
    """A score as Label Studio stores it, or any model sent it: none is 0, and so is what lies outside 0 to 1."""
    if score is None:
        return 0.0
    try:
        number = float(score) if isinstance(score, str) else score
    except ValueError:
        number = None
    if is_number(number) and 0 <= number <= 1:
        return float(number)
    say(f"{place}: score is {_shown(score)}, expected a number from 0 to 1; 0 was taken")
    return 0.0


def _place(number: int, item: Any) -> str:
    identity = item.get("id") if isinstance(item, Mapping) else None
    return f"region {identity!r}" if identity and isinstance(identity, str) else f"item {number} of result"


def _shown(value: Any) -> str:
    """A JSON value in a sentence, cut short, however large or deep it is."""
    return "null" if value is None else _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = 80
