"""Who may ask for a training, and what the web server does about it: a real Label Studio's button and counter among them."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from cli.main import cli
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


def podcast(*arguments: str) -> tuple[int, str]:
    """Status and words of a command in this process."""
    done = CliRunner().invoke(cli, arguments)
    return done.exit_code, done.output


def test_train_without_a_folder_asks_for_rounds_alone() -> None:
    assert podcast("train") == (
        2,
        "error: name what to learn from by --round, or where a run of this machine's own goes by --to\n",
    )
    for words in (["--truth", "t.tsv"], ["--recipe", "network"], ["--seed", "1"]):
        status, said = podcast("train", "--round", "October", *words)
        assert status == 2
        assert said == f"error: {words[0]} needs --to; without it the trainer learns, and takes --round alone\n"
    status, said = podcast("train", "--to", "run", "--round", "a", "--round", "b")
    assert (status, said.startswith("error: --round: with --to name one round")) == (2, True)


def test_models_shows_what_is_trained_what_waits_and_how_trainings_ended(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_QUEUE", place)
    assert podcast("models") == (0, f"No models yet in .podcast/models: {NO_MODELS}")
    assert not Path(place).exists()
    with Queue(place) as queue:
        for job in (Job((7,), names=("October",)), Job((8,), names=("November",)), Job()):
            queue.ask(job)
        queue.take()
        queue.end(Job((7,), names=("October",)), "not trained: 7 are missing")
        queue.take()
        queue.note(Job((8,), names=("November",)), "12 of 20 sessions heard")
    status, said = podcast("models")
    lines = said.splitlines()
    assert status == 0
    assert lines[-3:-1] == ["training: round November, 12 of 20 sessions heard", "waits: all rounds"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC round October: not trained: 7 are missing", lines[-1])
    found = json.loads(podcast("models", "--json")[1])["trainings"]
    assert found["running"]["doing"] == "12 of 20 sessions heard"
    assert found["waiting"] == ["all rounds"]
    assert [outcome["said"] for outcome in found["outcomes"]] == ["not trained: 7 are missing"]


NO_MODELS = "`podcast train` makes one, `podcast models add` takes it.\nNothing is promoted: ML_DETECTOR serves.\n"
