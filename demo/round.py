"""The demo's folder, account and round."""

from __future__ import annotations

import fcntl
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from demo.install import install_label_studio
from demo.processes import Child
from demo.servers import Account, free_port, label_studio, learning, ml_backend, trainer
from demo.sessions import DemoSession, write_sessions
from detectors import known_detector
from detectors.registry import spec_in_service
from importers import IMPORTERS
from importers.base import ReadOptions
from labelstudio import round_out
from labelstudio.client import Server
from labelstudio.round_in import bring_in
from podcast.errors import InputError
from podcast.model import Round
from podcast.report import Report
from podcast.settings import load_settings

WORDS = (
    "A demo of the annotation page: minutes of recording with a computer's guesses as boxes. "
    "Correct them and submit. Nothing leaves this machine."
)


@dataclass(slots=True)
class Demo:
    """A running demo: both servers and the trainer, and the account to log in with."""

    server: Server
    account: Account
    children: list[Child]
    ml_url: str
    document_root: Path
    audio: Path
    truth: list[DemoSession]
    round_name: str
    copies: bool = True
    """Whether the page plays listening copies."""
    learning: dict[str, str] = field(default_factory=dict)
    """The settings by which commands find its queue of trainings and its registry of models."""

    @property
    def project_id(self) -> int:
        """The number of the round's project. Raises InputError before the first import."""
        return int(round_out.Round.find(self.server, self.round_name).project["id"])

    def fill(self) -> Report:
        """Import the sessions, connect the ML backend, and let Label Studio retrieve its predictions."""
        report = self.import_sessions()
        settings = load_settings()  # the ML backend asks for the login that stands there
        user, password = settings.ml_basic_auth_user, settings.ml_basic_auth_password
        self.server.ensure_ml_backend(self.project_id, self.ml_url, user, password)
        self.prelabel(self.project_id)
        return report

    def prelabel(self, project_id: int) -> None:
        """Retrieve predictions until every session has one, or a request brings none: one request may run out of time."""
        before = -1
        while True:
            self.server.retrieve_predictions(project_id)
            project = self.server.project(project_id)
            stored = int(project["total_predictions_number"] or 0)
            if stored in (before, int(project["task_number"] or 0)):
                return
            before = stored

    def import_sessions(self) -> Report:
        """Import the demo's WAVs."""
        node = "rpi_orcasound_lab" if self.truth else ""  # whose the user's own recordings are, their names alone may tell
        sessions = IMPORTERS["wav-folder"](str(self.audio), ReadOptions(source_guid=node))
        return bring_in(self.server, Round(self.round_name, WORDS), sessions, self.document_root, copies=self.copies).report


@contextmanager
def demo(
    folder: Path, port: int, ml_port: int, audio: Path | None, say: Callable[[str], None], *, copies: bool = True
) -> Iterator[Demo]:
    """Start both servers and the trainer with their state below `folder`, for the time of the block.

    `audio` is a folder of WAVs in place of the synthetic sessions; with `copies` the page plays listening copies. Label Studio is
    installed first if there is none. Raises InputError if a port is taken, if `audio` holds no WAV, if another demo runs in
    `folder` or if there is no such detector.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_alone(folder))
        free_port(port, "--port")
        free_port(ml_port, "--ml-port")
        known_detector(spec_in_service(load_settings()))
        if audio is None:
            place, name, truth = folder / "files" / "audio", "Demo", write_sessions(str(folder / "files" / "audio"))
        else:
            place, name, truth = audio.resolve(), f"Demo {audio.resolve().name}", []
            if not any(path.suffix.lower() == ".wav" for path in place.rglob("*")):
                raise InputError(f"{audio}: holds no WAV")
        install_label_studio(say)
        account, root, url = _account(folder), place.parent, f"http://127.0.0.1:{port}"
        ml_url = f"http://127.0.0.1:{ml_port}"
        fresh = not (folder / "label-studio").exists()
        say(f"Starting Label Studio ({'the first time takes about a minute' if fresh else 'a few seconds'}) …")
        children = [
            stack.enter_context(ml_backend(folder / "ml-backend", ml_port, url, root, account, wait=False)),
            stack.enter_context(label_studio(folder / "label-studio", port, root, account, wait=False)),
        ]
        for child in children:
            child.wait_healthy()
        learns = learning(folder / "ml-backend")
        children.append(stack.enter_context(trainer(folder / "ml-backend", url, root, account)))
        yield Demo(Server(url, account.token), account, children, ml_url, root, place, truth, name, copies, learns)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another demo runs in {folder}; stop it, or choose another folder with --dir") from error
        yield


def _account(folder: Path) -> Account:
    """The account of this folder's Label Studio; its password is made up at the first start and kept beside it."""
    path = folder / "account.json"
    if not path.exists():
        account = Account("demo@example.org", secrets.token_urlsafe(9), secrets.token_hex(20))
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(asdict(account)))
        fresh.replace(path)
    return Account(**json.loads(path.read_text()))
