"""Stored OrcaHello detections in, with their tags and comments, and out again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporters import EXPORTERS
from exporters.base import WriteOptions
from importers.base import ReadOptions
from importers.orcahello import read
from importers.windows import read_windows
from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_task
from labelstudio.tasks import to_task
from podcast.errors import Refusal
from podcast.model import ModelRun, Outcome, Review, ReviewState, Session
from podcast.reviews import review_state
from tests.conftest import write_noise
from tests.releases.sessions import box

NOWHERE = ReadOptions(audio_required=False)
NAME = "rpi_orcasound_lab_2020_09_30_03_51_56_PDT"


@pytest.fixture
def example(small_data: Path) -> dict[str, Any]:
    """The example of OrcaHello's own schema, without its comments."""
    text = (small_data / "labels" / "orcahello" / "example_v2.jsonc").read_text()
    text = re.sub(r'"ISO format - UTC|(?<=",) ISO format - UTC', "", re.sub(r"\s//[^\n]*", "", text))
    found: dict[str, Any] = json.loads(text)
    return found


def stored(folder: Path, *entries: Any, options: ReadOptions = NOWHERE) -> list[Session | Refusal]:
    path = folder / "detections.json"
    path.write_text(json.dumps(list(entries)))
    return list(read(str(path), options))


def test_the_example_of_its_schema(example: dict[str, Any], tmp_path: Path) -> None:
    write_noise(tmp_path / f"{NAME}.wav", 60, 1000, 1)
    (tmp_path / "one.json").write_text(json.dumps(example))
    (session,) = read(str(tmp_path), ReadOptions())
    assert isinstance(session, Session)
    assert (session.id, session.recording.source_guid, session.recording.duration_s) == (NAME, "rpi_orcasound_lab", 60.0)
    assert session.recording.start == datetime(2020, 9, 30, 10, 51, 56, 57346, UTC)
    assert [(item.event.start_s, item.event.end_s, item.label, item.confidence) for item in session.detections] == [
        (20.0, 22.5, "Call", 0.828), (27.5, 30.0, "Call", 0.942), (32.5, 35.0, "Call", 0.917), (52.5, 55.0, "Call", 0.855),
    ]  # fmt: skip
    assert session.model_runs == (ModelRun("orcahello"),)
    (told,) = session.sightings
    assert (told.source, told.description, told.tags) == (
        "orcahello Unreviewed", "moderator comments", ("click", "pop", "multiple", "humpback"),
    )  # fmt: skip
    assert told.category == "humpback"
    assert told.confidence == pytest.approx(0.8855)
    config = LabelConfig.load()
    task = to_task(replace(session, round="r"), "/a.wav", config)
    assert from_task({**task, "id": 1, "annotations": []}, config).sightings[0].tags == told.tags


def test_a_moderators_word_is_no_review(example: dict[str, Any], tmp_path: Path) -> None:
    old = {key: value for key, value in example.items() if key != "state"} | {
        "reviewed": True,
        "SRKWFound": "No",
        "tags": "S01;KW",
    }
    positive, negative, doubtful = stored(
        tmp_path,
        {**example, "state": "Positive"},
        {**old, "audioUri": "https://x/a.wav", "whaleFoundConfidence": 0.66},
        {**example, "audioUri": "https://x/b.wav"},
        options=replace(NOWHERE, threshold=0.9, model_version="m:2"),
    )
    for item in (positive, negative, doubtful):
        assert isinstance(item, Session)
        assert review_state(item) is ReviewState.UNREVIEWED
        assert [found.confidence for found in item.detections] == [0.917, 0.942][::-1]
        assert item.model_runs == (ModelRun("m", "2"),)
    assert isinstance(negative, Session)
    assert (negative.sightings[0].source, negative.sightings[0].tags) == ("orcahello Negative", ("S01", "KW", "humpback"))
    assert negative.sightings[0].confidence == 0.66


def test_the_stored_detection_that_contradicts_itself_is_refused(small_data: Path) -> None:
    """The clip's name is of 2023 at Sunset Bay, the timestamp of 2025 at Bush Point."""
    (found,) = read(str(small_data / "labels" / "orcahello" / "OrcaHelloDetection.json"), NOWHERE)
    assert isinstance(found, Refusal)
    assert "2025-08-31T15:13:53" in found.reason and "2023-10-13T22:43:10" in found.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timestamp": "2020-09-30T03:51:56Z"}, "one is wrong"),  # Pacific time called UTC
        ({"location": {"id": "rpi_bush_point"}}, "one is wrong"),
        ({"timestamp": None}, "timestamp is missing"),
        ({"audioUri": 5}, "audioUri"),
        ({"predictions": {"a": 1}}, "predictions"),
        ({"predictions": None}, "predictions"),
        ({"predictions": [{"startTime": 1, "duration": 0, "confidence": 0.5}]}, "predictions[0]"),
        ({"predictions": [{"startTime": 1, "duration": 1, "confidence": 82}]}, "predictions[0]"),
        ({"predictions": [{"startTime": "1", "duration": 1, "confidence": 0.5}]}, "predictions[0].startTime"),
    ],
)
def test_a_bad_detection_is_refused_and_the_rest_goes_on(
    change: dict[str, Any], words: str, example: dict[str, Any], tmp_path: Path
) -> None:
    refused, kept = stored(tmp_path, example | change, {**example, "audioUri": "https://x/other.wav"})
    assert isinstance(refused, Refusal) and words in refused.reason and refused.where.endswith("detection 1")
    assert isinstance(kept, Session) and len(kept.detections) == 4


def test_tags_and_comments_go_back(example: dict[str, Any], tmp_path: Path) -> None:
    (session,) = stored(tmp_path, example | {"tags": ["click", "S10", "SRKW"], "interestLabel": ""})
    assert isinstance(session, Session)
    kept = box(20.0, 22.5, outcome=Outcome.ACCEPTED, detection=session.detections[0], call_type="S16")
    boat = box(40.0, 45.0, label="Vessel")
    said = Review("v@x.org", ReviewState.CALLS, (kept, boat), session.detections[1:], submitted=datetime(2021, 1, 1, tzinfo=UTC))
    EXPORTERS["orcahello"]([replace(session, reviews=(said,))], str(tmp_path / "out"), WriteOptions())
    (found,) = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    assert [item["startTime"] for item in found["predictions"]] == [20]  # no ship is a call
    assert (found["tags"], found["comments"], found["state"]) == (["S16", "click", "vessel"], "moderator comments", "Positive")
    assert (found["audioUri"], found["timestamp"]) == (example["audioUri"], "2020-09-30T10:51:56.057Z")
    quiet = replace(session, reviews=(replace(said, state=ReviewState.NO_CALLS, annotations=(boat,), note="a ferry"),))
    EXPORTERS["orcahello"]([quiet], str(tmp_path / "quiet"), WriteOptions())
    (found,) = [json.loads(path.read_text()) for path in (tmp_path / "quiet").glob("*.json")]
    assert (found["state"], found["predictions"], found["tags"], found["comments"]) == (
        "Negative",
        [],
        ["click", "vessel"],
        "a ferry",
    )
    (again,) = read(str(tmp_path / "out"), NOWHERE)
    assert isinstance(again, Session) and again.sightings[0].tags == ("S16", "click", "vessel")


def test_what_is_told_of_calls_is_of_calls_alone(example: dict[str, Any], tmp_path: Path) -> None:
    """The share of a model in hundredths, to a millionth; what was stored without words, or by others, says nothing."""
    (session,) = stored(tmp_path, example | {"tags": ["click"]})
    assert isinstance(session, Session)
    (told,) = session.sightings
    found = replace(session.detections[0], confidence=0.1234567891)
    others = (
        replace(told, description="", tags=("fin", "S99")),
        replace(told, description="again"),
        replace(told, source="tp", tags=("x",)),
    )
    said = Review(
        "v",
        ReviewState.CALLS,
        (box(1, 2, outcome=Outcome.ACCEPTED, detection=found), box(3, 4, label="Humpback", call_type="moan")),
    )
    given = replace(session, sightings=(told, *others), reviews=(said,))
    EXPORTERS["orcahello"]([given], str(tmp_path / "out"), WriteOptions())
    (kept,) = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    assert (kept["whaleFoundConfidence"], kept["predictions"][0]["confidence"]) == (12.345679, 0.1234567891)
    assert (kept["comments"], kept["tags"]) == ("moderator comments; again", ["click", "fin", "humpback"])
    empty = replace(given, reviews=(replace(said, annotations=(box(3, 4),)),))
    EXPORTERS["orcahello"]([empty], str(tmp_path / "added"), WriteOptions())
    (kept,) = [json.loads(path.read_text()) for path in (tmp_path / "added").glob("*.json")]
    assert (kept["whaleFoundConfidence"], kept["predictions"][0]["confidence"], kept["tags"]) == (100.0, 1.0, ["click", "fin"])


def test_windows_keep_what_was_said(example: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(json.dumps([example]))
    ((window,), refusals) = read_windows(str(tmp_path / "d.json"))
    (told,) = window.sightings
    assert (refusals, told.description, told.category) == ([], "moderator comments", "humpback")
    assert window.end - window.start == timedelta(seconds=60)
