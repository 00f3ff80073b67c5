"""`podcast doctor` against a real Label Studio, in every set-up that it used to judge wrongly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from cli.main import cli
from demo.servers import free_port
from labelstudio.labels import LabelConfig
from podcast.model import Round
from tests.conftest import LabelStudio, write_noise


def doctor(studio: LabelStudio, *words: str, **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    result = CliRunner().invoke(cli, ["doctor", "--json", *words], env={**studio.env, **env})
    return result.exit_code, {row["what"]: row for row in json.loads(result.stdout)["findings"]}


def test_an_address_with_a_path_is_one_line_that_says_so(studio: LabelStudio) -> None:
    for path in ("/projects/3/data", "/api"):
        status, found = doctor(studio, LABEL_STUDIO_URL=studio.url + path)
        finding = found["Label Studio"]
        assert (status, finding["good"]) == (1, False)
        assert len(finding["detail"]) < 300 and "\n" not in finding["detail"]
        assert f"LABEL_STUDIO_URL has the path '{path}': leave it away" in finding["detail"]
        assert finding["mend"] == f"set LABEL_STUDIO_URL to Label Studio's own address, such as {studio.url}"


def test_a_wrong_key_is_not_told_to_start_the_server(studio: LabelStudio) -> None:
    status, found = doctor(studio, LABEL_STUDIO_API_KEY="0" * 40)
    assert status == 1 and "refuses the key" in found["Label Studio"]["detail"]
    assert "make a token" in found["Label Studio"]["mend"] and "start" not in found["Label Studio"]["mend"]
    _, found = doctor(studio, LABEL_STUDIO_URL=f"http://127.0.0.1:{free_port()}")
    assert found["Label Studio"]["mend"].startswith("start it")


def test_a_document_root_that_is_not_the_server_s(studio: LabelStudio, tmp_path: Path) -> None:
    name = "whose root"
    folder = studio.audio / name
    write_noise(folder / "a.wav", 2.0)
    command = ["import", str(folder), "--round", name, "--page-audio", "original"]
    assert CliRunner().invoke(cli, command, env=studio.env).exit_code == 0
    what, here = f"round {name}: document root", studio.document_root

    def judged(root: Path) -> tuple[bool, str]:
        status, found = doctor(studio, "--round", name, LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=str(root))
        assert (status == 0) == found[what]["good"], found
        return found[what]["good"], found[what]["detail"]

    assert judged(here) == (True, f"{here} is Label Studio's")
    # The same files under another name, as within a container.
    shutil.copytree(here / "audio" / name, tmp_path / "same" / "audio" / name)
    assert judged(tmp_path / "same")[0]
    (tmp_path / "empty").mkdir()
    good, detail = judged(tmp_path / "empty")
    assert not good and f"there is no {tmp_path / 'empty' / 'audio' / name / 'a.wav'}" in detail
    write_noise(tmp_path / "other" / "audio" / name / "a.wav", 2.0, seed=1)
    good, detail = judged(tmp_path / "other")
    assert not good and "serves another file" in detail


def test_an_ml_backend_that_label_studio_alone_reaches(
    studio: LabelStudio, ml_backend_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with docker compose: the name `ml-backend` is known to Label Studio, and not to the host."""
    away = f"http://127.0.0.1:{free_port()}"
    _, found = doctor(studio, ML_BACKEND_URL=away)
    assert found["ML backend"]["good"] is False
    project, _ = studio.server.ensure_project(Round("compose"), LabelConfig.load())
    studio.server.ensure_ml_backend(project["id"], ml_backend_url)
    monkeypatch.setattr("cli.doctor.httpx.get", lambda *_, **__: httpx.Client().get(away))
    _, found = doctor(studio, "--round", "compose", ML_BACKEND_URL=ml_backend_url)
    assert found["ML backend"]["good"] is True
    assert found["ML backend"]["detail"] == f"{ml_backend_url} does not answer here, but Label Studio is connected to it"
