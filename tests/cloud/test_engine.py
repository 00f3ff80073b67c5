"""The engine for one machine."""

from __future__ import annotations

import os

import pytest

from pipeline.engine import Known, LocalEngine
from tests.cloud import stages


def test_where_the_system_does_not_say_which_cores_are_ours_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, which has no `os.sched_getaffinity`."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    engine = LocalEngine()
    assert engine.workers == os.cpu_count()
    assert list(engine.map(stages.square, iter([1, Known("known"), 3]))) == [1, "known", 9]
