"""`podcast demo` with real processes and real signals: it leaves no process and no broken state behind.

The tests share one folder, which is started for the first time once, since that takes half a minute.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.ports import own_port

# How long each is waited for: far longer than it takes on a busy machine.
FIRST_START_S = 600.0
START_S = 300.0
STOP_S = 120.0
RUNNING = "Ctrl-C ends the demo."
BAR_S = 20.0
"""What a second start may take on an idle machine: measured as processor time, which other work does not stretch."""


@dataclass
class Demo:
    """One `podcast demo` in a session of its own."""

    process: subprocess.Popen[bytes]
    said: Path

    @property
    def words(self) -> str:
        return self.said.read_text()

    @property
    def error(self) -> str:
        """What it said, which is one line and nothing else."""
        [line] = self.words.splitlines()
        return line

    def wait_for(self, words: str, timeout_s: float = START_S) -> None:
        wait_until(lambda: words in self.words or self.process.poll() is not None, timeout_s, words)
        assert words in self.words, self.words

    def wait_ended(self, timeout_s: float = STOP_S) -> int:
        return self.process.wait(timeout_s)


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.05)


def processes(folder: Path) -> dict[int, str]:
    """Every living process whose command or environment names the folder: the demo, both servers and their workers."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(folder).encode() in command + environment:
            found[int(path.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def critical_s(demo: Demo, folder: Path) -> float:
    """Processor time on the longest way to here: the demo's own, and that of the slower of the two servers beside it."""
    ticks: Counter[int] = Counter()
    for number in processes(folder):
        with suppress(FileNotFoundError, ProcessLookupError):  # a short-lived child
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            ticks[int(fields[3])] += int(fields[11]) + int(fields[12])
    own = ticks.pop(demo.process.pid)
    return (own + max(ticks.values())) / os.sysconf("SC_CLK_TCK")


def wait_for_none(folder: Path) -> None:
    wait_until(lambda: not processes(folder), STOP_S, "the end of all processes")


def command(folder: Path, *options: str) -> list[str]:
    ports = [part for option in ("--port", "--ml-port") if option not in options for part in (option, str(own_port()))]
    return [sys.executable, "-m", "cli.main", "demo", "--dir", str(folder), *options, *ports]


@contextmanager
def podcast_demo(folder: Path, *options: str) -> Iterator[Demo]:
    with tempfile.NamedTemporaryFile(suffix=".said") as said:
        process = subprocess.Popen(
            command(folder, *options),
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # A test run in the background ignores SIGINT, and its children would too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield Demo(process, Path(said.name))
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(STOP_S)
            for left in processes(folder):
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "folder"


def migrations(folder: Path) -> int:
    """How many database migrations Label Studio has done."""
    database = folder / "label-studio" / "label_studio.sqlite3"
    if not database.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM django_migrations").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet, or locked by a migration
        return 0


@pytest.fixture(scope="module")
def interrupted(folder: Path) -> tuple[int, str]:
    """A first start that is ended in the middle: its status, and what it said."""
    with podcast_demo(folder) as demo:
        wait_until(lambda: migrations(folder) > 20, FIRST_START_S, "some migrations")
        demo.process.send_signal(signal.SIGTERM)
        status = demo.wait_ended()
        wait_for_none(folder)
        return status, demo.words


@pytest.fixture(scope="module")
def checked(folder: Path, interrupted: tuple[int, str]) -> subprocess.CompletedProcess[str]:
    """`--check`, which brings the interrupted start to its end."""
    return subprocess.run(command(folder, "--check"), capture_output=True, text=True, timeout=FIRST_START_S, check=False)


def test_interrupted_in_the_middle_of_the_first_start(interrupted: tuple[int, str]) -> None:
    status, words = interrupted
    assert status == 130
    assert "error" not in words


def test_check_runs_the_whole_loop_and_goes_on_where_the_first_start_was_interrupted(
    folder: Path, checked: subprocess.CompletedProcess[str]
) -> None:
    assert checked.returncode == 0, checked.stdout + checked.stderr
    result = json.loads(checked.stdout)
    assert result["ok"] is True
    assert all(step["holds"] for step in result["steps"])
    assert {"import", "import again", "pre-label", "annotate", "export"} <= {step["step"] for step in result["steps"]}
    assert not processes(folder)


@pytest.mark.usefixtures("checked")
def test_a_second_start_is_quick_finds_its_round_and_ends_with_ctrl_c(folder: Path) -> None:
    with podcast_demo(folder) as demo:
        demo.wait_for(RUNNING)
        assert critical_s(demo, folder) < BAR_S
        assert "0 sessions made, 8 were there" in demo.words
        [address] = re.findall(r"Open +(\S+)", demo.words)
        answer = httpx.get(address, follow_redirects=True, timeout=START_S)
        assert (answer.status_code, answer.url.path) == (200, "/user/login/")
        assert len(processes(folder)) > 2
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait_ended() == 0
        wait_for_none(folder)


@pytest.mark.usefixtures("checked")
def test_a_label_studio_that_dies_ends_the_demo_which_starts_again_and_leaves_nothing_when_terminated(folder: Path) -> None:
    with podcast_demo(folder) as demo:
        demo.wait_for(RUNNING)
        [label_studio] = [number for number, words in processes(folder).items() if "label-studio start" in words]
        os.kill(label_studio, signal.SIGKILL)
        assert demo.wait_ended() == 1
        [error] = [line for line in demo.words.splitlines() if line.startswith("error:")]
        assert "Label Studio ended" in error
        assert "start the demo again" in error
        wait_for_none(folder)
    with podcast_demo(folder) as demo:
        demo.wait_for("0 sessions made, 8 were there")
        second = subprocess.run(command(folder), capture_output=True, text=True, timeout=STOP_S, check=False)
        assert (second.returncode, second.stdout) == (2, "")
        assert second.stderr.startswith("error: another demo runs in")
        demo.wait_for(RUNNING)
        demo.process.send_signal(signal.SIGTERM)
        assert demo.wait_ended() == 0
        wait_for_none(folder)


@pytest.mark.usefixtures("checked")
def test_a_demo_that_is_killed_takes_its_servers_with_it(folder: Path) -> None:
    with podcast_demo(folder) as demo:
        demo.wait_for(RUNNING)
        demo.process.kill()
        demo.wait_ended()
        wait_for_none(folder)


@pytest.mark.parametrize("option", ["--port", "--ml-port"])
def test_a_taken_port_is_one_line_and_nothing_starts(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        with podcast_demo(tmp_path / "demo", option, number) as demo:
            assert demo.wait_ended() == 2
            assert demo.error == f"error: port {number} is taken by another program; choose another with {option}"
            assert not (tmp_path / "demo" / "label-studio").exists()
            assert not (tmp_path / "demo" / "ml-backend").exists()
            wait_for_none(tmp_path / "demo")


def test_a_folder_without_audio_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with podcast_demo(tmp_path / "demo", "--audio", str(tmp_path / "empty")) as demo:
        assert demo.wait_ended() == 2
        assert demo.error == f"error: {tmp_path / 'empty'}: holds no WAV"
        wait_for_none(tmp_path / "demo")
