"""The old page's three addresses, in front of a real Label Studio. Bodies are compared with what the original sends and takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from cli.servers import task_audio
from importers import IMPORTERS
from importers.base import ReadOptions
from labelstudio.round_in import bring_in
from labelstudio.round_out import Round as RoundOut
from legacy.api import create_app, review_of
from podcast.errors import InputError
from podcast.model import Detection, ModelRun, Outcome, Recording, ReviewState, Round, Session, SoundEvent
from podcast.settings import Settings
from tests.conftest import LabelStudio, write_noise

NAME = "OS_9_27_2017_08_25_00__{:04x}"
ROUND = "legacy round"
LOAD = {
    "uri": "wav\\x.wav",
    "absolute_time": "OS_9_27_2017_08_25_00_",
    "source_guid": "rpi_orcasound_lab",
    "annotations": [
        {"start_time_s": 24.499999999999996, "duration_s": 2.45, "confidence": 0.649},
        {"start_time_s": 39.2, "duration_s": 2.45, "confidence": 0.689},
    ],
}


@pytest.fixture(scope="module")
def client(studio: LabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A round of three sessions in Label Studio, and the application in front of it."""
    folder = tmp_path_factory.mktemp("load")
    for number in range(3):
        name = NAME.format(number)
        write_noise(studio.audio / f"{name}.wav", seed=number)
        (folder / f"{name}.json").write_text(json.dumps({**LOAD, "uri": f"wav\\{name}.wav"}))
    sessions = IMPORTERS["podcast-json"](str(folder), ReadOptions(audio=str(studio.audio)))
    report = bring_in(studio.server, Round(ROUND), sessions, studio.document_root).report
    assert report.counts["created"] == 3
    settings = Settings(
        label_studio_url=studio.url,
        label_studio_api_key=studio.account.token,
        label_studio_local_files_document_root=studio.document_root,
    )
    yield create_app(studio.server, task_audio(settings), "https://old.example").test_client()


def submissions(studio: LabelStudio) -> dict[str, list[Any]]:
    found = RoundOut.find(studio.server, ROUND).submitted(with_predictions=True)
    return {session.id: list(session.reviews) for session in found if isinstance(session, Session)}


def test_a_volunteer_of_2019_works_through_a_round(client: FlaskClient, studio: LabelStudio) -> None:
    seen = set()
    for number in range(3):
        fetched = json.loads(client.get(f"/fetch/session/{ROUND}").data)
        assert list(fetched) == ["sessionid"]
        name = fetched["sessionid"]
        assert name not in seen, "a session that is done was given out again"
        seen.add(name)
        loaded = json.loads(client.get(f"/load/session/{ROUND}/{name}").data)
        assert list(loaded) == ["uri", "absolute_time", "source_guid", "annotations", "backend_state"]
        assert loaded["annotations"] == [
            {"start_time_s": 24.5, "duration_s": 2.45, "confidence": 0.649},
            {"start_time_s": 39.2, "duration_s": 2.45, "confidence": 0.689},
        ]
        assert loaded["backend_state"] == {"written": number, "remaining": 3 - number}
        audio = client.get(loaded["uri"].removeprefix("http://localhost"), headers={"Range": "bytes=0-3"})
        assert (audio.status_code, audio.data) == (206, b"RIFF")
        boxes = [{"start_s": 24.5, "duration_s": 2.4499999999999993}, {"start_s": 50.1, "duration_s": 1.0}] if number else []
        posted = {"uri": loaded["uri"], "absolute_time": "", "source_guid": "", "annotations": boxes}
        for _ in range(2):  # the same again adds nothing
            answer = client.post(f"/submit/session/{ROUND}/{name}", json=posted)
            assert (answer.status_code, answer.get_json()) == (201, {"task": f"{name}.json"})
        [review] = submissions(studio)[name]
        assert review.state is (ReviewState.CALLS if number else ReviewState.NO_CALLS)
        assert [(item.event.start_s, item.event.end_s, item.outcome) for item in review.annotations] == (
            [(24.5, 26.95, Outcome.ACCEPTED), (50.1, 51.1, Outcome.ADDED)] if number else []
        )
        assert [item.event.start_s for item in review.rejected] == ([39.2] if number else [24.5, 39.2])

    # Complete: any session, with what was submitted.
    name = json.loads(client.get(f"/fetch/session/{ROUND}").data)["sessionid"]
    loaded = json.loads(client.get(f"/load/session/{ROUND}/{name}").data)
    assert loaded["backend_state"] == {"written": 3, "remaining": 0}
    assert all(set(box) == {"start_s", "duration_s"} for box in loaded["annotations"])

    # Another answer to the same session is added, and the first one stays.
    client.post(f"/submit/session/{ROUND}/{name}", json={"annotations": [{"start_s": 1, "duration_s": 1}]})
    assert len(submissions(studio)[name]) == 2


def test_what_is_wrong_is_told_with_400(client: FlaskClient) -> None:
    name = NAME.format(0)
    for path in (
        "/fetch/session/nowhere",
        "/load/session/nowhere/x",
        f"/load/session/{ROUND}/x",
        f"/audio/session/{ROUND}/x.wav",
    ):
        assert client.get(path).status_code == 400, path
    for body, words in (
        (b"{", "not JSON"),
        (b"[]", "expected an object"),
        (b'{"annotations": [{"start_s": 1}]}', "annotations[0]"),
    ):
        answer = client.post(f"/submit/session/{ROUND}/{name}", data=body, content_type="application/json")
        assert answer.status_code == 400 and words in answer.get_json()["error"]


def test_a_page_at_the_named_origin_may_call(client: FlaskClient) -> None:
    answer = client.options(f"/submit/session/{ROUND}/x")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://old.example"
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"


@pytest.mark.parametrize(
    "box",
    [
        {},
        3,
        {"start_s": "1", "duration_s": 1},
        {"start_s": 1, "duration_s": 0},
        {"start_s": -1, "duration_s": 1},
        {"start_s": 59, "duration_s": 2},
    ],
)
def test_a_box_that_cannot_be_is_refused_with_its_number(box: Any) -> None:
    run = ModelRun("m")
    session = Session("s", Recording("s.wav", duration_s=60.0), detections=(Detection(SoundEvent(1, 2), "Call", 0.5, run),))
    good = {"start_s": 1.0, "duration_s": 1.0}
    with pytest.raises(InputError, match=r"annotations\[1\]"):
        review_of(json.dumps({"annotations": [good, box]}).encode(), session)
