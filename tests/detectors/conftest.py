"""Real audio, where it is."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    folder = Path(os.environ.get("PODCAST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (folder / "manifest.tsv").exists():
        pytest.skip(f"the real data is not at {folder}; set PODCAST_DATA")
    return folder
