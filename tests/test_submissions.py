"""Submissions as Label Studio's page really sends them, and whatever else may stand in an export, read as reviews.

`tests/data/label_studio/export.json` is an export of Label Studio 1.23.2: six sessions with three predicted boxes each. One was
accepted, one edited (a box moved, one added, call type, notes, a relation), one lost a box, one was answered "No calls", one was
skipped and one answered "Not sure".
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labelstudio.labels import LabelConfig
from labelstudio.round_out import file_sessions, to_sessions
from labelstudio.sessions import from_task
from podcast.errors import InputError, Notice, Refusal
from podcast.model import Outcome, Review, ReviewState, Session
from podcast.report import Report

Json = dict[str, Any]

CONFIG = LabelConfig.load()
DATA = Path(__file__).parent / "data" / "label_studio"
EXPORT: list[Json] = json.loads((DATA / "export.json").read_text())
BOXES = [3, 4, 2, 0, 3, 1]
"""How many boxes each session of the export has, by looking at it."""


def region(identity: str, start: float, end: float, **more: Any) -> Json:
    value = {"start": start, "end": end, "channel": 0, "labels": ["Call"]}
    return {"id": identity, "from_name": "label", "to_name": "audio", "type": "labels", "value": value, **more}


NAME = "task 7 (session OS_7_05_2019_08_24_00__0004)"
STORED = [region("4d47c1b3d701", 7.97, 9.21, score=0.95), region("0279718e320d", 21.97, 23.02, score=0.96)]


def task(result: Any, predictions: Any = (), **more: Any) -> Json:
    annotation = {"id": 1, "completed_by": 1, "result": result, "prediction": {}, "parent_prediction": 20, **more}
    data = {"session_id": "OS_7_05_2019_08_24_00__0004", "duration_s": 60.0}
    return {"id": 7, "data": data, "annotations": [annotation], "predictions": predictions}


def review(result: list[Json], parent_prediction: int | None) -> Review:
    predictions = [
        {"id": 19, "model_version": "other:1", "result": [region("5a2be3f70c11", 7.9, 9.3, score=0.5)]},
        {"id": 20, "model_version": "energy:1", "result": STORED},
    ]
    [found] = from_task(task(result, predictions, parent_prediction=parent_prediction), CONFIG).reviews
    return found


def read(*tasks: Json) -> tuple[list[Session], Report]:
    report = Report()
    return list(report.accepted(to_sessions(tasks, CONFIG))), report


def test_a_draft_that_was_opened_again_names_no_prediction_yet_its_boxes_tell_which() -> None:
    """One box kept (with a note, which makes its origin prediction-changed), one deleted; parent_prediction is null."""
    kept = region("4d47c1b3d701", 7.97, 9.21, score=0.95, origin="prediction-changed")
    note = {**kept, "from_name": "note", "type": "textarea", "value": {**kept["value"], "text": ["echo"]}}
    found = review([kept, note], parent_prediction=None)
    assert [(item.outcome, item.note) for item in found.annotations] == [(Outcome.ACCEPTED, "echo")]
    assert [(item.event.start_s, str(item.model_run)) for item in found.rejected] == [(21.97, "energy:1")]


def test_boxes_of_no_prediction_reject_none() -> None:
    """Nobody can tell whether the annotator saw the predictions, so nothing is made up."""
    found = review([region("Aag2X", 30.0, 31.5, origin="manual")], parent_prediction=None)
    assert [item.outcome for item in found.annotations] == [Outcome.ADDED]
    assert found.rejected == ()


def test_the_prediction_that_is_named_counts() -> None:
    found = review([], parent_prediction=20)
    assert [item.event.start_s for item in found.rejected] == [7.97, 21.97]


@pytest.mark.parametrize("stored", [True, False], ids=["with predictions", "as exported"])
def test_a_model_promoted_while_a_page_was_open_is_not_what_the_person_worked_from(stored: bool) -> None:
    """As Label Studio 1.23.2 writes it: the copy is of the version that the project shows then, the number is what was open."""
    kept = region("4d47c1b3d701", 7.97, 9.21, score=0.95, origin="prediction")
    newer = {"id": 21, "model_version": "energy:2", "result": [region("77aa01b2c3d4", 7.9, 9.3, score=0.9)]}
    opened = {"id": 20, "model_version": "energy:1", "result": STORED}
    [found] = from_task(task([kept], [opened, newer] if stored else [20, 21], prediction=newer), CONFIG).reviews
    assert [item.outcome for item in found.annotations] == [Outcome.ACCEPTED]
    # Without the prediction itself nobody can tell what was deleted; it is never made up from the newer one.
    assert [(str(item.model_run), item.event.start_s) for item in found.rejected] == [("energy:1", 21.97)] * stored


def test_label_studio_s_export_as_it_is() -> None:
    sessions, report = read(*EXPORT)
    assert [len(session.reviews[0].annotations) for session in sessions] == BOXES
    assert [str(session.reviews[0].state) for session in sessions] == [
        "calls", "calls", "calls", "no_calls", "skipped", "unsure",
    ]  # fmt: skip
    assert [len(session.reviews[0].rejected) for session in sessions] == [0, 0, 1, 3, 0, 2]
    assert (report.refusals, list(report.warnings)) == (
        [],
        ["task 2 (session OS_9_27_2017_08_25_00__0001): a relation between two boxes is not kept"],
    )
    edited = sessions[1].reviews[0]
    assert [item.outcome for item in edited.annotations] == [Outcome.MOVED, Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.ADDED]
    assert (edited.annotations[1].call_type, edited.annotations[1].note, edited.note) == ("S01", "echo?", "ship")


LABELS_GONE = {key: value for key, value in region("a", 1.0, 2.0).items() if key != "type"}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ([LABELS_GONE], "region 'a': type is null"),
        ([{**region("a", 1.0, 2.0), "type": "rectanglelabels"}], "type is 'rectanglelabels', expected 'labels'"),
        ([{**region("a", 1.0, 2.0), "from_name": "sounds"}], "region 'a' ('labels' of 'sounds'"),
        ([{**region("a", 1.0, 2.0), "from_name": "tempo", "type": "timeserieslabels"}], "there is no labelled box of this id"),
        ([{**region("a", 1.0, 2.0), "from_name": None}], "from_name is null"),
        ([{**region("a", 1.0, 2.0), "value": {"start": 1.0, "end": 2.0}}], "expected one label, not null"),
        ([{**region("a", 1.0, 2.0), "value": {"start": 1.0, "end": 2.0, "labels": ["Call", "Call"]}}], "expected one label"),
        ([{**region("a", 1.0, 2.0), "value": None}], "value is null"),
        ([{**region("a", 1.0, 2.0), "id": None}], "item 1 of result: has no id"),
        ([region("a", "1.0", "2.0")], "times are '1.0' to '2.0'"),  # type: ignore[arg-type]
        ([region("a", 1.0, 10**400)], "expected numbers of seconds"),
        ([region("a", True, 2.0)], "expected numbers of seconds"),
        ([region("a", 1.0, 2.0, meta={"low_hz": "500"})], "expected numbers of hertz"),
        ([{"start": 1.0, "end": 2.0, "channel": 0, "labels": ["Call"]}], "type is null"),
        ([["a", 1.0, 2.0]], "item 1 of result: is ['a', 1.0, 2.0], expected an object"),
        ([region("a", 1.0, 2.0), "region"], "item 2 of result: is 'region'"),
        ({"0": region("a", 1.0, 2.0)}, "result is {"),
        (None, "result is null, expected a list"),
        ("[]", "result is '[]'"),
        # A grey box that got a call type, but never a label.
        (
            [{"id": "g", "from_name": "call_type", "type": "choices", "value": {"start": 1.0, "end": 2.0, "choices": ["S01"]}}],
            "region 'g' (S01): there is no labelled box of this id",
        ),
        ([{"id": "r", "from_name": "stars", "type": "rating", "value": {"start": 1.0, "end": 2.0, "rating": 3}}], "region 'r'"),
        # An answer that cannot be read would leave "no boxes", that is, no calls.
        ([{"id": "x", "from_name": "review", "type": "choices", "value": None}], "value is null"),
        ([{"id": "x", "from_name": "review", "type": "choices", "value": {"choices": []}}], "choices are []"),
        ([{"id": "x", "from_name": "review", "type": "choices", "value": {"choices": [7]}}], "choices are [7]"),
        ([{"id": "x", "type": "choices", "value": {"choices": ["Not sure"]}}], "from_name is null"),
        ([{}], "item 1 of result: type is null"),
    ],
)
def test_a_submission_that_would_lose_a_box_or_an_answer_is_refused_by_name(result: Any, words: str) -> None:
    sessions, report = read(task(result))
    assert sessions == []
    assert [words in refusal.reason for refusal in report.refusals] == [True], report.refusals
    assert report.refusals[0].where == NAME


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"was_cancelled": "false"}, "was_cancelled is 'false', expected true or false"),
        ({"was_cancelled": 0}, "was_cancelled is 0"),
        ({"ground_truth": "no"}, "ground_truth is 'no'"),
        ({"completed_by": [1]}, "completed_by is [1]"),
        ({"updated_at": "yesterday"}, "'yesterday' is no ISO 8601 time"),
    ],
)
def test_what_else_may_be_wrong_with_a_submission(change: Json, words: str) -> None:
    sessions, report = read(task([region("a", 1.0, 2.0)], **change))
    assert sessions == [] and words in report.refusals[0].reason


@pytest.mark.parametrize(
    "change",
    [{"annotations": None}, {"annotations": {}}, {"annotations": [12]}, {"annotations": ["a"]}, {"data": {"session_id": 5}}],
)
def test_what_else_may_be_wrong_with_a_task(change: Json) -> None:
    sessions, report = read({**task([region("a", 1.0, 2.0)]), **change})
    assert (sessions, len(report.refusals)) == ([], 1)
    bare = task([])
    del bare["annotations"]  # older exports say "completions"
    assert "annotations are missing" in read(bare)[1].refusals[0].reason


@pytest.mark.parametrize(
    "item",
    [
        {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right", "labels": []},
        {"id": "r", "from_name": "stars", "to_name": "audio", "type": "rating", "value": {"rating": 4}},
        {"id": "r", "from_name": "ship", "to_name": "audio", "type": "choices", "value": {"choices": ["tanker"]}},
        {"id": "a", "from_name": "stars", "type": "rating", "value": {"start": 1.0, "end": 2.0, "rating": 4}},
    ],
)
def test_what_cannot_be_a_box_is_kept_in_words_and_the_session_goes_on(item: Json) -> None:
    [session], report = read(task([region("a", 1.0, 2.0), item]))
    assert len(session.reviews[0].annotations) == 1
    assert session.reviews[0].state is ReviewState.CALLS
    assert report.refusals == []
    [warning] = report.warnings
    assert warning.startswith(f"{NAME}: ") and warning.endswith("is not kept")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("timeserieslabels", {"timeserieslabels": ["Call"]}),
        ("mylabel", {"x": 1}),
        ("regions", {"start": 1.0}),
        ("regions", {"end": 2.0}),
        ("regions", {"ranges": [[1.0, 2.0]]}),
        ("regions", [1.0, 2.0]),
    ],
)
def test_what_may_be_a_box_of_a_control_that_is_not_known_is_refused(kind: str, value: Any) -> None:
    sessions, report = read(task([region("a", 1.0, 2.0), {"id": "b", "from_name": "zones", "type": kind, "value": value}]))
    assert sessions == []
    assert "there is no labelled box of this id, so one would be lost" in report.refusals[0].reason


@pytest.mark.parametrize(
    ("score", "confidence", "said"),
    [
        (None, 0.0, False),
        ("0.5", 0.5, False),
        (1, 1.0, False),
        (0, 0.0, False),
        (1.5, 0.0, True),
        (-0.1, 0.0, True),
        ("much", 0.0, True),
        (True, 0.0, True),
        ([0.5], 0.0, True),
    ],
)
def test_a_score_is_a_share_or_none_was_given(score: Any, confidence: float, said: bool) -> None:
    stored = {"id": 20, "model_version": "m:1", "result": [{**region("a", 1.0, 2.0), "score": score}]}
    [session], report = read({**task([region("a", 1.0, 2.0)]), "predictions": [stored]})
    assert [item.confidence for item in session.detections] == [confidence]
    warned = [warning for warning in report.warnings if "prediction 20 (m:1), region 'a': score is" in warning]
    assert [warning.endswith("expected a number from 0 to 1; 0 was taken") for warning in warned] == [True] * said


def test_what_the_page_says_of_the_listening_is_no_note_and_no_trouble() -> None:
    kept = {"text": ['{"loaded":true,"heard_s":41.2,"duration_s":59.94,"asked":[]}']}
    heard = {"id": "heard4k2x9q1z", "from_name": "heard", "to_name": "audio", "type": "textarea", "value": kept}
    [session], report = read(task([region("a", 1.0, 2.0), heard]))
    assert not report.refusals and not report.warnings
    assert session.reviews[0].note == ""


def test_two_answers_are_unsure_and_named() -> None:
    answers = [{"id": n, "from_name": "review", "type": "choices", "value": {"choices": [n]}} for n in ("No calls", "Not sure")]
    [session], report = read(task(answers))
    assert session.reviews[0].state is ReviewState.UNSURE
    assert list(report.warnings) == [f"{NAME}: two answers, 'No calls' and 'Not sure', so it counts as unsure"]


BAD_PREDICTIONS: list[tuple[Any, str]] = [
    ({"id": 20, "model_version": None, "result": STORED}, "model_version is null"),
    ({"id": 20, "model_version": 5, "result": STORED}, "model_version is 5"),
    ({"id": 20, "model_version": "m", "result": [*STORED, {"type": "relation", "from_id": "a", "to_id": "b"}]}, "is no box"),
    ({"id": 20, "model_version": "m", "result": [*STORED, {**STORED[0], "type": "brushlabels"}]}, "type is 'brushlabels'"),
    ({"id": 20, "model_version": "m", "result": [*STORED, 7, None, "x"]}, "item 3 of result: is 7"),
    ({"id": 20, "model_version": "m", "result": [*STORED, {**STORED[0], "id": None, "value": {"start": "1"}}]}, "has no id"),
    ({"id": 20, "model_version": "m", "result": [{**STORED[0], "score": "high"}, STORED[1]]}, "score is 'high'"),
    ({"id": 20, "model_version": "m", "result": [{**STORED[0], "score": 93}, STORED[1]]}, "score is 93"),
    ({"id": 20, "model_version": "m", "result": [{**STORED[0], "score": float("nan")}, STORED[1]]}, "score is nan"),
]


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize(("prediction", "words"), BAD_PREDICTIONS)
def test_of_a_bad_prediction_the_good_boxes_are_taken_and_a_deletion_stays_one(
    prediction: Json, words: str, copied: bool
) -> None:
    kept = {**STORED[0], "origin": "prediction"}
    given_ = {"prediction": prediction} if copied else {}
    [session], report = read(task([kept], [prediction], **given_))
    [found] = session.reviews
    assert [item.outcome for item in found.annotations] == [Outcome.ACCEPTED]
    assert [item.event.start_s for item in found.rejected] == [21.97]
    assert [item.event.start_s for item in session.detections] == [7.97, 21.97]
    assert report.refusals == []
    assert any(words in warning for warning in report.warnings), report.warnings


@pytest.mark.parametrize("score", [None, "0.95"])
def test_scores_that_can_be_read_are_no_trouble(score: Any) -> None:
    [session], report = read(task([], [{"id": 20, "model_version": "m", "result": [{**STORED[0], "score": score}]}]))
    assert [item.confidence for item in session.detections] == [float(score or 0)]
    assert not report.warnings and not report.refusals


@pytest.mark.parametrize("predictions", [7, "x", {"a": 1}, [7, "x", None, [1]], [{"id": 20}], [{"id": 20, "result": "[]"}]])
def test_predictions_that_are_none_never_refuse_a_person_s_boxes(predictions: Any) -> None:
    [session], report = read(task([region("a", 1.0, 2.0)], predictions))
    assert len(session.reviews[0].annotations) == 1
    assert not report.refusals and report.warnings


def test_of_two_boxes_with_one_id_nobody_can_tell_which_was_deleted() -> None:
    twins = [STORED[0], region("4d47c1b3d701", 30.0, 31.0, score=0.5), STORED[1]]
    prediction = {"id": 20, "model_version": "m", "result": twins}
    [session], report = read(task([{**twins[1], "origin": "prediction"}], [prediction]), *[])
    [found] = session.reviews
    assert [(item.outcome, item.detection and item.detection.event.start_s) for item in found.annotations] == [
        (Outcome.ACCEPTED, 30.0)
    ]
    assert [item.event.start_s for item in found.rejected] == [21.97]
    assert any("several boxes have one id" in warning for warning in report.warnings)
    [session], _ = read(task([], [prediction]))
    assert [item.event.start_s for item in session.reviews[0].rejected] == [21.97]


# Boxes counted in = boxes counted out + boxes of refused sessions, whatever is done to a real export.

JUNK: list[Any] = [
    None, True, False, 0, -1, 3.5, 10**400, float("nan"), float("inf"), "", "labels", "choices", "relation", "rating", "label",
    "review", "note", "1.5", [], {}, [[]], [None], ["Call"], {"start": 1.0, "end": 2.0}, {"labels": ["Call"]},
    {"choices": ["No calls"]}, "é\ud800",
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything within a value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def mutate(exported: Json, chance: random.Random) -> None:
    """Replace, remove or wrap something: never a whole submission or item, for which only its absence would speak."""
    path = chance.choice(list(places(exported["annotations"][0])))
    steps: list[Any] = ["annotations", 0, *path]
    *above, last = steps
    holder: Any = exported
    for key in above:
        holder = holder[key]
    is_item = above[-1:] == ["result"]
    match chance.randrange(4):
        case 0 if not is_item and not (last == "result" and len(above) == 2):
            del holder[last]
        case 1:
            holder[last] = [holder[last]]
        case 2 if isinstance(holder, list):
            holder[last] = [copy.deepcopy(holder[last]), 7][chance.randrange(2)]
        case _:
            junk = chance.choice(JUNK)
            if last == "result" and len(above) == 2 and junk in ([], None):  # no boxes; null, as a skip may have it
                return
            holder[last] = copy.deepcopy(junk)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 5), st.integers(0, 2**32), st.integers(1, 3))
@example(1, 0, 1)
def test_no_box_is_lost_without_a_word(number: int, seed: int, times: int) -> None:
    exported, chance = copy.deepcopy(EXPORT[number]), random.Random(seed)
    for _ in range(times):
        mutate(exported, chance)
    found = list(to_sessions([exported], CONFIG))
    sessions = [item for item in found if isinstance(item, Session)]
    refusals = [item for item in found if isinstance(item, Refusal) and not isinstance(item, Notice)]
    assert len(sessions) + len(refusals) == 1
    refused = BOXES[number] if refusals else 0
    out = sum(len(review.annotations) for session in sessions for review in session.reviews)
    assert out + refused == BOXES[number], exported["annotations"]


def test_the_error_names_task_session_and_item() -> None:
    with pytest.raises(InputError, match=r"task 7 \(session OS_7_05_2019_08_24_00__0004\): region 'a': times are"):
        from_task(task([region("a", 1.0, 2.0), region("a", None, 2.0)]), CONFIG)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "kind"), [("min.json", "JSON_MIN"), ("export.csv", "CSV")])
def test_label_studio_s_flat_exports_are_named(name: str, kind: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: this is Label Studio's {kind} export, which leaves out .*; choose JSON"):
        next(file_sessions(str(DATA / name)))
    assert len(list(file_sessions(str(DATA / "export.json")))) == len(EXPORT) + 1  # and one notice
