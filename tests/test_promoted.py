"""A round in a real Label Studio, with a real ML backend, after another model was promoted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import cli
from detectors import load_detector
from detectors.registry import MAINTAINER, Registry
from labelstudio import promoted
from labelstudio.client import Server
from labelstudio.labels import LABEL_CONFIG_PATH
from labelstudio.promoted import bring_up_to_date
from labelstudio.round_out import Round
from ml_backend.edits import edits_of
from ml_backend.metrics import read_edits
from podcast.errors import InputError
from podcast.model import Outcome, Session
from tests.conftest import TIMEOUT_S, LabelStudio
from tests.promotions import LOCAL, add_model, write_calls

Json = dict[str, Any]

OLD = str(load_detector("energy").model_run)
WAITING = ("skipped", "opened", "untouched", "silent")
NAMES = ("answered", "begun", *WAITING, "blind")


def make_round(studio: LabelStudio, ml_backend_url: str) -> tuple[int, dict[str, int]]:
    """A round of before the promotion, which shows the old model's boxes: its project, and each session's task by its name."""
    paths, server = write_calls(studio.audio / "promoted", len(NAMES)), studio.server
    project = int(server.sdk.projects.create(title="promoted", label_config=LABEL_CONFIG_PATH.read_text()).id)
    named = zip(NAMES, paths, strict=True)
    audio: list[Json] = [{"session_id": name, "audio": f"{LOCAL}promoted/{path.name}", "duration_s": 5.0} for name, path in named]
    audio[-1]["blind"] = True
    server.import_tasks(project, [{"data": data} for data in audio])
    server.ensure_ml_backend(project, ml_backend_url)
    server.retrieve_predictions(project)
    server.sdk.projects.update(project, model_version=OLD)
    paths[NAMES.index("silent")].write_bytes(b"")
    return project, {data["session_id"]: number for number, data in server.tasks(project)}


def held(server: Server, project: int) -> tuple[str, dict[int, Json]]:
    """All that people have done, and every prediction by its number."""
    tasks = [task.dict() for task in server.sdk.tasks.list(project=project, fields="all")]
    work = [[task["id"], [{**item, "created_ago": ""} for item in task["annotations"] + task["drafts"]]] for task in tasks]
    return json.dumps(work, default=str), {item["id"]: {**item, "created_ago": ""} for item in server.predictions(project)}


def test_sessions_that_wait_get_the_promoted_model_s_boxes_and_people_s_work_stays(
    studio: LabelStudio, ml_backend_url: str, served_registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, (project, tasks) = studio.server, make_round(studio, ml_backend_url)
    first = {item["task"]: item for item in server.predictions(project)}
    assert {item["model_version"] for item in first.values()} == {OLD} and all(item["result"] for item in first.values())
    boxes = {
        name: [{**box, "origin": "prediction"} for box in first[number]["result"]]
        for name, number in tasks.items()
        if name != "blind"
    }
    parent = {name: first[number]["id"] for name, number in tasks.items() if name != "blind"}
    server.add_annotation(tasks["answered"], {"result": boxes["answered"], "parent_prediction": parent["answered"]})
    server.request("POST", f"/api/tasks/{tasks['begun']}/drafts?project={project}", {"result": boxes["begun"], "lead_time": 9})
    server.add_annotation(tasks["skipped"], {"result": [], "was_cancelled": True})
    work, before = held(server, project)
    model = add_model(served_registry, tmp_path / "run", 0.3)
    new = str(load_detector(model.spec).model_run)
    served_registry.promote(model.name, MAINTAINER, "a test")
    try:
        # It is killed when half of the sessions have theirs, and run again.
        with monkeypatch.context() as patch:
            patch.setattr(promoted, "BATCH", 2)
            patch.setattr(Server, "retrieve_predictions", _killed_at_the_second(Server.retrieve_predictions))
            with pytest.raises(KeyboardInterrupt):
                bring_up_to_date(server, project, new)
        assert server.project(project)["model_version"] == OLD
        monkeypatch.setattr(promoted, "LOOK_S", 0.05)  # all workers serve it by now
        report = bring_up_to_date(server, project, new)
        assert report.counts == {"updated": 1, "unchanged": 2, "refused": 1}
        assert str(report.refusals[0]).startswith("session silent: ")
        after = held(server, project)
        assert after[0] == work and {number: after[1][number] for number in before} == before
        versions = defaultdict(list)
        for item in after[1].values():
            versions[item["task"]].append(item["model_version"])
        both = [OLD, new]
        expected = {name: [OLD] for name in NAMES} | {"skipped": both, "opened": both, "untouched": both, "blind": []}
        assert {name: versions[number] for name, number in tasks.items()} == expected
        env = {**studio.env, "ML_REGISTRY": served_registry.uri}
        again = CliRunner().invoke(cli, ["models", "refresh", "--round", "promoted", "--json"], env=env)
        [told] = json.loads(again.stdout)["rounds"]
        assert (again.exit_code, told["model_version"]) == (2, new)
        assert (told["updated"], told["unchanged"], told["refused"]) == (0, 3, 1)
        assert held(server, project) == after
        # Whoever had a session open all the while sends what was worked from.
        server.add_annotation(tasks["opened"], {"result": [], "parent_prediction": parent["opened"]})
        server.add_annotation(tasks["begun"], {"result": boxes["begun"]})
        shown = server.request("GET", f"/api/projects/{project}/next")
        assert {item["model_version"] for item in shown["predictions"]} == {new}
        submitted = Round(server, server.project(project)).submitted(with_predictions=True)
        read = {item.id: item.reviews[0] for item in submitted if isinstance(item, Session)}
        assert {str(item.model_run) for item in read["opened"].rejected} == {OLD}
        assert {item.outcome for item in read["answered"].annotations} == {Outcome.ACCEPTED}
        assert {str(item.detection and item.detection.model_run) for item in read["answered"].annotations} == {OLD}
        kept, deleted = len(boxes["answered"]) + len(boxes["begun"]), len(boxes["opened"])
        found = edits_of(server, {})[str(project)]["edits"]
        assert found == {OLD: {"reviews": 3, "minutes": 0.25, "kept": kept, "moved": 0, "deleted": deleted, "added": 0}}
        asks = [sys.executable, "-m", "ml_backend.edits"]  # as a worker starts it
        subprocess.run(asks, env={**os.environ, **studio.env, "ML_CACHE_DIR": str(tmp_path)}, check=True, timeout=TIMEOUT_S)
        assert read_edits(tmp_path)["rounds"][str(project)]["edits"] == found
    finally:
        served_registry.rollback("a test")


def _killed_at_the_second(really: Any) -> Any:
    calls: list[int] = []

    def killed(server: Server, project_id: int, task_ids: list[int]) -> None:
        calls.append(project_id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        really(server, project_id, task_ids)

    return killed


def test_a_round_without_an_ml_backend_says_so(studio: LabelStudio) -> None:
    project = int(studio.server.sdk.projects.create(title="unconnected", label_config=LABEL_CONFIG_PATH.read_text()).id)
    with pytest.raises(InputError, match="has no ML backend; set ML_BACKEND_URL"):
        bring_up_to_date(studio.server, project, "energy:2")
