"""A task to the letter, as Label Studio 1.23 stores and shows it: every key is one that its server, its page or our reader knows.

Written by hand from what a live server took and gave back; ids alone are not compared, but that they hang together.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_task
from labelstudio.tasks import to_annotation, to_prediction, to_task, to_tasks
from podcast.errors import InputError, Refusal
from podcast.model import (
    Annotation,
    Certainty,
    Detection,
    Heard,
    ModelRun,
    Outcome,
    Recording,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)
from podcast.report import Report

CONFIG = LabelConfig.load()
RUN, OTHER = ModelRun("energy", "1"), ModelRun("orcahello", "v1")
EARLY = Detection(SoundEvent(1, 2.5), "Call", 0.25, RUN)
LATE = Detection(SoundEvent(10, 11, 500, 4000), "Call", 0.75, RUN)
PAGE = "/data/local-files/?d=audio/a.wav"


def session(*reviews: Review, duration_s: float | None = 60.0, detections: tuple[Detection, ...] = (LATE, EARLY)) -> Session:
    start = datetime(2017, 9, 27, 15, 26, tzinfo=UTC)
    recording = Recording("https://x/a.wav", "rpi_orcasound_lab", start, duration_s, "ab" * 32)
    return Session("a", recording, "OS_9_27_2017_08_25_00_", "round1", detections, (OTHER,), reviews)


def region(start: float, end: float, **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "channel": 0, "labels": ["Call"]}
    return {"type": "labels", "from_name": "label", "to_name": "audio", "original_length": 60.0, "value": value, **more}


def test_a_copy_is_what_the_page_plays_and_the_recording_keeps_its_address() -> None:
    copy = "/data/local-files/?d=audio/listening/x.flac"
    task = to_task(session(), PAGE, CONFIG, copy=copy)
    assert task["data"] == {**to_task(session(), PAGE, CONFIG)["data"], "audio": copy, "recording": PAGE}
    assert from_task({**task, "annotations": []}, CONFIG).recording.audio_uri == PAGE


def without_ids(result: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key != "id"} for item in result]


def test_data_and_predictions() -> None:
    task = to_task(session(), PAGE, CONFIG)
    assert set(task) == {"data", "predictions"}
    assert task["data"] == {
        "audio": PAGE,
        "session_id": "a",
        "round": "round1",
        "uri": "https://x/a.wav",
        "absolute_time": "OS_9_27_2017_08_25_00_",
        "source_guid": "rpi_orcasound_lab",
        "start": "2017-09-27T15:26:00.000Z",
        "duration_s": 60.0,
        "sha256": "ab" * 32,
    }
    found, nothing = task["predictions"]
    assert {key: found[key] for key in ("model_version", "score")} == {"model_version": "energy:1", "score": 0.75}
    assert without_ids(found["result"]) == [
        region(1.0, 2.5, score=0.25),
        region(10.0, 11.0, score=0.75, meta={"low_hz": 500, "high_hz": 4000}),
    ]
    assert nothing == {"model_version": "orcahello:v1", "score": 0.0, "result": []}
    assert len({item["id"] for item in found["result"]}) == 2


@pytest.mark.parametrize(
    ("outcome", "certainty", "origin", "label"),
    [
        (Outcome.ACCEPTED, Certainty.CERTAIN, "prediction", "Call"),
        (Outcome.MOVED, Certainty.CERTAIN, "prediction-changed", "Call"),
        (Outcome.MOVED, Certainty.UNCERTAIN, "prediction-changed", "Uncertain call"),
    ],
)
def test_a_box_that_came_from_a_model_keeps_its_id_and_score(
    outcome: Outcome, certainty: Certainty, origin: str, label: str
) -> None:
    box = Annotation(SoundEvent(10, 11), "Call", certainty, "ann", outcome, LATE)
    made = session(Review("ann", ReviewState.CALLS, (box,)))
    (item,) = to_annotation(made, made.reviews[0], CONFIG)["result"]
    assert item["id"] == to_prediction(made, RUN, CONFIG)["result"][1]["id"]
    expected = region(10.0, 11.0, score=0.75, origin=origin)
    expected["value"]["labels"] = [label]
    assert without_ids([item]) == [expected]


def test_a_box_with_all_that_can_be_said_of_it() -> None:
    box = Annotation(SoundEvent(1, 2), "Call", Certainty.CERTAIN, "ann", Outcome.ADDED, None, "S16", "faint")
    made = session(Review("ann", ReviewState.CALLS, (box,), note="a ship"))
    annotation = to_annotation(made, made.reviews[0], CONFIG)
    times = {"start": 1.0, "end": 2.0, "channel": 0}
    drawn = region(1.0, 2.0, origin="manual")
    *of_box, note = annotation.pop("result")
    assert without_ids(of_box) == [
        drawn,
        {**drawn, "from_name": "call_type", "type": "choices", "value": {**times, "choices": ["S16"]}},
        {**drawn, "from_name": "note", "type": "textarea", "value": {**times, "text": ["faint"]}},
    ]
    assert len({item["id"] for item in of_box}) == 1 != len({of_box[0]["id"], note["id"]})
    assert without_ids([note]) == [
        {"from_name": "session_note", "to_name": "audio", "type": "textarea", "value": {"text": ["a ship"]}}
    ]
    assert annotation == {"was_cancelled": False, "ground_truth": False}


@pytest.mark.parametrize(
    ("label", "general", "control"),
    [("Humpback", "Something else", "source"), ("Bigg's", "Call", "orca"), ("Southern Resident", "Call", "orca")],
)
def test_what_made_a_sound_is_a_choice_beside_its_box(label: str, general: str, control: str) -> None:
    found = Detection(SoundEvent(10, 11), label, 0.75, RUN)
    box = Annotation(SoundEvent(10, 11), label, Certainty.CERTAIN, "ann", Outcome.ACCEPTED, found)
    made = session(Review("ann", ReviewState.UNSURE, (box,)), detections=(found,))
    drawn = region(10.0, 11.0, score=0.75)
    drawn["value"]["labels"] = [general]
    chosen = {
        **drawn,
        "from_name": control,
        "type": "choices",
        "value": {"start": 10.0, "end": 11.0, "channel": 0, "choices": [label]},
    }
    predicted = to_prediction(made, RUN, CONFIG)["result"]
    assert without_ids(predicted) == [drawn, chosen]
    *said, _ = to_annotation(made, made.reviews[0], CONFIG)["result"]
    assert without_ids(said) == [{**item, "origin": "prediction"} for item in (drawn, chosen)]
    assert {item["id"] for item in [*predicted, *said]} == {predicted[0]["id"]}


@pytest.mark.parametrize(
    ("state", "answers", "cancelled"),
    [
        (ReviewState.NO_CALLS, ["No calls"], False),
        (ReviewState.UNSURE, ["Not sure"], False),
        (ReviewState.UNREVIEWED, ["Did not listen"], False),
        (ReviewState.CALLS, [], False),
        (ReviewState.SKIPPED, [], True),
    ],
)
def test_what_is_said_of_the_whole_session(state: ReviewState, answers: list[str], cancelled: bool) -> None:
    made = session(Review("ann", state, ground_truth=cancelled))
    assert {**to_annotation(made, made.reviews[0], CONFIG), "result": None} == {
        "result": None,
        "was_cancelled": cancelled,
        "ground_truth": cancelled,
    }
    result = without_ids(to_annotation(made, made.reviews[0], CONFIG)["result"])
    assert result == [
        {"from_name": "review", "to_name": "audio", "type": "choices", "value": {"choices": [text]}} for text in answers
    ]


@pytest.mark.parametrize(
    ("end_s", "duration_s", "stored"),
    [
        (60.0, 60.0, 60.0),
        (60.1, 60.0, 60.0),  # browsers and codecs disagree by this much
        (60.05, 59.9996, 60.0),
        (12.0, None, 12.0),
    ],
)
def test_a_box_ends_with_its_recording(end_s: float, duration_s: float | None, stored: float) -> None:
    made = session(duration_s=duration_s, detections=(Detection(SoundEvent(5, end_s), "Call", 1.0, RUN),))
    (item,) = to_prediction(made, RUN, CONFIG)["result"]
    assert item["value"]["end"] == stored
    assert item["original_length"] == (duration_s or stored)


@pytest.mark.parametrize(("start_s", "end_s"), [(5, 60.101), (60.0, 60.05)])
def test_a_box_past_the_recording_is_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(InputError, match="past the end of the recording at 60"):
        to_task(session(detections=(Detection(SoundEvent(start_s, end_s), "Call", 1.0, RUN),)), PAGE, CONFIG)


def test_of_two_sessions_of_one_name_the_first_is_taken_and_the_other_named() -> None:
    report = Report()
    once, twice = session(), session(detections=())
    given: list[Session | Refusal] = [once, Refusal("b.json", "not JSON"), twice]
    made = list(to_tasks(given, "round 7", CONFIG, lambda _: PAGE, report))
    ((placed, task),) = made
    assert (placed.round, task["data"]["round"], len(task["predictions"])) == ("round 7", "round 7", 2)
    assert (task["data"]["audio"], "recording" in task["data"]) == (PAGE, False)  # nobody made a listening copy
    assert [(item.where, item.reason) for item in report.refusals] == [
        ("b.json", "not JSON"),
        ("session a", "the source names this session twice; the first was taken"),
    ]


def test_a_session_that_has_no_address_is_named_once() -> None:
    report = Report()

    def nowhere(session: Session) -> str:
        raise InputError(f"session {session.id}: its audio is nowhere")

    assert not list(to_tasks([session()], "round1", CONFIG, nowhere, report))
    assert [str(item) for item in report.refusals] == ["session a: its audio is nowhere"]


def test_a_page_of_before_is_asked_to_keep_no_listening() -> None:
    """A labeling configuration without the control `heard`: an item of no control would be refused when it comes back."""
    before = replace(CONFIG, heard="")
    made = session(Review("ann", ReviewState.NO_CALLS, note="rain", heard=Heard(30.5, True, 20.0, 60.0)))
    annotation = to_annotation(made, made.reviews[0], before)
    assert [item["from_name"] for item in annotation["result"]] == ["review", "session_note"]
    assert annotation["lead_time"] == 30.5
    (read,) = from_task({**to_task(made, PAGE, before), "id": 1}, before).reviews
    assert (read.state, read.note, read.heard) == (ReviewState.NO_CALLS, "rain", Heard(30.5))


@pytest.mark.parametrize(("low_hz", "high_hz"), [(500.0, None), (None, 4000.0), (0.0, 4000.0)])
def test_a_band_that_is_half_known_is_kept(low_hz: float | None, high_hz: float | None) -> None:
    made = session(detections=(Detection(SoundEvent(1, 2, low_hz, high_hz), "Call", 1.0, RUN),))
    (item,) = to_prediction(made, RUN, CONFIG)["result"]
    assert item["meta"] == {"low_hz": low_hz, "high_hz": high_hz}
