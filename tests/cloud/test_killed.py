"""An archive import that is killed, again and again, at moments nobody chose: the same files and tasks as an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cloud.archive import long_archive

KILLS = 10
ROOT = Path(__file__).parents[2]


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
    return sum(1 for path in folder.rglob("*") if path.suffix in (".wav", ".ts") or path.name.startswith("tmp"))


def test_killed_at_random_moments_it_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    archive, _, _ = long_archive(tmp_path / "archive", repeats=6)
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
