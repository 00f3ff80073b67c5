"""Start Label Studio and the ML backend as child processes, wait until they are healthy, and leave none behind."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from podcast.errors import InputError, ServiceError

LABEL_STUDIO_START_S = 300.0
ML_BACKEND_START_S = 120.0
STOP_S = 15.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Account:
    """Label Studio's account for the demo; `token` is 40 hexadecimal digits."""

    email: str
    password: str
    token: str


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


@contextmanager
def label_studio(folder: Path, port: int, document_root: Path, account: Account, *, wait: bool = True) -> Iterator[Child]:
    """Label Studio on SQLite below `folder`, on 127.0.0.1, quiet and offline, for the time of the block.

    Healthy from the start, unless told not to `wait`.
    """
    free_port(port, "--port")
    env = {
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(document_root),
        # Label Studio refuses ML backends on this machine unless told otherwise; the demo listens on 127.0.0.1 alone.
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "LABEL_STUDIO_USERNAME": account.email,
        "LABEL_STUDIO_PASSWORD": account.password,
        "LABEL_STUDIO_USER_TOKEN": account.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    }
    command = [str(label_studio_command()), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}/health"
    with running("Label Studio", command, env, folder / "label-studio.log", url, LABEL_STUDIO_START_S) as child:
        if wait:
            child.wait_healthy()
        yield child


@contextmanager
def ml_backend(
    folder: Path, port: int, label_studio_url: str, document_root: Path, account: Account, *, wait: bool = True
) -> Iterator[Child]:
    """The ML backend under gunicorn for the time of the block, with its cache and log below `folder`.

    Healthy from the start, unless told not to `wait`.
    """
    free_port(port, "--ml-port")
    env = {
        "ML_PORT": str(port),
        "ML_CACHE_DIR": str(folder / "cache"),
        "LABEL_STUDIO_URL": label_studio_url,
        "LABEL_STUDIO_API_KEY": account.token,
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(document_root),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:ml_backend.gunicorn_conf"]
    url = f"http://127.0.0.1:{port}/health"
    with running("the ML backend", command, env, folder / "ml-backend.log", url, ML_BACKEND_START_S) as child:
        if wait:
            child.wait_healthy()
        yield child


def label_studio_command() -> Path:
    """Label Studio's executable: $LABEL_STUDIO_COMMAND, `.venv-label-studio` beside the project, or on the PATH."""
    beside = Path(__file__).parents[1] / ".venv-label-studio" / "bin" / "label-studio"
    for candidate in (os.environ.get("LABEL_STUDIO_COMMAND"), beside, shutil.which("label-studio")):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise InputError("Label Studio is not installed; run `make` in the project's folder")


def free_port(port: int = 0, option: str = "the port") -> int:
    """A port on 127.0.0.1 that nothing listens on: `port` itself, or any if that is 0. Raises InputError if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"port {port} is taken by another program; choose another with {option}") from error
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
