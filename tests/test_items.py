"""What the items of a submission and of a prediction say, one by one, and the words in which what is not kept is named."""

from __future__ import annotations

from typing import Any

import pytest

from labelstudio.labels import LabelConfig
from labelstudio.results import Kind, classify, label_of, read_prediction, read_result
from labelstudio.sessions import from_task, task_name
from podcast.errors import InputError
from podcast.model import Certainty, Outcome, Review, ReviewState, SoundEvent
from tests.test_submissions import region, task

Json = dict[str, Any]
CONFIG = LabelConfig.load()


def of_box(box: Json, name: str, *chosen: str) -> Json:
    """What the page sends for a choice about a box."""
    return {**box, "from_name": name, "type": "choices", "value": {**box["value"], "choices": list(chosen)}}


def said(*result: Any, **more: Any) -> tuple[Review, list[str]]:
    """A submission, read; and what was said of it."""
    words: list[str] = []
    (found,) = from_task(task(list(result), **more), CONFIG, say=words.append).reviews
    return found, words


def predicted(**prediction: Any) -> tuple[list[tuple[str, str, float]], list[str]]:
    """Run, label and confidence of each box of a stored prediction; and what was said of it."""
    words: list[str] = []
    found = read_prediction(prediction, CONFIG, words.append)
    assert found is not None
    return [(str(box.model_run), box.label, box.confidence) for _, box in found.boxes], words


@pytest.mark.parametrize(
    ("end_s", "stored"),
    [(59.999, 59.999), (60.0, 60.0), (60.05, 60.0), (60.1, 60.0)],  # a tenth of a second is what players disagree about
)
def test_a_box_that_ends_a_tenth_of_a_second_late_ends_with_its_recording(end_s: float, stored: float) -> None:
    (box,) = said(region("a", 58.0, end_s))[0].annotations
    assert box.event == SoundEvent(58.0, stored)


def test_a_box_that_ends_later_is_refused_and_named() -> None:
    with pytest.raises(InputError) as caught:
        said(region("a", 58.0, 60.101))
    name = "task 7 (session OS_7_05_2019_08_24_00__0004)"
    assert str(caught.value) == f"{name}: region 'a': ends at 60.101 s, past the end of the recording at 60.0 s"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"id": 7, "data": {"session_id": "s"}}, "task 7 (session s)"),
        ({"id": 7, "data": {"session_id": ""}}, "task 7"),
        ({"id": 7, "data": {"session_id": 5}}, "task 7"),
        ({"id": 7, "data": None}, "task 7"),
        ({"data": {"session_id": "s"}}, "task ? (session s)"),
    ],
)
def test_how_a_task_is_named(given: Json, name: str) -> None:
    assert task_name(given) == name


@pytest.mark.parametrize(
    ("identity", "place"), [("b", "region 'b'"), ("", "item 2 of result"), (5, "item 2 of result"), (None, "item 2 of result")]
)
def test_how_an_item_is_named(identity: Any, place: str) -> None:
    broken = {**region("b", 1.0, 2.0), "id": identity, "type": None}
    with pytest.raises(InputError, match=rf": {place}: type is null and from_name is 'label', expected the type and the name"):
        said(region("a", 1.0, 2.0), broken)
    lost = {**of_box(region("x", 1.0, 2.0), "call_type", "S01"), "id": identity}
    with pytest.raises(InputError, match=rf": {place} \(S01\): there is no labelled box of this id, so one would be lost"):
        said(region("a", 1.0, 2.0), lost)


def test_what_is_shown_of_a_long_value_is_short() -> None:
    with pytest.raises(InputError) as caught:
        read_result("x" * 500, CONFIG, None, print)
    shown = str(caught.value).removeprefix("result is ").removesuffix(", expected a list")
    assert len(shown) == 80 and shown[:3] == "'xx" and "..." in shown


@pytest.mark.parametrize(
    "item",
    [
        {"type": "relation", "from_id": "a"},
        {"type": "relation", "to_id": "a"},
        {"type": "relation", "from_id": "a", "to_id": "b", "value": {"start": 1.0}},
        {"type": "relations", "from_id": "a", "to_id": "b"},
        {"type": "", "from_name": "label"},
        {"type": "labels", "from_name": ""},
        {"type": 5, "from_name": "label"},
        {"type": "labels", "from_name": 5},
    ],
)
def test_an_item_of_no_control_is_refused(item: Json) -> None:
    with pytest.raises(InputError, match="expected the type and the name of a control"):
        said(region("a", 1.0, 2.0), item)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"labels": [7]}, r"expected one label, not \[7\]"),
        ({"labels": [""]}, r"expected one label, not \[''\]"),
        ({"labels": "Call"}, "expected one label, not 'Call'"),
        ({"labels": ["Call"], "end": None}, "times are 1.0 to null, expected numbers of seconds"),
        ({"labels": ["Call"], "start": None}, "times are null to 2.0, expected numbers of seconds"),
    ],
)
def test_a_box_that_cannot_be_read_is_refused(value: Json, words: str) -> None:
    with pytest.raises(InputError, match=f"region 'a': {words}"):
        said({**region("a", 1.0, 2.0), "value": {"start": 1.0, "end": 2.0, **value}})


@pytest.mark.parametrize("meta", [{"low_hz": True}, {"high_hz": "9"}, {"low_hz": 10, "high_hz": float("nan")}])
def test_a_band_that_is_none_is_refused(meta: Json) -> None:
    with pytest.raises(InputError, match=r"frequencies are .*, expected numbers of hertz"):
        said(region("a", 1.0, 2.0, meta=meta))


@pytest.mark.parametrize(("meta", "band"), [({"low_hz": 5, "high_hz": 9}, (5, 9)), ("words", (None, None)), (None, (None, None))])
def test_the_band_of_a_box(meta: Any, band: tuple[float | None, float | None]) -> None:
    (box,) = said(region("a", 1.0, 2.0, meta=meta))[0].annotations
    assert (box.event.low_hz, box.event.high_hz) == band


def test_a_label_that_the_page_does_not_have_is_kept_as_it_is() -> None:
    strange = region("a", 1.0, 2.0)
    strange["value"]["labels"] = ["Zebra"]
    (box,) = said(strange)[0].annotations
    assert (box.label, box.certainty) == ("Zebra", Certainty.CERTAIN)


@pytest.mark.parametrize(
    ("label", "chosen", "kept", "words"),
    [
        ("Call", ["Bigg's"], "Bigg's", []),
        ("Something else", ["Humpback"], "Humpback", []),
        ("Call", ["Humpback"], "Call", ["'Humpback', chosen for a box that is 'Call', is not kept"]),
        ("Something else", ["Bigg's"], "Something else", ["\"Bigg's\", chosen for a box that is 'Something else', is not kept"]),
        ("Call", ["Zebra"], "Call", ["'Zebra', chosen for a box that is 'Call', is not kept"]),
        ("Vessel", ["Humpback"], "Vessel", ["'Humpback', chosen for a box that is 'Vessel', is not kept"]),
        (
            "Call",
            ["Bigg's", "Southern Resident"],
            "Bigg's",
            ["'Southern Resident', chosen for a box that is \"Bigg's\", is not kept"],
        ),
        ("Call", [], "Call", []),
    ],
)
def test_what_was_chosen_never_makes_a_call_of_a_ship_or_the_other_way(
    label: str, chosen: list[str], kept: str, words: list[str]
) -> None:
    found: list[str] = []
    assert label_of(label, chosen, found.append) == kept
    assert found == words


def test_each_box_has_its_own_orca_and_no_others_word() -> None:
    one, other, third = region("a", 1.0, 2.0), region("b", 3.0, 4.0), region("c", 5.0, 6.0)
    found, words = said(one, other, third, of_box(other, "orca", "Bigg's"), of_box(one, "orca", "Southern Resident"))
    assert [box.label for box in found.annotations] == ["Southern Resident", "Bigg's", "Call"]
    assert words == []
    with pytest.raises(InputError, match=r"region 'x' \(Bigg's\): there is no labelled box"):
        said(one, of_box(region("x", 1.0, 2.0), "orca", "Bigg's"))


def test_a_choice_that_the_page_does_not_have_is_named() -> None:
    found, words = said(region("a", 1.0, 2.0), of_box(region("a", 1.0, 2.0), "orca", "Northern Resident"))
    assert [box.label for box in found.annotations] == ["Call"]
    assert words == ["'Northern Resident', chosen for a box that is 'Call', is not kept"]


@pytest.mark.parametrize("text", ["faint", ["faint"]])
def test_a_note_is_a_text_or_a_list_of_texts(text: Any) -> None:
    note = {**region("a", 1.0, 2.0), "from_name": "note", "type": "textarea", "value": {"start": 1.0, "end": 2.0, "text": text}}
    empty = {**note, "value": {"text": [""]}}
    (box,) = said(region("a", 1.0, 2.0), note, empty)[0].annotations
    assert box.note == "faint"
    for wrong in (None, 7, [7], {"0": "faint"}):
        with pytest.raises(InputError, match=r"text is .*, expected a list of texts"):
            said(region("a", 1.0, 2.0), {**note, "value": {"text": wrong}})


@pytest.mark.parametrize("choices", [None, "S01", [], [""], ["S01", None]])
def test_choices_are_a_list_of_texts(choices: Any) -> None:
    with pytest.raises(InputError, match=r"choices are .*, expected a list of texts"):
        said(region("a", 1.0, 2.0), {**of_box(region("a", 1.0, 2.0), "call_type"), "value": {"choices": choices}})


def test_several_choices_of_one_control_are_all_kept() -> None:
    (box,) = said(region("a", 1.0, 2.0), of_box(region("a", 1.0, 2.0), "call_type", "S01", "S16"))[0].annotations
    assert box.call_type == "S01\nS16"


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (
            {"id": "r", "from_name": "stars", "type": "rating", "value": {"rating": 4}},
            "'rating' of 'stars': {'rating': 4} is not kept",
        ),
        ({"id": "r", "from_name": "stars", "type": "rating", "value": None}, "'rating' of 'stars': null is not kept"),
        ({"type": "relation", "from_id": "a", "to_id": "b"}, "a relation between two boxes is not kept"),
    ],
)
def test_what_is_no_box_is_named_whole(item: Json, words: str) -> None:
    assert said(region("a", 1.0, 2.0), item)[1] == [words]


@pytest.mark.parametrize("field", ["start", "end", "ranges"])
def test_times_beside_a_value_are_those_of_a_box(field: str) -> None:
    with pytest.raises(InputError, match="there is no labelled box of this id"):
        said(region("a", 1.0, 2.0), {"id": "r", "from_name": "stars", "type": "rating", "value": None, field: 1.0})


@pytest.mark.parametrize(
    ("version", "run", "words"),
    [
        ("energy:1", "energy:1", []),
        (None, "undefined", ["prediction 20: model_version is null, expected text"]),
        ("", "undefined", ["prediction 20: model_version is '', expected text"]),
        (5, "5", ["prediction 20: model_version is 5, expected text"]),
    ],
)
def test_a_prediction_without_a_version_is_what_label_studio_calls_undefined(version: Any, run: str, words: list[str]) -> None:
    box = region("a", 1.0, 2.0, score=0.5)
    assert predicted(id=20, model_version=version, result=[box]) == ([(run, "Call", 0.5)], words)


def test_what_is_not_kept_of_a_prediction_is_named_with_its_place() -> None:
    other = region("b", 3.0, 4.0)
    other["value"]["labels"] = ["Something else"]
    broken = [
        {**region("c", 5.0, 6.0), "value": None},
        {**region("", 5.0, 6.0)},
        {"type": "relation", "from_id": "a", "to_id": "b"},
    ]
    found, words = predicted(
        model_version="m",
        result=[region("a", 1.0, 2.0), other, of_box(other, "source", "Vessel"), *broken, region("e", -1.0, 2.0)],
    )
    assert found == [("m", "Call", 0.0), ("m", "Vessel", 0.0)]
    assert words == [
        "prediction ? (m), region 'c': value is null, expected an object; it is not kept",
        "prediction ? (m), item 5 of result: has no id; it is not kept",
        "prediction ? (m), item 6 of result: is no box; it is not kept",
        "prediction ? (m), region 'e': an event must have 0 <= start < end, not -1.0 to 2.0 s; it is not kept",
    ]


def test_the_bare_number_of_a_prediction_is_no_trouble_and_anything_else_is() -> None:
    words: list[str] = []
    assert [read_prediction(item, CONFIG, words.append) for item in (20, "x", None)] == [None, None, None]
    assert words == ["a prediction is 'x', expected an object", "a prediction is null, expected an object"]
    predictions = [20, {"id": 20, "model_version": "m", "result": [region("a", 1.0, 2.0)]}, {"id": 21, "model_version": "m"}]
    session = from_task(task([], predictions), CONFIG, say=words.append)
    assert [str(run) for run in session.model_runs] == ["m"]  # once


def test_a_skip_keeps_the_boxes_that_were_drawn_and_needs_none() -> None:
    found, _ = said(region("a", 1.0, 2.0), was_cancelled=True)
    assert (found.state, len(found.annotations)) == (ReviewState.SKIPPED, 1)
    (nothing,) = from_task(task(None, was_cancelled=True), CONFIG).reviews
    assert (nothing.state, nothing.annotations) == (ReviewState.SKIPPED, ())


def test_a_box_of_two_predicted_ones_is_told_by_both_its_times() -> None:
    twins = [region("a", 1.0, 2.0, score=0.25), region("a", 1.0, 3.0, score=0.75)]
    prediction = {"id": 20, "model_version": "m", "result": twins}

    def kept(start_s: float, end_s: float) -> tuple[Outcome, float | None]:
        drawn = region("a", start_s, end_s, origin="prediction-changed")
        ((box,),) = [review.annotations for review in from_task(task([drawn], [prediction]), CONFIG).reviews]
        return box.outcome, box.detection.confidence if box.detection else None

    assert [kept(1.0, 3.0), kept(1.0, 2.0)] == [(Outcome.ACCEPTED, 0.75), (Outcome.ACCEPTED, 0.25)]
    assert kept(1.5, 2.0) == (Outcome.MOVED, None)  # of which of them, nobody can tell


def test_what_each_control_says() -> None:
    box = region("a", 1.0, 2.0)
    text = {"id": "n", "from_name": "session_note", "type": "textarea", "value": {"text": ["rain"]}}
    items = [box, of_box(box, "call_type", "S01"), of_box(box, "orca", "Bigg's"), text]
    items += [{**text, "from_name": "heard"}, {**text, "from_name": "note"}, {**text, "from_name": "stars", "type": "rating"}]
    items.append({"id": "n", "from_name": "review", "type": "choices", "value": {"choices": ["Not sure"]}})
    found = [classify(item, CONFIG) for item in items]
    assert [(item.kind, item.on_box) for item in found] == [
        *((Kind.BOX, False), (Kind.CALL_TYPE, True), (Kind.SOURCE, True), (Kind.SESSION_NOTE, False), (Kind.HEARD, False)),
        *((Kind.NOTE, True), (Kind.OTHER, False), (Kind.ANSWER, False)),
    ]
