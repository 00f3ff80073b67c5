"""Audio for the sessions of `rounds`."""

from __future__ import annotations

import pytest

from tests.conftest import write_noise
from tests.exports.rounds import SESSIONS


@pytest.fixture(scope="session")
def wavs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a minute of audio for the sessions of this file: one format copies it, others ask it."""
    folder = tmp_path_factory.mktemp("wavs")
    for seed, name in enumerate([*(item.id for item in SESSIONS), "s", "new", "60012", "1573775700_0002"]):
        write_noise(folder / f"{name}.wav", 60, 1000, seed)
    return str(folder)
