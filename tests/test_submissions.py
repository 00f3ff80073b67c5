"""Submissions as Label Studio's page really sends them, read as reviews."""

from __future__ import annotations

from typing import Any

from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_task
from podcast.model import Outcome, Review


def region(identity: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "channel": 0, "labels": ["Call"]}
    return {"id": identity, "from_name": "label", "to_name": "audio", "type": "labels", "value": value, **more}


def review(result: list[dict[str, Any]], parent_prediction: int | None) -> Review:
    stored = [region("4d47c1b3d701", 7.97, 9.21, score=0.95), region("0279718e320d", 21.97, 23.02, score=0.96)]
    others = [region("5a2be3f70c11", 7.9, 9.3, score=0.5)]
    task = {
        "id": 7,
        "data": {"session_id": "OS_7_05_2019_08_24_00__0004", "duration_s": 60.0},
        "annotations": [{"id": 1, "completed_by": 1, "result": result, "prediction": {}, "parent_prediction": parent_prediction}],
        "predictions": [
            {"id": 19, "model_version": "other:1", "result": others},
            {"id": 20, "model_version": "energy:1", "result": stored},
        ],
    }
    [found] = from_task(task, LabelConfig.load()).reviews
    return found


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
