"""Who may ask for a training, and what the web server does about it: a real Label Studio's button and counter among them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from ml_backend.app import create_app
from ml_backend.serving import serving
from podcast.jobs import Job, Queue

START = {"action": "START_TRAINING", "project": {"id": 7, "title": "October"}}


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where the queue is."""
    return str(tmp_path / "queue.db")


@pytest.fixture
def client(place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The ML backend in this process, without a login."""
    for name in list(os.environ):
        if name.startswith(("ML_", "LABEL_STUDIO_", "PROMETHEUS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ML_QUEUE", place)
    serving.cache_clear()
    yield create_app().test_client()
    serving.cache_clear()


def test_start_training_puts_one_job_into_the_queue_and_answers_at_once(client: FlaskClient, place: str) -> None:
    started = time.monotonic()
    answers = [client.post("/webhook", json=START).get_json() for _ in range(20)]
    assert (time.monotonic() - started) / 20 < 0.1
    assert answers == [{"status": "ok", "queued": True}, *[{"status": "ok", "queued": False}] * 19]
    assert client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 8}}).get_json() == {"status": "ok"}
    with Queue(place) as queue:
        assert queue.waiting() == [Job((7,))]
        assert queue.waiting()[0].names == ("October",)


def test_start_training_needs_the_login_and_events_need_none(
    client: FlaskClient, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_BASIC_AUTH_USER", "studio")
    monkeypatch.setenv("ML_BASIC_AUTH_PASSWORD", "secret")
    guarded = create_app().test_client()
    assert guarded.post("/webhook", json={"action": "ANNOTATION_CREATED"}).get_json() == {"status": "ok"}
    assert guarded.post("/webhook", json=START).status_code == 401
    assert guarded.post("/webhook", json=START, auth=("studio", "wrong")).status_code == 401
    with Queue(place) as queue:
        assert queue.waiting() == []
        assert guarded.post("/webhook", json=START, auth=("studio", "secret")).get_json() == {"status": "ok", "queued": True}
        assert queue.waiting() == [Job((7,))]


@pytest.mark.parametrize("project", [None, 5, {}, {"id": "7"}, {"id": True}, {"id": -1}])
def test_a_training_of_no_project_is_refused(client: FlaskClient, project: object) -> None:
    answer = client.post("/webhook", json={"action": "START_TRAINING", "project": project})
    assert answer.status_code == 400
    assert answer.get_json()["error"].startswith("project")


def test_a_queue_that_cannot_be_written_is_an_error_and_the_rest_goes_on(
    client: FlaskClient, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(place).touch()
    monkeypatch.setenv("ML_QUEUE", f"{place}/queue.db")
    backend = create_app().test_client()
    answer = backend.post("/webhook", json=START)
    assert answer.status_code == 502
    assert "queue of trainings cannot be made" in answer.get_json()["error"]
    assert backend.get("/health").status_code == 200
