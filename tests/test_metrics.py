"""What `/metrics` tells of people: sums over rounds of what a process beside the workers found, and when that is asked to run."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ml_backend.metrics import EDITS, LOCK, exposition, read_edits
from podcast.settings import Settings

KEYS = ("reviews", "minutes", "kept", "moved", "deleted", "added")


def counts(*numbers: float) -> dict[str, float]:
    return dict(zip(KEYS, numbers, strict=True))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    return Settings(ml_cache_dir=tmp_path)


def samples(settings: Settings) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(exposition(settings).decode())
    people = [sample for family in families for sample in family.samples if sample.name.startswith("podcast_review")]
    return {(sample.name, *sample.labels.values()): sample.value for sample in people}


def test_what_people_changed_is_summed_over_rounds_by_model_version(settings: Settings, tmp_path: Path) -> None:
    rounds = {
        "1": {"seen": [], "edits": {"energy:1": counts(2, 2.0, 3, 1, 2, 0), "energy:2": counts(1, 1.0, 5, 0, 0, 0)}},
        "2": {"seen": [], "edits": {"energy:1": counts(1, 2.0, 1, 0, 1, 4)}},
        "3": {"seen": [], "edits": {}},
    }
    (tmp_path / EDITS).write_text(json.dumps({"asked": 1700000000, "rounds": rounds}))
    found = samples(settings)
    assert {key[1:]: value for key, value in found.items() if key[0] == "podcast_review_edits_a_minute"} == {
        ("energy:1",): (1 + 3 + 4) / 4,
        ("energy:2",): 0.0,
    }
    assert found["podcast_reviews", "energy:1"] == 3
    assert [found["podcast_review_boxes", name, "energy:1"] for name in KEYS[2:]] == [4, 1, 3, 4]
    assert found["podcast_review_asked_timestamp_seconds",] == 1700000000


@pytest.mark.parametrize("content", ["", "[]", '{"asked": 1}', "\x00"])
def test_a_damaged_file_is_made_anew(settings: Settings, tmp_path: Path, content: str) -> None:
    (tmp_path / EDITS).write_text(content)
    assert read_edits(tmp_path) == {"asked": 0.0, "rounds": {}}
    assert samples(settings) == {("podcast_review_asked_timestamp_seconds",): 0.0}


def test_label_studio_is_asked_when_somebody_looks_and_not_too_often(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    began = threading.Event()

    def run(command: list[str], **_: Any) -> None:
        asked.append(command)
        began.set()

    monkeypatch.setattr(subprocess, "run", run)
    exposition(settings)
    assert not (tmp_path / LOCK).exists()  # without a key there is nobody to ask
    with_key = settings.model_copy(update={"label_studio_api_key": "a" * 40})
    for _ in range(3):
        exposition(with_key)
    assert began.wait(10)
    assert [command[1:] for command in asked] == [["-m", "ml_backend.edits"]]
    began.clear()
    exposition(with_key.model_copy(update={"ml_edits_every_s": 1e-9}))
    assert began.wait(10) and len(asked) == 2
