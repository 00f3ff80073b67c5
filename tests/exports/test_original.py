"""The original Pod.Cast, as recorded in tests/exports/original: it reads what we export, and we read what it stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exporters import EXPORTERS
from exporters.base import WriteOptions
from legacy.account import Account, AccountRound
from podcast.model import Recording, Review, ReviewState, Session
from tests.conftest import ROOT, write_noise
from tests.exports.rounds import boxes

RECORDED = ROOT / "tests" / "exports" / "original"
KINDS = {"calls": "OS_9_27_2017_08_25_00__0001", "no-calls": "OS_9_27_2017_08_25_00__0002"}


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_bytes())


def as_exported(kind: str) -> Session:
    """The sessions whose export the original was given."""
    times = ((24.5, 26.95), (38.415, 40.865), (5.741, 7.93)) if kind == "calls" else ()
    said = Review("v@x.org", ReviewState.CALLS if times else ReviewState.NO_CALLS, boxes(*times))
    start = datetime(2017, 9, 27, 15, 26, tzinfo=UTC)
    recording = Recording(recorded(f"loaded-{kind}")["uri"], "rpi_orcasound_lab", start, 60.0)
    return Session(KINDS[kind], recording, "OS_9_27_2017_08_25_00_", "round4", reviews=(said,))


@pytest.mark.parametrize("kind", KINDS)
def test_the_original_gives_its_page_what_we_exported(kind: str, tmp_path: Path) -> None:
    EXPORTERS["podcast-json"]([as_exported(kind)], str(tmp_path), WriteOptions())
    content = (tmp_path / f"{KINDS[kind]}.json").read_text()
    # The server parses the file, adds the progress of the round, and prints it again.
    state = {"backend_state": {"written": 2, "remaining": 0}}
    assert json.dumps(json.loads(content) | state).encode() == (RECORDED / f"loaded-{kind}.json").read_bytes()
    assert content == json.dumps(json.loads(content)) + "\n"


@pytest.fixture
def copied(tmp_path: Path) -> Account:
    """A copy of the account's containers as folders, as the original left them."""
    for kind, name in KINDS.items():
        for folder, container in (("predicted", "predictions-round5"), ("submitted", "annotations-round5")):
            (tmp_path / container).mkdir(exist_ok=True)
            (tmp_path / container / f"{name}.json").write_bytes((RECORDED / f"{folder}-{kind}.json").read_bytes())
        (tmp_path / "audiosegments").mkdir(exist_ok=True)
        write_noise(tmp_path / "audiosegments" / f"{name}.wav", 60, 1000)
    return Account(str(tmp_path), "predictions", "annotations", "audiosegments", "config/rounds.yaml")


def test_what_the_original_stored_comes_back_as_it_is(copied: Account, tmp_path: Path) -> None:
    sessions = {item.id: item for item in AccountRound(copied, "round5").sessions() if isinstance(item, Session)}
    assert set(sessions) == set(KINDS.values())
    calls, silent = sessions[KINDS["calls"]], sessions[KINDS["no-calls"]]
    # By hand: two predicted boxes that were kept, and one that was drawn from pixel 120 to 160 of 24 a second.
    times = [(item.event.start_s, item.event.duration_s) for item in calls.reviews[0].annotations]
    assert sorted(times) == [(5.0, 1.667), (39.2, 2.45), (53.9, 2.45)]
    assert (silent.reviews[0].state, silent.reviews[0].annotations) == (ReviewState.NO_CALLS, ())
    assert [len(item.detections) for item in (calls, silent)] == [3, 3]
    assert (calls.absolute_time, calls.recording.source_guid) == ("OS_9_27_2017_08_25_00_", "rpi_orcasound_lab")
    assert calls.recording.uri == recorded("submitted-calls")["uri"]


def test_given_back_it_is_unchanged(copied: Account, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "annotations-round5").iterdir()}
    sessions = list(AccountRound(copied, "round5").sessions())
    report = AccountRound(copied, "round5").give_back(sessions)
    assert (report.counts["unchanged"], report.counts["written"], report.counts["refused"]) == (2, 0, 0)
    after = {path.name: path.read_bytes() for path in (tmp_path / "annotations-round5").glob("OS_*.json")}
    assert after == before
    # And exported anew it says the same, on the millisecond grid.
    EXPORTERS["podcast-json"](sessions, str(tmp_path / "out"), WriteOptions())
    for kind, name in KINDS.items():
        ours, theirs = json.loads((tmp_path / "out" / f"{name}.json").read_text()), recorded(f"submitted-{kind}")
        for value in (ours, theirs):
            value["annotations"] = sorted((round(box["start_s"], 3), round(box["duration_s"], 3)) for box in value["annotations"])
        assert ours == theirs
