"""An archive import that is killed, again and again, at moments nobody chose: the same files and tasks as an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cloud.archive import NODE, held, long_archive
from tests.cloud.proxy import Fault, Hold, proxy
from tests.conftest import TIMEOUT_S, LabelStudio

KILLS = 10


def start_import(studio: LabelStudio, url: str, archive: str, round_name: str, work: Path) -> subprocess.Popen[str]:
    window = ("--start", "2020-10-01 02:40:02 UTC", "--end", "2020-10-01 02:49:52 UTC", "--session-length", "10")
    command = [
        *(sys.executable, "-c", "from cli.main import cli; cli()", "import", f"hls://{NODE}", *window, "--round", round_name),
        *("--archive", archive, "--audio", str(studio.audio / round_name), "--work", str(work), "--detector", "energy"),
    ]
    env = {**os.environ, **studio.env, "LABEL_STUDIO_URL": url}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


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
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def kill(process: subprocess.Popen[str]) -> None:
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


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
    chance, stormy = random.Random(4), tmp_path / "stormy"
    for turn in range(KILLS):
        # It cannot end before it is killed, since it waits for a segment, each time a later one of the 120.
        with held(archive, 11 * (turn + 1)) as awaited:
            process = start(archive.uri, stormy)
            # Work that can be seen, and a moment more.
            before, steps, more_s = traces(stormy), chance.randint(0, 6), chance.uniform(0, 0.05)
            while process.poll() is None and abs(traces(stormy) - before) < steps and not awaited():
                time.sleep(0.005)
            time.sleep(more_s)
            kill(process)
    assert finish(start(archive.uri, stormy)) == expected
    files = [
        {path.name: path.read_bytes() for path in sorted((folder / "wav").iterdir())} for folder in (tmp_path / "quiet", stormy)
    ]
    assert len(files[0]) == 78
    assert files[0] == files[1]


def test_a_command_that_is_killed_leaves_no_task_twice(studio: LabelStudio, tmp_path: Path) -> None:
    archive, _, _ = long_archive(tmp_path / "archive", repeats=10)
    finish(start_import(studio, studio.url, archive.uri, "undisturbed", tmp_path / "quiet"))
    with proxy(studio.url) as between:

        def begin() -> subprocess.Popen[str]:
            return start_import(studio, between.url, archive.uri, "stormy", tmp_path / "stormy")

        def killed_at(path: str, *, answered: bool) -> None:
            """Where Label Studio has done what it was asked, but the command has not heard of it; or was not asked yet."""
            hold = Hold()
            between.faults.append(Fault(0 if answered else 503, method="POST", path=path, hold=hold, answered=answered))
            process = begin()
            assert hold.reached.wait(TIMEOUT_S)
            kill(process)
            hold.release.set()

        # The window is one job, and the round is made once its first session is there: so audio before Label Studio.
        for number in (5, 30):
            with held(archive, number) as awaited:
                process = begin()
                while process.poll() is None and not awaited():
                    time.sleep(0.01)
                kill(process)
        killed_at("/api/projects", answered=True)
        killed_at("/import", answered=False)
        killed_at("/import", answered=True)
        killed_at("/api/storages/localfiles", answered=True)
        finish(begin())
    found = in_label_studio(studio, "stormy")
    assert len(found) == 59
    assert found == in_label_studio(studio, "undisturbed")
