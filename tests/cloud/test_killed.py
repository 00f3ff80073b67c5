"""An archive import that is killed, again and again, at moments nobody chose: the same files and tasks as an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cloud.archive import NODE, long_archive
from tests.conftest import LabelStudio

KILLS = 10
ROOT = Path(__file__).parents[2]


def start_import(studio: LabelStudio, archive: str, round_name: str, work: Path) -> subprocess.Popen[str]:
    window = ("--start", "2020-10-01 02:40:02 UTC", "--end", "2020-10-01 02:49:52 UTC", "--session-length", "10")
    command = [
        *(sys.executable, "-c", "from cli.main import cli; cli()", "import", f"hls://{NODE}", *window, "--round", round_name),
        *("--archive", archive, "--audio", str(studio.audio / round_name), "--work", str(work), "--detector", "energy"),
    ]
    env = {**os.environ, **studio.env}
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def in_label_studio(studio: LabelStudio, round_name: str) -> dict[str, tuple[object, ...]]:
    """Every task by its session: its data without what names the round, and its predictions, whatever their order."""
    (project,) = [project["id"] for project in studio.server.rounds() if project["title"] == round_name]
    tasks = dict(studio.server.tasks(project))
    boxes: dict[int, list[object]] = {number: [] for number in tasks}
    for prediction in studio.server.predictions(project):
        places = [sorted(region["value"].items(), key=str) for region in prediction["result"]]
        boxes[prediction["task"]].append((prediction["model_version"], sorted(map(str, places))))
    found: dict[str, tuple[object, ...]] = {
        data["session_id"]: (data["start"], data["sha256"], boxes[number]) for number, data in tasks.items()
    }
    assert len(found) == len(tasks)
    return found


def start(archive: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.cloud.one_job", archive, str(folder), "2020-10-01 02:59:32 UTC"]
    # A session of its own, so that its workers die with it.
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(process: subprocess.Popen[str]) -> str:
    printed, complaints = process.communicate()
    assert process.returncode == 0, complaints
    return printed


def traces(folder: Path) -> int:
    """Files that were ever written: WAVs, and segments that are kept."""
    return sum(1 for path in folder.rglob("*") if path.suffix in (".wav", ".ts") or path.name.startswith(".partial"))


def test_killed_at_random_moments_it_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    archive, _, _ = long_archive(tmp_path / "archive", repeats=20)
    expected = finish(start(archive.uri, tmp_path / "quiet"))
    chance, stormy, kills = random.Random(4), tmp_path / "stormy", 0
    while kills < KILLS:
        process = start(archive.uri, stormy)
        # Work that can be seen, and a moment more: the same on a quick machine and on a busy one.
        before, steps, more_s = traces(stormy), chance.randint(0, 6), chance.uniform(0, 0.05)
        while process.poll() is None and abs(traces(stormy) - before) < steps:
            time.sleep(0.005)
        time.sleep(more_s)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
    assert kills == KILLS
    assert finish(start(archive.uri, stormy)) == expected
    files = [
        {path.name: path.read_bytes() for path in sorted((folder / "wav").iterdir()) if not path.name.startswith(".partial")}
        for folder in (tmp_path / "quiet", stormy)
    ]
    assert len(files[0]) == 78
    assert files[0] == files[1]


def test_a_command_that_is_killed_leaves_no_task_twice(studio: LabelStudio, tmp_path: Path) -> None:
    archive, _, _ = long_archive(tmp_path / "archive", repeats=10)
    finish(start_import(studio, archive.uri, "undisturbed", tmp_path / "quiet"))
    chance, kills = random.Random(5), 0
    # Some moments while it cuts, and then, all being cut, from its start to its end: between them Label Studio is filled.
    for wavs, at_most_s in ((1, 0.2), (15, 0.2), (40, 0.2), (59, 0.5), (59, 1.5), (59, 2.5), (59, 2.5)):
        process = start_import(studio, archive.uri, "stormy", tmp_path / "stormy")
        more_s = chance.uniform(0, at_most_s)
        while process.poll() is None and len(list((studio.audio / "stormy").glob("*.wav"))) < wavs:
            time.sleep(0.005)
        time.sleep(more_s)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
    assert kills >= 4, kills
    finish(start_import(studio, archive.uri, "stormy", tmp_path / "stormy"))
    found = in_label_studio(studio, "stormy")
    assert len(found) == 59
    assert found == in_label_studio(studio, "undisturbed")
