"""Child processes that end with this one and leave nothing behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from podcast.errors import ServiceError

STOP_S = 15.0
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    """A server that was started here, in a process group of its own, its output in `log`.

    `url` answers 200 once it is healthy, which takes `start_s` seconds at most.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    url: str
    start_s: float

    def check(self) -> None:
        """Raise ServiceError, with the end of the log, if the server has ended by itself."""
        if self.process.poll() is not None:
            raise ServiceError(f"{self.name} ended with status {self.process.returncode}: {self._last_words()}; see {self.log}")

    def wait_healthy(self) -> None:
        """Wait until the server is healthy. Raises ServiceError if it ends or stays silent for too long."""
        deadline = time.monotonic() + self.start_s
        while time.monotonic() < deadline:
            self.check()
            try:
                if httpx.get(self.url, timeout=2).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise ServiceError(f"{self.name} did not answer at {self.url} within {self.start_s:.0f} s; see {self.log}")

    def stop(self) -> None:
        """End the server and all that it started: politely, then by force."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(STOP_S)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@contextmanager
def running(name: str, command: list[str], env: Mapping[str, str], log: Path, url: str, start_s: float) -> Iterator[Child]:
    """A child process for the time of the block; it also ends if this process is killed (on Linux)."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    child = Child(name, process, log, url, start_s)
    try:
        yield child
    finally:
        child.stop()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
