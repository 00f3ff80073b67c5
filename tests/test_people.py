"""Rounds that tell what people hear: blind sessions, and second people, in a real Label Studio."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import cli
from labelstudio.client import Server
from tests.conftest import LabelStudio, write_noise

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def podcast(studio: LabelStudio) -> Run:
    """Runs a `podcast` command that must succeed; gives what it printed."""

    def run(*words: object, **env: str) -> dict[str, Any]:
        result = CliRunner().invoke(cli, [*map(str, words), "--json"], env={**studio.env, **env})
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


def write_sessions(folder: Path, count: int) -> Path:
    """So many seconds of noise, and beside each a session JSON with one predicted box."""
    for number in range(count):
        name = f"OS_9_27_2017_08_25_00__{number:04x}"
        write_noise(folder / f"{name}.wav", 1.0, seed=number)
        boxes = [{"start_time_s": 0.25, "duration_s": 0.5, "confidence": 0.9}]
        content = {"uri": f"https://x/{name}.wav", "absolute_time": "OS_9_27_2017_08_25_00_", "source_guid": "rpi_orcasound_lab"}
        (folder / f"{name}.json").write_text(json.dumps({**content, "annotations": boxes}))
    return folder


def predicted(server: Server, project: int) -> set[int]:
    return {int(item["task"]) for item in server.predictions(project)}


def test_a_blind_session_gets_its_boxes_once_it_is_answered(podcast: Run, studio: LabelStudio, ml_backend_url: str) -> None:
    folder, server = write_sessions(studio.audio / "blind", 8), studio.server
    command = ("import", folder, "--round", "heard blind", "--from", "podcast-json")
    made = podcast(*command, "--blind", "0.5", ML_BACKEND_URL=ml_backend_url)
    project = made["project"]
    blind = {number for number, data in server.tasks(project) if data.get("blind") is True}
    assert made["blind"]["blind"] == len(blind) and "are heard without boxes" in made["blind"]["sentence"]
    shown = {number for number, _ in server.tasks(project)} - blind
    assert blind and shown and predicted(server, project) == shown
    server.retrieve_predictions(project)  # the ML backend's own, of another version, for the others alone
    assert predicted(server, project) == shown
    assert podcast(*command)["unchanged"] == 8  # no share now, and nothing that was blind is shown
    assert predicted(server, project) == shown

    answered, *waiting = sorted(blind)
    server.add_annotation(answered, {"result": [], "lead_time": 5.0})
    assert (podcast(*command)["updated"], predicted(server, project)) == (1, shown | {answered})
    for number in waiting:
        server.add_annotation(number, {"result": [], "lead_time": 5.0})
    server.retrieve_predictions(project)
    assert predicted(server, project) == shown | blind
    [told] = [row["blind"] for row in podcast("rounds")["rounds"] if row["project"] == project]
    assert (told["blind"], told["shown"], told["without_model"]) == (len(blind), len(shown), 0)
    assert told["compared"] == []  # nobody has answered both kinds
