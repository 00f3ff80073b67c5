"""Sessions as real rounds have them, any length, every pattern of names, both change-over nights: the linter finds nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podcast import audio
from podcast.model import ReviewState, Session
from podcast.times import PACIFIC, node_name, parse_session_name
from releases.build import ReleaseOptions
from releases.lint import lint
from tests.releases.sessions import NODE, review, session
from tests.releases.test_release import released, rows

CALLS = ReviewState.CALLS
NIGHTS = (
    datetime(2020, 3, 8, 9, tzinfo=UTC),  # the clock is put forward at 10:00 UTC
    datetime(2020, 11, 1, 8, tzinfo=UTC),  # and back at 9:00 UTC
    datetime(2019, 7, 5, 15, 24, tzinfo=UTC),
)
REVIEWS = (review("ann", CALLS, [(1, 2.5)]), review("ann", ReviewState.NO_CALLS), review("ann", ReviewState.UNSURE))


def old_name(start: datetime) -> str:
    """Pod.Cast's name of a recording: Pacific wall-clock time without leading zeros or a zone."""
    local = start.astimezone(PACIFIC)
    return f"OS_{local.month}_{local.day:02d}_{local.year}_{local.hour:02d}_{local.minute:02d}_{local.second:02d}_"


@st.composite
def recordings(draw: st.DrawFn) -> list[Session]:
    """One recording cut into sessions of one length, the last perhaps shorter, some left out; or whole under its node's name."""
    start = draw(st.sampled_from(NIGHTS)) + timedelta(seconds=draw(st.integers(0, 7200)))
    length_s = draw(st.integers(5500, 6250)) / 100
    kind = draw(st.sampled_from(["old", "folder", "node"]))
    count = draw(st.integers(1, 300))
    kept = sorted({*draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=3)), draw(st.just(count - 1))})
    last_s = draw(st.sampled_from([length_s, 10.5]))
    found = []
    for number in kept:
        own = start + timedelta(seconds=number * length_s)
        if kind == "node":
            name, absolute_time = node_name(NODE, own.replace(microsecond=0)), ""
            own = own.replace(microsecond=0)
        else:
            parent = old_name(start) if kind == "old" else f"{start.timestamp():.0f}"
            name, absolute_time = f"{parent}_{number:04x}", parent
            # A name without a zone means the first of two hours that it may mean.
            known = parse_session_name(name)
            assert known.chunk == number and known.parent_start is not None
            own = known.parent_start + timedelta(seconds=number * length_s)
        seconds = last_s if number == count - 1 else length_s
        said = draw(st.sampled_from(REVIEWS))
        found.append(session(name, said, start=own, duration_s=seconds, absolute_time=absolute_time))
    return found


@given(st.lists(recordings(), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_release_of_real_sessions_passes_its_own_linter(found: list[list[Session]]) -> None:
    sessions = {item.id: item for recording in found for item in recording}
    with tempfile.TemporaryDirectory() as folder, patch("releases.build.pictures", return_value=[]):
        release = released(list(sessions.values()), Path(folder))
        assert [str(item) for item in lint(str(release))] == []


@pytest.mark.parametrize("noted", [True, False])
def test_sixty_one_and_a_quarter_seconds_with_audio(tmp_path: Path, noted: bool) -> None:
    """Chunk 0x10 of a real round begins 16 x 61.25 s after its recording; the length may be known from the audio alone."""
    parent = datetime(2019, 7, 5, 15, 24, tzinfo=UTC)
    path = tmp_path / "x.wav"
    audio.write_wav(str(path), np.zeros((61_250, 1), np.float32), 1000)
    one = session(
        "OS_7_05_2019_08_24_00__0010", REVIEWS[0], start=parent + timedelta(seconds=980), duration_s=61.25, audio_uri=str(path)
    )
    one = replace(one, recording=replace(one.recording, duration_s=61.25 if noted else None))
    release = released([one], tmp_path, ReleaseOptions("r"))
    assert [str(item) for item in lint(str(release))] == []


def test_the_dataset_column_is_never_empty(tmp_path: Path) -> None:
    start = NIGHTS[2]
    unnamed = session("a", REVIEWS[0], start=start, round="")
    named = session("b", REVIEWS[0], start=start + timedelta(hours=1), round="round2")
    torn = session("c", REVIEWS[1], start=start + timedelta(hours=2), round="round\t2\nof\r\nJuly", node="else\twhere")
    release = released([unnamed, named, torn], tmp_path, ReleaseOptions("clean-2", with_audio=False))
    found = {row["wav_filename"]: row for split in ("train", "dev", "test") for row in rows(release / f"{split}.tsv")}
    assert {name: row["dataset"] for name, row in found.items()} == {
        "a.wav": "clean-2", "b.wav": "round2", "c.wav": "round 2 of July",
    }  # fmt: skip
    assert found["c.wav"]["location"] == "else where"
    for split in ("train", "dev", "test"):  # as a program reads it that splits lines itself
        lines = (release / f"{split}.tsv").read_text().splitlines()
        assert {line.count("\t") for line in lines} == {6}
        assert not pd.read_csv(release / f"{split}.tsv", sep="\t")["dataset"].isna().any()
