"""The ML backend in this process, over a document root of two recordings: `calls.wav` and `noise.wav`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from demo.sessions import SAMPLE_RATE, plan, render
from ml_backend.app import create_app
from ml_backend.serving import serving
from podcast import audio
from tests.conftest import write_noise

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    audio.write_wav(str(root / "audio" / "calls.wav"), render(plan()[0], 0).astype(np.float32)[:, None], SAMPLE_RATE)
    write_noise(root / "audio" / "noise.wav", 10.0)
    return root


@pytest.fixture
def client(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    for name in list(os.environ):
        if name.startswith(("ML_", "LABEL_STUDIO_", "AUDIO_", "PROMETHEUS_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", KEY)
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", str(root))
    serving.cache_clear()
    yield create_app().test_client()
    serving.cache_clear()
