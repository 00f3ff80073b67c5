"""`OrcaCallModel` served by label-studio-ml itself: by 1.0.9 from the package index, and by a stand-in for the 2.x line."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient

import ml_backend
from labelstudio.labels import LABEL_CONFIG_PATH
from ml_backend.serving import load_service, serving
from tests.conftest import ROOT, write_noise

CONFIG = LABEL_CONFIG_PATH.read_text()
TASK = {"id": 1, "data": {"audio": "/data/local-files/?d=audio/noise.wav"}}
PREDICT = {"tasks": [TASK], "label_config": CONFIG, "project": "7.1234", "params": {"context": None}}
SETUP = {"project": "7.1234", "schema": CONFIG, "hostname": "", "access_token": "", "extra_params": None}
WEBHOOK = {"action": "ANNOTATION_CREATED", "project": {"id": 7, "label_config": CONFIG}, "annotation": {}}


class Base2:
    """A test double of 2.x's base class: its constructor, and what it and its web application do with a model.

    2.x is not on the package index, so its own code cannot be installed here. As there, the labeling configuration and the
    version live in a store by project and not in the object, the version begins as 0.0.1 where the model has none, and nothing
    but `project_id` and `label_config` may be given.
    """

    store: dict[tuple[str, str], str] = {}  # noqa: RUF012 (one for all models, as there)

    def __init__(self, project_id: str | None = None, label_config: str | None = None) -> None:
        self.project_id = project_id or ""
        if label_config is not None:
            self.set("label_config", label_config)
        if not self.model_version:
            self.set("model_version", "0.0.1")
        self.setup()

    def setup(self) -> None:
        pass

    def get(self, key: str) -> str | None:
        return self.store.get((self.project_id, key))

    def set(self, key: str, value: str) -> None:
        assert isinstance(value, str)
        self.store[self.project_id, key] = value

    @property
    def label_config(self) -> str | None:
        return self.get("label_config")

    @property
    def model_version(self) -> str | None:
        return self.get("model_version")


def application_2(model_class: Any) -> Flask:
    """A test double of 2.x's `init_app`: the same calls with the same arguments, by position or by name as there."""
    app = Flask("label_studio_ml_2")

    @app.post("/setup")
    def setup() -> Response:
        body = request.get_json()
        model = model_class(project_id=body["project"].split(".", 1)[0], label_config=body.get("schema"))
        return jsonify(model_version=model.get("model_version"))

    @app.post("/predict")
    def predict() -> Response:
        body = request.get_json()
        model = model_class(project_id=body["project"].split(".", 1)[0], label_config=body.get("label_config"))
        params = body.get("params", {})
        return jsonify(results=model.predict(body["tasks"], context=params.pop("context", {}), **params))

    @app.post("/webhook")
    def webhook() -> tuple[Response, int]:
        body = request.get_json()
        event = body.pop("action")
        model = model_class(str(body["project"]["id"]), label_config=body["project"]["label_config"])
        return jsonify(result=model.fit(event, body), status="ok"), 201

    return app


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The document root, and the folder of the process."""
    write_noise(tmp_path / "audio" / "noise.wav", 5.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", str(tmp_path))
    monkeypatch.setenv("ML_DETECTOR", "energy")
    serving.cache_clear()
    yield tmp_path
    serving.cache_clear()


@pytest.fixture
def client_2(root: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    double = ModuleType("label_studio_ml.model")
    double.LabelStudioMLBase = Base2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "label_studio_ml", ModuleType("label_studio_ml"))
    monkeypatch.setitem(sys.modules, "label_studio_ml.model", double)
    monkeypatch.delitem(sys.modules, "ml_backend.model", raising=False)
    monkeypatch.setattr(Base2, "store", {})
    model_class = importlib.import_module("ml_backend.model").OrcaCallModel
    monkeypatch.delitem(sys.modules, "ml_backend.model")
    monkeypatch.delattr(ml_backend, "model")
    return application_2(model_class).test_client()


def test_under_2_every_view_answers_with_one_version(client_2: FlaskClient) -> None:
    version = str(load_service().detector.model_run)
    assert client_2.post("/setup", json=SETUP).get_json() == {"model_version": version}
    assert client_2.post("/webhook", json=WEBHOOK).get_json() == {"result": None, "status": "ok"}
    assert client_2.post("/setup", json=SETUP).get_json() == {"model_version": version}
    [answer] = client_2.post("/predict", json=PREDICT).get_json()["results"]
    assert (answer["model_version"], answer["result"]) == (version, [])


def test_under_2_a_version_of_another_detector_does_not_stay_in_the_store(client_2: FlaskClient) -> None:
    Base2.store["7", "model_version"] = "starter:1"
    assert client_2.post("/setup", json=SETUP).get_json()["model_version"] == str(load_service().detector.model_run)


def test_under_1_0_9_every_view_answers_and_predictions_have_our_version(root: Path) -> None:
    program = """
import json, sys
from label_studio_ml.api import init_app
from label_studio_ml.model import SimpleJobManager
from ml_backend.model import OrcaCallModel
setup, predict, webhook = json.loads(sys.argv[1])
client = init_app(OrcaCallModel, model_dir="models").test_client()
def ask(path, body):
    answer = client.post(path, json=body)
    print(json.dumps([answer.status_code, answer.get_json()]))
ask("/setup", setup)
ask("/predict", predict)
# What its webhook has done in a process of its own, and the view itself for an event that trains nothing.
SimpleJobManager("models").job(OrcaCallModel, webhook["action"], webhook, "1795551942")
ask("/webhook", {**webhook, "action": "PROJECT_CREATED"})
ask("/setup", setup)
"""
    bodies = json.dumps([SETUP, PREDICT, WEBHOOK])
    done = subprocess.run(
        [sys.executable, "-c", program, bodies],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [status for status, _ in answers] == [200, 200, 201, 200]
    [prediction] = answers[1][1]["results"]
    assert (prediction["model_version"], prediction["result"]) == (str(load_service().detector.model_run), [])
    # Its own server calls every model so until a job of its has given a result; ours gives none.
    assert answers[0][1] == answers[3][1] == {"model_version": "INITIAL"}
