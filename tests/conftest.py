"""Real parts for the tests: two sets of real data, one Label Studio and one ML backend for the whole run."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from demo.servers import Account, free_port, label_studio, ml_backend
from labelstudio.client import Server
from podcast import audio

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"


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

    def __init__(self, folder: Path) -> None:
        self.account = Account("annotator@example.org", secrets.token_urlsafe(9), secrets.token_hex(20))
        self.document_root = folder / "files"
        self.audio.mkdir(parents=True)
        self._folder, self._port, self._stack = folder, free_port(), ExitStack()
        self.running = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def server(self) -> Server:
        return Server(self.url, self.account.token)

    def start(self) -> None:
        folder = self._folder / "label-studio"
        self._stack.enter_context(label_studio(folder, self._port, self.document_root, self.account))
        self.running = True

    def stop(self) -> None:
        self._stack.close()
        self.running = False

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
def ml_backend_url(studio: LabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One ML backend under gunicorn with two workers, able to read what Label Studio serves; its boxes follow the audio alone."""
    port, folder = free_port(), tmp_path_factory.mktemp("ml-backend")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ML_DETECTOR", "energy")
        with ml_backend(folder, port, studio.url, studio.document_root, studio.account):
            yield f"http://127.0.0.1:{port}"


def write_noise(path: Path, duration_s: float = 60.0, sample_rate: int = 8000, seed: int = 0) -> Path:
    """A WAV of faint noise; another seed gives other audio."""
    samples = np.random.default_rng(seed).normal(0, 0.01, (round(duration_s * sample_rate), 1)).astype(np.float32)
    audio.write_wav(str(path), samples, sample_rate)
    return path
