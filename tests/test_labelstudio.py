"""Session to task JSON and back; and everything that Label Studio would swallow, refused by name."""

from __future__ import annotations

import copy
import hashlib
import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelstudio.blind import chosen, is_blind
from labelstudio.checks import validate_task
from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_task
from labelstudio.signed import FIELD, is_signed
from labelstudio.tasks import to_task
from podcast.errors import InputError
from podcast.model import (
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
from podcast.reviews import review_state

CONFIG = LabelConfig.load()
RUN = ModelRun("energy", "1")


def session(*detections: Detection, reviews: tuple[Review, ...] = ()) -> Session:
    start = datetime(2017, 9, 27, 15, 26, tzinfo=UTC)
    recording = Recording("https://x/a.wav", "rpi_orcasound_lab", start, 60.0, "ab" * 32, "/data/local-files/?d=audio/a.wav")
    return Session("a", recording, "OS_9_27_2017_08_25_00_", "round1", detections, (RUN,), reviews)


def task(**changes: Any) -> dict[str, Any]:
    detections = [Detection(SoundEvent(start, start + 2.45), "Call", 0.9, RUN) for start in (1.0, 10.0)]
    made = to_task(session(*detections), "/data/local-files/?d=audio/a.wav", CONFIG)
    made["predictions"][0]["result"][0].update(changes)
    return made


events = st.builds(
    lambda start, length, low, width: SoundEvent(
        start / 1000, (start + length) / 1000, low, None if low is None else low + width
    ),
    st.integers(0, 57_000),
    st.integers(1, 3000),
    st.none() | st.integers(0, 9000),
    st.integers(1, 9000),
)
detections_ = st.builds(
    Detection,
    events,
    st.just("Call"),
    st.floats(0, 1),
    st.sampled_from([RUN, ModelRun("orcahello", "v1"), ModelRun("podcast")]),
)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip)
annotations_ = st.builds(
    Annotation,
    events,
    st.just("Call"),
    st.sampled_from(Certainty),
    st.just(""),
    st.just(Outcome.ADDED),
    call_type=st.sampled_from(["", "S01", "Whistle"]),
    note=words,
)


@given(st.lists(detections_, max_size=6), st.lists(annotations_, max_size=5), words)
def test_a_session_survives_its_task(detections: list[Detection], annotations: list[Annotation], note: str) -> None:
    state = ReviewState.CALLS if annotations else ReviewState.NO_CALLS
    ordered = tuple(sorted(annotations, key=lambda item: item.event))
    runs = tuple(sorted({RUN, *(item.model_run for item in detections)}))
    original = replace(session(*sorted(detections), reviews=(Review("", state, ordered, note=note),)), model_runs=runs)
    assert from_task(to_task(original, original.recording.audio_uri, CONFIG), CONFIG) == original


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"from_name": "labels"}, "from_name is 'labels'"),
        ({"to_name": "sound"}, "to_name is 'sound'"),
        ({"to_name": None}, "to_name must be text"),
        ({"type": None}, "type must be text"),
        ({"type": "choices"}, "type is 'choices'"),
        ({"value": {"start": "1.0", "end": 2.0, "labels": ["Call"]}}, "value.start must be a number of seconds, not '1.0'"),
        ({"value": {"start": 1.0, "end": 60.001, "labels": ["Call"]}}, "past the end of the recording at 60.0 s"),
        ({"value": {"start": -0.1, "end": 2.0, "labels": ["Call"]}}, "0 <= start < end"),
        ({"value": {"start": 2.0, "end": 2.0, "labels": ["Call"]}}, "0 <= start < end"),
        ({"value": {"start": float("nan"), "end": 2.0, "labels": ["Call"]}}, "value.start must be a number"),
        ({"value": {"start": 1.0, "end": 2.0, "labels": ["call"]}}, "labels are ['call']"),
        ({"value": {"start": 1.0, "end": 2.0}}, "labels are None"),
    ],
)
def test_what_the_server_would_swallow_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    bad = task(**changes)
    with pytest.raises(InputError) as caught:
        validate_task(bad, CONFIG)
    assert words in str(caught.value)
    assert "session a" in str(caught.value)
    assert bad["predictions"][0]["result"][0]["id"] in str(caught.value)


def test_two_regions_with_one_id_are_refused() -> None:
    bad = task()
    bad["predictions"][0]["result"][1]["id"] = bad["predictions"][0]["result"][0]["id"]
    with pytest.raises(InputError, match="two regions have this id"):
        validate_task(bad, CONFIG)


def test_a_prediction_without_a_version_is_refused() -> None:
    bad = task()
    del bad["predictions"][0]["model_version"]
    with pytest.raises(InputError, match="no model_version"):
        validate_task(bad, CONFIG)


def test_a_box_that_overshoots_the_recording_a_little_ends_with_it() -> None:
    made = to_task(session(Detection(SoundEvent(58.0, 60.05), "Call", 0.5, RUN)), "x", CONFIG)
    assert made["predictions"][0]["result"][0]["value"]["end"] == 60.0
    with pytest.raises(InputError, match="past the end"):
        to_task(session(Detection(SoundEvent(58.0, 60.2), "Call", 0.5, RUN)), "x", CONFIG)


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(InputError, match="label 'Walrus'"):
        to_task(session(Detection(SoundEvent(1, 2), "Walrus", 0.5, RUN)), "x", CONFIG)


def annotated(result: list[Any], **more: Any) -> dict[str, Any]:
    """An exported task as Label Studio writes it, with two predicted boxes, 1.0 to 3.45 s and 10.0 to 12.45 s."""
    made = task()
    prediction = {**made["predictions"][0], "id": 7}
    annotation = {
        "id": 1,
        "completed_by": 3,
        "result": result,
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "prediction": prediction,
        "parent_prediction": 7,
        **more,
    }
    return {"id": 5, "data": made["data"], "predictions": [7], "annotations": [annotation]}


def regions() -> list[Any]:
    return copy.deepcopy(task()["predictions"][0]["result"])


def answer(value: str) -> dict[str, Any]:
    return {"id": "x", "from_name": "review", "to_name": "audio", "type": "choices", "value": {"choices": [value]}}


@pytest.mark.parametrize(
    ("result", "more", "state"),
    [
        (regions(), {}, ReviewState.CALLS),
        ([], {}, ReviewState.NO_CALLS),
        ([answer("No calls")], {}, ReviewState.NO_CALLS),
        ([answer("Not sure")], {}, ReviewState.UNSURE),
        ([answer("Did not listen")], {}, ReviewState.UNREVIEWED),
        ([answer("Not looked at")], {}, ReviewState.UNREVIEWED),  # its name in rounds of before
        ([*regions(), answer("Not sure")], {}, ReviewState.UNSURE),
        # Boxes and "no calls" contradict each other: neither a positive nor a negative may come of it.
        ([*regions(), answer("No calls")], {}, ReviewState.UNSURE),
        (regions(), {"was_cancelled": True}, ReviewState.SKIPPED),
        ([], {"was_cancelled": True}, ReviewState.SKIPPED),
        ([answer("An answer that a maintainer added")], {}, ReviewState.UNSURE),
        # An answer to a question that this project does not know, and no box: it may have said "not sure".
        ([{**answer("Not sure"), "from_name": "quality"}], {}, ReviewState.UNSURE),
        ([*regions(), {**answer("Not sure"), "from_name": "quality"}], {}, ReviewState.CALLS),
    ],
)
def test_review_states_are_kept_apart(result: list[Any], more: dict[str, Any], state: ReviewState) -> None:
    assert review_state(from_task(annotated(result, **more), CONFIG)) is state


def test_no_submission_is_unreviewed_even_with_a_draft() -> None:
    exported = {**annotated([]), "annotations": [], "drafts": [4]}
    assert review_state(from_task(exported, CONFIG)) is ReviewState.UNREVIEWED


def test_what_became_of_each_prediction() -> None:
    moved, deleted = regions()
    moved["value"]["start"] = 0.8765432
    added = {**deleted, "id": "new", "origin": "manual"}
    added["value"] = {"start": 20.0004, "end": 21.0006, "channel": 0, "labels": ["Uncertain call"]}
    review = from_task(annotated([moved, added]), CONFIG, {3: "v@example.org"}).reviews[0]
    assert review.annotator == "v@example.org"
    assert [(item.event.start_s, item.event.end_s, item.outcome, item.certainty) for item in review.annotations] == [
        (0.877, 3.45, Outcome.MOVED, Certainty.CERTAIN),
        (20.0, 21.001, Outcome.ADDED, Certainty.UNCERTAIN),
    ]
    assert [item.event.start_s for item in review.rejected] == [10.0]
    assert review.annotations[0].detection and review.annotations[0].detection.event.start_s == 1.0


def test_a_prediction_that_was_not_copied_is_looked_up() -> None:
    exported = annotated(regions()[1:], prediction={})
    assert from_task(exported, CONFIG).reviews[0].rejected == ()
    exported["predictions"] = [{**task()["predictions"][0], "id": 7}]
    assert [item.event.start_s for item in from_task(exported, CONFIG).reviews[0].rejected] == [1.0]


def test_an_accepted_box_that_keeps_its_times_is_accepted_whatever_origin_says() -> None:
    kept = {**regions()[0], "origin": "prediction-changed"}
    assert from_task(annotated([kept]), CONFIG).reviews[0].annotations[0].outcome is Outcome.ACCEPTED


def test_reviews_come_oldest_first_and_a_later_skip_hides_nothing() -> None:
    exported = annotated(regions())
    first = exported["annotations"][0]
    skip = {**first, "id": 2, "was_cancelled": True, "updated_at": "2026-02-01T00:00:00Z"}
    earlier = {**first, "id": 9, "result": [], "updated_at": "2025-01-01T00:00:00Z"}
    exported["annotations"] = [skip, first, earlier]
    found = from_task(exported, CONFIG)
    assert [review.state for review in found.reviews] == [ReviewState.NO_CALLS, ReviewState.CALLS, ReviewState.SKIPPED]
    assert review_state(found) is ReviewState.CALLS


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda item: item["data"].pop("session_id"), "data.session_id is missing"),
        (lambda item: item.pop("data"), "data.session_id is missing"),
        (lambda item: item["annotations"][0]["result"][0]["value"].update(start="1"), "expected numbers of seconds"),
        (lambda item: item["annotations"][0]["result"][0]["value"].update(end=61.0), "past the end of the recording"),
        (lambda item: item["annotations"][0]["result"][0].pop("value"), "value is null, expected an object"),
        (lambda item: item["annotations"][0]["result"][0]["value"].update(labels=[]), "expected one label"),
    ],
)
def test_a_damaged_export_names_the_task(break_it: Any, words: str) -> None:
    exported = annotated(regions())
    break_it(exported)
    with pytest.raises(InputError, match="task 5") as caught:
        from_task(exported, CONFIG)
    assert words in str(caught.value)


def test_a_configuration_without_a_control_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"mine.xml: a <Choices> with perRegion is missing"):
        LabelConfig.parse(CONFIG.xml.replace('perRegion="true"', ""), "mine.xml")
    with pytest.raises(InputError, match=r"mine.xml: not XML"):
        LabelConfig.parse("<View>", "mine.xml")


ENTITIES = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in itertools.pairwise("abcdefghij"))
BOMB = f'<?xml version="1.0"?><!DOCTYPE v [<!ENTITY a "aaaaaaaaaa">{ENTITIES}]><View>&j;</View>'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'certainty="uncertain"',
            'certainty="unsure"',
            "<Label value='Uncertain call'>: certainty is 'unsure', expected one of certain",
        ),
        (
            'reviewState="no_calls"',
            'reviewState="nocalls"',
            "<Choice value='No calls'>: reviewState is 'nocalls', expected one of unrev",
        ),
        ('value="Uncertain call"', 'value="Call"', "two <Label> have the value 'Call'"),
        ('value="Not sure"', 'value="No calls"', "two <Choice> have the value 'No calls'"),
        ('<Label value="Call"', "<Label", "a <Label> has no value="),
        ('<Labels name="label"', "<Labels", "a <Labels> has no name="),
        ('<Audio name="audio"', "<Audio", "a <Audio> has no name="),
        ('<TextArea name="session_note"', "<TextArea", "a <TextArea> has no name="),
        ("<View>", "<!DOCTYPE View><View>", "a DOCTYPE is not read"),
        ("<View>", "<View>\ud800", "not XML"),
        ("</View>", "", "not XML"),
    ],
)
def test_a_slip_in_the_configuration_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        LabelConfig.parse(CONFIG.xml.replace(old, new), "mine.xml")
    assert str(caught.value).startswith("mine.xml: ") and words in str(caught.value)


def test_a_configuration_that_grows_when_it_is_read() -> None:
    with pytest.raises(InputError, match=r"mine.xml: a DOCTYPE is not read"):
        LabelConfig.parse(BOMB, "mine.xml")
    with pytest.raises(InputError, match=r"is missing"):
        LabelConfig.parse("<View>" * 100_000 + "</View>" * 100_000)


@pytest.mark.parametrize(("start_s", "taken"), [(-0.05, True), (-0.1, True), (-0.2, False)])
def test_a_box_that_begins_a_little_before_the_recording_begins_with_it(start_s: float, taken: bool) -> None:
    early = regions()[0]
    early["value"]["start"] = start_s
    if taken:
        assert from_task(annotated([early]), CONFIG).reviews[0].annotations[0].event == SoundEvent(0.0, 3.45)
    else:
        with pytest.raises(InputError, match="0 <= start < end"):
            from_task(annotated([early]), CONFIG)


@pytest.mark.parametrize(
    ("origin", "outcome"),
    [
        ("prediction", Outcome.ACCEPTED),
        ("prediction-changed", Outcome.MOVED),
        ("manual", Outcome.ADDED),
        ("something else", Outcome.ADDED),
        (None, Outcome.ADDED),
        (["prediction"], Outcome.ADDED),
    ],
)
def test_where_no_prediction_is_left_the_page_s_word_counts(origin: Any, outcome: Outcome) -> None:
    item = {**regions()[0], "id": "new", "origin": origin}
    exported = annotated([item], prediction={}, parent_prediction=None)
    (found,) = from_task(exported, CONFIG).reviews[0].annotations
    assert (found.outcome, found.detection) == (outcome, None)


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        (["No calls"], ReviewState.UNSURE),
        (["Not sure"], ReviewState.UNSURE),
        (["Not looked at"], ReviewState.UNREVIEWED),
        ([], ReviewState.CALLS),
    ],
)
def test_what_a_submission_with_boxes_says(answers: list[str], state: ReviewState) -> None:
    """Of the submission itself, before the policy of `podcast.reviews` looks at it."""
    (review,) = from_task(annotated([*regions(), *map(answer, answers)]), CONFIG).reviews
    assert (review.state, len(review.annotations)) == (state, 2)


@pytest.mark.parametrize(
    ("completed_by", "name"),
    [
        (3, "v@x.org"),
        (4, "4"),
        ({"id": 4, "email": "w@x.org"}, "w@x.org"),
        ({"id": 4, "email": ""}, "4"),
        ({}, ""),
        ("u@x.org", "u@x.org"),
        (None, ""),
    ],
)
def test_who_submitted(completed_by: Any, name: str) -> None:
    (review,) = from_task(annotated(regions(), completed_by=completed_by), CONFIG, {3: "v@x.org"}).reviews
    assert review.annotator == name
    assert {box.annotator for box in review.annotations} == {name}


def test_submissions_of_one_moment_are_ordered_by_their_numbers() -> None:
    exported = annotated([])
    first = exported["annotations"][0]
    exported["annotations"] = [{**first, "id": number, "completed_by": str(number)} for number in (10, 2, 1, "x", None)]
    assert [review.annotator for review in from_task(exported, CONFIG).reviews] == ["x", "None", "1", "2", "10"]


@pytest.mark.parametrize(
    ("updated", "created", "submitted"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", datetime(2026, 1, 2, tzinfo=UTC)),
        (None, "2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        (None, None, None),
    ],
)
def test_when_it_was_submitted(updated: str | None, created: str | None, submitted: datetime | None) -> None:
    exported = annotated([], updated_at=updated, created_at=created, ground_truth=True)
    (review,) = from_task(exported, CONFIG).reviews
    assert (review.submitted, review.ground_truth) == (submitted, True)


def text(box: dict[str, Any], name: str, kind: str, *lines: str) -> dict[str, Any]:
    key = "choices" if kind == "choices" else "text"
    return {**box, "from_name": name, "type": kind, "value": {"start": 1.0, "end": 3.45, key: list(lines)}}


def test_all_that_is_written_about_a_box_and_a_session_is_kept() -> None:
    first, second = regions()
    result = [
        first,
        text(first, "note", "textarea", "faint", "far"),
        second,
        text(first, "call_type", "choices", "S01"),
        text(first, "note", "textarea", "again"),
        {**text(first, "session_note", "textarea", "two boats"), "id": "a"},
        {**text(first, "session_note", "textarea", "rain"), "id": "b"},
    ]
    (review,) = from_task(annotated(result), CONFIG).reviews
    assert [(box.call_type, box.note) for box in review.annotations] == [("S01", "faint\nfar\nagain"), ("", "")]
    assert review.note == "two boats\nrain"


def test_a_task_without_its_data_s_words_is_a_session_all_the_same() -> None:
    bare = {"id": 5, "data": {"session_id": "a", "duration_s": None}, "annotations": []}
    assert from_task(bare, CONFIG) == Session("a", Recording("", ""))
    for wrong in (0, -1, "60", float("nan"), True):
        with pytest.raises(InputError, match=r"task 5 \(session a\): data.duration_s is"):
            from_task({**bare, "data": {"session_id": "a", "duration_s": wrong}}, CONFIG)


def test_the_ids_of_boxes_are_those_of_every_version() -> None:
    """Submissions hold the ids of the boxes that they began with: other ids in a new version would make all of them deleted."""
    made = session(Detection(SoundEvent(1, 2), "Call", 0.5, RUN), Detection(SoundEvent(5, 6), "Call", 0.5, RUN))
    review = Review("ann", ReviewState.NO_CALLS, note="rain")
    box = Annotation(SoundEvent(3, 4), "Call", Certainty.CERTAIN, "ann", Outcome.ADDED)
    stored = to_task(replace(made, reviews=(review, replace(review, annotations=(box,)))), "x", CONFIG)

    def identity(*parts: str) -> str:
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    assert [item["id"] for item in stored["predictions"][0]["result"]] == [
        identity("a", "energy:1", "0"),
        identity("a", "energy:1", "1"),
    ]
    assert [item["id"] for item in stored["annotations"][0]["result"]] == [
        identity("a", "review", "0"),
        identity("a", "session_note", "0"),
    ]
    assert stored["annotations"][1]["result"][0]["id"] == identity("a", "annotation", "ann", "0")


def test_a_task_is_signed_where_there_is_a_key() -> None:
    assert FIELD not in to_task(session(), "x", CONFIG)["data"]
    data = to_task(session(), "x", CONFIG, b"key")["data"]
    assert is_signed(data, "audio", b"key")
    assert not is_signed({**data, "audio": "y"}, "audio", b"key")


def test_a_blind_session_has_no_prediction_and_says_so_under_the_signature() -> None:
    found = session(Detection(SoundEvent(1, 2), "Call", 0.9, RUN))
    shown, blind = (to_task(item, "x", CONFIG, b"key") for item in (found, replace(found, blind=True)))
    assert (len(shown["predictions"]), blind["predictions"]) == (1, [])
    assert blind["data"] == {**shown["data"], "blind": True, FIELD: blind["data"][FIELD]}
    assert is_signed(blind["data"], "audio", b"key") and is_signed(shown["data"], "audio", b"key")
    without = {key: value for key, value in blind["data"].items() if key != "blind"}
    assert not is_signed(without, "audio", b"key")
    for data, expected in (
        (blind["data"], True),
        (without, True),
        ({**blind["data"], "blind": "no"}, True),
        (shown["data"], False),
    ):
        assert is_blind(data, "audio", b"key") is expected
    assert [from_task({**task, "annotations": []}, CONFIG).blind for task in (shown, blind)] == [False, True]


def test_what_people_answered_already_is_not_blind() -> None:
    wanted, found = chosen(1.0), session()
    assert wanted(found)
    assert not wanted(replace(found, reviews=(Review("ann", ReviewState.NO_CALLS),)))
    assert [chosen(0.0)(replace(found, blind=blind)) for blind in (True, False)] == [True, False]
