"""A session's own WAV beside its boxes: what may differ by how much, what is refused, and what stands for missing audio."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporters.base import WriteOptions
from exporters.wav import Heights, check_digest, check_length, known_length
from podcast import audio
from podcast.errors import InputError
from podcast.model import Session, SoundEvent
from podcast.report import Report
from tests.conftest import write_noise
from tests.exports.rounds import NO_CALLS, calls, export, session


def tenth() -> io.BytesIO:
    """A tenth of a second at 1 kHz: 0.1 s and the edge of 0.1 s are exactly 0.2 s, without the dust of floats."""
    return io.BytesIO(audio.wav_bytes(np.zeros((100, 1), np.int16), 1000))


def labelled(duration_s: float | None, sha256: str = "") -> Session:
    given = session("s", calls((0.01, 0.02)))
    return replace(given, recording=replace(given.recording, duration_s=duration_s, sha256=sha256))


@pytest.mark.parametrize(("labelled_s", "last_box_s"), [(0.1, 0.1), (0.2, 0.2), (0.0, 0.0), (None, 0.05), (None, 0.2)])
def test_lengths_may_differ_by_a_tenth_of_a_second(labelled_s: float | None, last_box_s: float) -> None:
    file = tenth()
    assert check_length(file, "s.wav", labelled(labelled_s), last_box_s) == 0.1
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("labelled_s", "last_box_s", "words"),
    [
        (0.201, 0.1, r"s\.wav lasts 0\.1 s, but the session that was labelled 0\.201 s"),
        (60.0, 0.1, r"s\.wav lasts 0\.1 s, but the session that was labelled 60\.0 s"),
        (None, 0.201, r"a box ends at 0\.201 s, past the end of s\.wav at 0\.1 s"),
    ],
)
def test_other_lengths_are_refused(labelled_s: float | None, last_box_s: float, words: str) -> None:
    with pytest.raises(InputError, match=f"^{words}$"):
        check_length(tenth(), "s.wav", labelled(labelled_s), last_box_s)


def test_a_hash_is_compared_where_one_was_noted() -> None:
    assert check_digest("ab", "s.wav", labelled(60.0)) == check_digest("ab", "s.wav", labelled(60.0, "ab")) == "ab"
    with pytest.raises(InputError, match=r"s\.wav is not the audio that was labelled: its sha256 is ab, not cd"):
        check_digest("ab", "s.wav", labelled(60.0, "cd"))


def test_a_length_that_the_source_does_not_tell_is_asked_of_the_audio(tmp_path: Path) -> None:
    options = WriteOptions(audio=str(tmp_path))
    assert known_length(labelled(61.25), options, "") == 61.25
    with pytest.raises(InputError, match=r"^its length is unknown, and it is needed \(.*s\.wav"):
        known_length(labelled(None), options, "it is needed")
    write_noise(tmp_path / "s.wav", 2.0, 1000)
    assert known_length(labelled(None), options, "") == 2.0


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("dclde", "DCLDE demands FileEndSec of a file without calls"),
        ("raven-birdnet", "a table without a row is none to crowsetta"),
    ],
)
def test_a_format_says_why_it_needs_the_length(name: str, why: str, tmp_path: Path) -> None:
    silent = replace(labelled(None), reviews=(NO_CALLS,))
    report, files = export(tmp_path, name, [silent], str(tmp_path))
    (refusal,) = report.refusals
    assert refusal.reason.startswith(f"its length is unknown, and {why} (") and files == {}


def test_a_box_without_an_upper_bound_reaches_to_half_the_rate_of_its_audio(tmp_path: Path) -> None:
    bounded, endless = SoundEvent(1, 2, 100, 200), SoundEvent(1, 2, 100)
    heights, report = Heights(WriteOptions(audio=str(tmp_path))), Report()
    assert heights.nyquist_hz(labelled(60.0), [bounded]) == heights.nyquist_hz(labelled(60.0), []) == 24_000
    heights.warn(report)
    assert not report.warnings  # nobody asked the audio
    write_noise(tmp_path / "s.wav", 2.0, 5000)
    assert heights.nyquist_hz(labelled(60.0), [bounded, endless]) == 2500
    for name in ("t", "u"):
        assert heights.nyquist_hz(replace(labelled(60.0), id=name), [endless]) == 24_000
    heights.warn(report)
    (warning,) = report.warnings
    assert warning.startswith("the audio of 2 sessions cannot be read here") and "t.wav" in warning
