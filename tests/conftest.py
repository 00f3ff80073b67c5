"""Real parts for the tests: two sets of real data, one Label Studio and one ML backend for the whole run."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from demo.servers import Account, label_studio, learning, ml_backend
from detectors.registry import Registry
from labelstudio.client import Server
from podcast import audio
from tests.ports import own_port

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
DATABASE = "label_studio.sqlite3"
TIMEOUT_S = 240.0
"""How long anything is waited for: far longer than it takes on a busy machine."""


# A busy machine makes an example slow, not wrong.
settings.register_profile("podcast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podcast")


LONG = (
    "tests/addon/",
    "tests/cloud/",
    "tests/deployment/",
    "tests/test_loop.py",
    "tests/test_demo.py",
    "tests/test_page.py",
    "tests/test_packaging.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that two workers, which take a file each in turn, end at the same time."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session", autouse=True)
def no_settings() -> Iterator[None]:
    """Nothing that is set on this machine reaches the tests or what they start, which runs this code wherever it is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        for name in list(os.environ):
            if name.startswith(("LABEL_STUDIO_", "ML_", "AWS_", "AZURE_", "PROMETHEUS_")) and name != "LABEL_STUDIO_COMMAND":
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs in a folder of its own: no `.env`, no state of another test."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def small_data() -> Path:
    """The real recordings and labels that are in the repository, laid out as the large set."""
    return DATA


@pytest.fixture(scope="session")
def data() -> Path:
    """The large set of real recordings and labels; the few tests that need it skip where it is absent."""
    folder = Path(os.environ.get("PODCAST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the large set of real recordings, which is not at {folder}; PODCAST_DATA names its folder")
    return folder


@pytest.fixture(scope="session", params=["small_data", "data"])
def each_data(request: pytest.FixtureRequest) -> Path:
    """Either set in turn."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


class LabelStudio:
    """A running Label Studio that can be stopped and started again: `audio` is a folder that it may serve."""

    def __init__(self, folder: Path, *, addon: bool = True) -> None:
        self.account = Account("annotator@example.org", secrets.token_urlsafe(9), secrets.token_hex(20))
        self.document_root = folder / "files"
        self.audio.mkdir(parents=True)
        self.folder, self._port, self._stack, self._addon = folder / "label-studio", own_port(), ExitStack(), addon
        self.running = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def server(self) -> Server:
        return Server(self.url, self.account.token)

    def start(self) -> None:
        self._stack.enter_context(label_studio(self.folder, self._port, self.document_root, self.account, addon=self._addon))
        self.running = True

    def stop(self) -> None:
        self._stack.close()
        self.running = False

    def copied(self, folder: Path, *, addon: bool = True) -> LabelStudio:
        """Another one that holds what this one does, not started yet: a fresh database would take half a minute."""
        other = LabelStudio(folder, addon=addon)
        other.account = self.account
        shutil.copytree(self.folder, other.folder, ignore=shutil.ignore_patterns(f"{DATABASE}*"))
        with (
            closing(sqlite3.connect(self.folder / DATABASE)) as ours,
            closing(sqlite3.connect(other.folder / DATABASE)) as theirs,
        ):
            ours.backup(theirs)  # a copy of a file that is being written to may be torn
        return other

    @property
    def audio(self) -> Path:
        return self.document_root / "audio"

    @property
    def env(self) -> dict[str, str]:
        """The settings that make `podcast` talk to it."""
        return {
            "LABEL_STUDIO_URL": self.url,
            "LABEL_STUDIO_API_KEY": self.account.token,
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(self.document_root),
            "ML_BACKEND_URL": "",
        }


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    """One Label Studio for all tests; each makes rounds of its own."""
    studio = LabelStudio(tmp_path_factory.mktemp("studio"))
    try:
        studio.start()
        yield studio
    finally:
        studio.stop()


@pytest.fixture(scope="session")
def ml_backend_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where that ML backend has its cache, its queue and its registry."""
    return tmp_path_factory.mktemp("ml-backend")


@pytest.fixture(scope="session")
def served_registry(ml_backend_folder: Path) -> Registry:
    """What `ml_backend_url` serves from. Nothing is promoted; whoever promotes something rolls it back."""
    return Registry(learning(ml_backend_folder)["ML_REGISTRY"])


@pytest.fixture(scope="session")
def ml_backend_url(studio: LabelStudio, ml_backend_folder: Path) -> Iterator[str]:
    """One ML backend under gunicorn with two workers, able to read what Label Studio serves; its boxes follow the audio alone."""
    port, folder = own_port(), ml_backend_folder
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ML_DETECTOR", "energy")
            stack.enter_context(ml_backend(folder, port, studio.url, studio.document_root, studio.account))
        yield f"http://127.0.0.1:{port}"


def write_noise(path: Path, duration_s: float = 60.0, sample_rate: int = 8000, seed: int = 0) -> Path:
    """A WAV of faint noise; another seed gives other audio."""
    samples = np.random.default_rng(seed).normal(0, 0.01, (round(duration_s * sample_rate), 1)).astype(np.float32)
    audio.write_wav(str(path), samples, sample_rate)
    return path
