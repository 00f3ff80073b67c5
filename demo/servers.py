"""Start Label Studio and the ML backend as child processes, wait until they are healthy, and leave none behind."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.install import find_label_studio
from demo.processes import Child, running
from podcast.errors import InputError

LABEL_STUDIO_START_S = 300.0
ML_BACKEND_START_S = 120.0


@dataclass(frozen=True, slots=True)
class Account:
    """Label Studio's account for the demo; `token` is 40 hexadecimal digits."""

    email: str
    password: str
    token: str


@contextmanager
def label_studio(
    folder: Path, port: int, document_root: Path, account: Account, *, wait: bool = True, addon: bool = True
) -> Iterator[Child]:
    """Label Studio on SQLite below `folder`, on 127.0.0.1, quiet and offline, for the time of the block.

    Healthy from the start, unless told not to `wait`; with the add-on where it is there, unless told otherwise.
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
    executable = find_label_studio()
    if executable is None:
        raise InputError(
            "Label Studio is not installed; `podcast demo` installs it, or name its executable by LABEL_STUDIO_COMMAND"
        )
    command = [str(executable), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    project = Path(__file__).parents[1]
    if addon and (project / "label_studio_addon").is_dir():
        env |= {
            "DJANGO_SETTINGS_MODULE": "label_studio_addon.settings",
            "PYTHONPATH": str(project),
            "PODCAST_REPORT": str(folder.parent / "report"),
        }
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
        "ML_HOST": "127.0.0.1",
        "ML_PORT": str(port),
        "ML_CACHE_DIR": str(folder / "cache"),
        **_settings(label_studio_url, document_root, account),
        **learning(folder),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:ml_backend.gunicorn_conf"]
    url = f"http://127.0.0.1:{port}/health"
    with running("the ML backend", command, env, folder / "ml-backend.log", url, ML_BACKEND_START_S) as child:
        if wait:
            child.wait_healthy()
        yield child


@contextmanager
def trainer(folder: Path, label_studio_url: str, document_root: Path, account: Account) -> Iterator[Child]:
    """What works the queue that an ML backend with the same `folder` fills, for the time of the block."""
    env = {**_settings(label_studio_url, document_root, account), **learning(folder)}
    command = [sys.executable, "-m", "cli.main", "trainer"]
    with running("the trainer", command, env, folder / "trainer.log", "", 0) as child:
        yield child


def learning(folder: Path) -> dict[str, str]:
    """The settings by which an ML backend, a trainer and commands meet: where trainings wait, and where models are."""
    return {"ML_QUEUE": str(folder / "queue.db"), "ML_REGISTRY": str(folder / "models")}


def _settings(label_studio_url: str, document_root: Path, account: Account) -> dict[str, str]:
    return {
        "LABEL_STUDIO_URL": label_studio_url,
        "LABEL_STUDIO_API_KEY": account.token,
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(document_root),
        "AUDIO_SIGNING_KEY": account.token,  # with which the demo signs its tasks, whatever .env says
    }


def free_port(port: int = 0, option: str = "the port") -> int:
    """A port on 127.0.0.1 that nothing listens on: `port` itself, or any if that is 0. Raises InputError if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"port {port} is taken by another program; choose another with {option}") from error
        return int(probe.getsockname()[1])
