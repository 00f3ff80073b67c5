"""An archive import that is killed, again and again, at moments nobody chose: the same files and tasks as an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.archive import long_archive
from tests.conftest import LabelStudio

KILLS = 10
ROOT = Path(__file__).parents[2]


def command(archive: Path, folder: Path, round_name: str, node: str, seconds: float) -> list[str]:
    return [
        *(sys.executable, "-m", "cli.main", "import", f"hls://{node}", "--archive", str(archive), "--round", round_name),
        *("--start", "2020-10-01 02:40:02 UTC", "--end", f"2020-10-01 02:{40 + int(seconds // 60)}:02 UTC"),
        *("--session-length", "20", "--audio", str(folder / "wav"), "--work", str(folder / "work"), "--json"),
    ]


def content(studio: LabelStudio, project: int) -> dict[str, Any]:
    """Every task's data and predictions by session, without what differs from round to round."""
    tasks = list(studio.server.tasks(project))
    assert max(Counter(data["session_id"] for _, data in tasks).values()) == 1
    predictions: dict[int, list[Any]] = {}
    for item in studio.server.predictions(project):
        boxes = [(box["value"]["start"], box["value"]["end"], box["score"]) for box in item["result"]]
        predictions.setdefault(item["task"], []).append((item["model_version"], boxes))
    left_out = ("audio", "uri", "round")
    return {
        data["session_id"]: ({key: value for key, value in data.items() if key not in left_out}, predictions[number])
        for number, data in tasks
    }


@pytest.mark.parametrize("seed", [1])
def test_killed_at_random_moments_it_ends_as_if_nothing_had_been(studio: LabelStudio, tmp_path: Path, seed: int) -> None:
    archive, node, seconds = long_archive(tmp_path / "archive", repeats=3)
    env = {**os.environ, **studio.env}
    quiet, stormy = studio.audio / "quiet", studio.audio / "stormy"
    started = time.monotonic()
    run = subprocess.run(
        command(Path(archive.uri), quiet, "quiet", node, seconds), env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    whole_s = time.monotonic() - started
    assert run.returncode == 0, run.stderr
    expected = json.loads(run.stdout)
    chance = random.Random(seed)
    arguments, kills = command(Path(archive.uri), stormy, "stormy", node, seconds), 0
    for _ in range(KILLS):
        # A session of its own, so that its workers die with it.
        process = subprocess.Popen(
            arguments, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            process.wait(chance.uniform(0.2, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
    run = subprocess.run(arguments, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert kills >= KILLS // 2
    files = [{path.name: path.read_bytes() for path in sorted((folder / "wav").iterdir())} for folder in (quiet, stormy)]
    assert files[0] == files[1]
    assert content(studio, expected["project"]) == content(studio, json.loads(run.stdout)["project"])
