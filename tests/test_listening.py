"""Listening copies: in step with the recording to the sample, with all that lies below 12 kHz, made once, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from podcast import listening, storage
from podcast.errors import InputError, Refusal, StorageError
from podcast.listening import copy_uri, flac, make_copy, with_copies
from podcast.model import Recording, Session
from podcast.report import Report
from tests.conftest import write_noise

Wave = npt.NDArray[np.float64]
MS = 24
"""Samples of a copy in a millisecond."""


def copied(samples: Wave, rate: int, subtype: str = "PCM_16") -> Wave:
    """What a reader that is not ours finds in the copy of a WAV of these samples."""
    wav = io.BytesIO()
    soundfile.write(wav, samples, rate, subtype=subtype, format="WAV")
    copy = soundfile.SoundFile(io.BytesIO(flac(wav, "a.wav")))
    assert (copy.format, copy.samplerate, copy.channels) == ("FLAC", 24_000, 1)
    found: Wave = copy.read()
    return found


def level_db(wave: Wave) -> float:
    return float(10 * np.log10(2 * np.mean(wave**2) + 1e-30))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 20_000, 22_050, 24_000, 44_100, 44_101, 48_000, 96_000, 250_000])
def test_clicks_stay_where_they_are(rate: int, channels: int) -> None:
    frames = 3 * rate + 17
    clicks = [0, 1234, rate, 2 * rate + 7, frames - 1]
    samples = np.zeros((frames, channels))
    samples[clicks] = 0.9
    copy = copied(samples, rate)
    assert abs(len(copy) - frames * 24_000 / rate) < 1
    for click in clicks:
        at = click / rate * 24_000
        first = max(0, round(at) - MS)
        assert abs(first + int(np.argmax(np.abs(copy[first : round(at) + MS]))) - at) <= 1


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_what_lies_below_12_khz_stays_and_what_lies_above_leaves_no_trace(rate: int) -> None:
    time = np.arange(2 * rate) / rate
    inner = slice(4_000, 44_000)
    for hz in (50, 1_000, 8_000, 11_000):
        assert level_db(copied(0.5 * np.sin(2 * np.pi * hz * time), rate)[inner]) == pytest.approx(-6.02, abs=0.1)
    for hz in (12_050, 13_000, 16_000, 20_000, 21_500):
        assert level_db(copied(0.5 * np.sin(2 * np.pi * hz * time), rate, "PCM_24")[inner]) < -95


def test_a_chirp_comes_out_sample_for_sample() -> None:
    """0.5 to 11 kHz in ten seconds: the copy is what the formula gives at 24 kHz, not shifted, weaker or distorted."""

    def chirp(rate: int) -> Wave:
        time = np.arange(10 * rate) / rate
        wave: Wave = 0.5 * np.sin(2 * np.pi * (500 * time + 10_500 / 20 * time**2))
        return wave

    inner = slice(2_400, 237_600)
    assert np.abs(copied(chirp(96_000), 96_000, "PCM_24") - chirp(24_000))[inner].max() < 1e-4


def test_the_mean_of_two_channels() -> None:
    left, right = np.random.default_rng(0).normal(0, 0.1, (2, 24_000))
    assert copied(np.stack([left, right], axis=1), 24_000) == pytest.approx((left + right) / 2, abs=2**-14)


def test_a_quiet_recording_of_24_bits_keeps_them() -> None:
    faint = 1e-5 * np.sin(2 * np.pi * 1_000 * np.arange(48_000) / 48_000)
    copy = copied(faint, 48_000, "PCM_24")[2_400:-2_400]
    assert level_db(copy - 1e-5 * np.sin(2 * np.pi * 1_000 * np.arange(24_000) / 24_000)[2_400:-2_400]) < -130


@pytest.mark.parametrize(
    ("rate", "peak", "words"),
    [(24_000, 1.5, "passes full scale"), (3_000, 0.5, "3000 samples a second"), (1_500_000, 0.5, "1500000 samples a second")],
)
def test_what_no_copy_can_hold(rate: int, peak: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        copied(np.full(100, peak), rate, "FLOAT")


def session(path: Path, name: str = "") -> Session:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Session(name or path.stem, Recording(path.name, sha256=digest, audio_uri=str(path)))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_copy_is_made_once(tmp_path: Path) -> None:
    wav = write_noise(tmp_path / "audio" / "a.wav", 2.0)
    recording = session(wav).recording
    uri = copy_uri(recording)
    assert Path(uri) == tmp_path / "audio" / "listening" / f"{recording.sha256}-1.flac"
    assert make_copy(recording, uri) is True
    before = Path(uri).read_bytes(), Path(uri).stat()
    assert make_copy(recording, uri) is False
    assert (Path(uri).read_bytes(), Path(uri).stat()) == before
    assert soundfile.info(uri).duration == 2.0


def test_other_audio_than_the_session_was_read_with_is_not_copied(tmp_path: Path) -> None:
    wav = write_noise(tmp_path / "a.wav", 1.0)
    recording = session(wav).recording
    write_noise(wav, 1.0, seed=1)
    with pytest.raises(InputError, match="has changed"):
        make_copy(recording, copy_uri(recording))
    assert names(tmp_path) == ["a.wav"]


def test_a_batch_goes_on_and_says_what_is_played_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [session(write_noise(tmp_path / "good" / f"{name}.wav", 1.0, seed=seed)) for seed, name in enumerate("abc")]
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, np.full(100, 1.5), 24_000, subtype="FLOAT")
    web = Session("w", Recording("https://x/w.wav", audio_uri="https://x/w.wav"))
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut" / "listening").write_text("in the way")  # as a folder that nobody may write into, for root too
    shut = session(write_noise(tmp_path / "shut" / "s.wav", 1.0, seed=9))
    report = Report()
    sessions: list[Session | Refusal] = [good[0], Refusal("x", "bad"), session(loud), good[1], web, shut, good[2]]
    found = list(with_copies(sessions, copy_uri, report))
    assert [item.id if isinstance(item, Session) else item.where for item in found] == ["a", "x", "loud", "b", "w", "s", "c"]
    copies = [item.recording.listening_uri for item in found if isinstance(item, Session)]
    assert [bool(uri) for uri in copies] == [True, False, True, False, False, True]
    assert [Path(uri).is_file() for uri in copies if uri] == [True] * 3
    assert (report.counts["copies_made"], report.counts["not_copied"]) == (3, 3)
    told = list(report.warnings)
    assert len(told) == 3 and "session loud" in told[0] and "full scale" in told[0]
    assert "the originals in https://x:" in told[1] and "session s" in told[2]

    again = Report()
    assert list(with_copies(sessions, copy_uri, again)) == found
    assert (again.counts["copies_made"], again.counts["not_copied"]) == (0, 3)


def test_interrupted_work_resumes_and_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "cores", lambda: 1)
    sessions = [session(write_noise(tmp_path / f"{seed}.wav", 1.0, seed=seed)) for seed in range(12)]
    running = with_copies(sessions, copy_uri, Report())
    next(running)
    assert isinstance(running, Iterator)
    running.close()  # type: ignore[attr-defined]
    made = [name for name in names(tmp_path / "listening") if name.endswith(".flac")]
    assert 0 < len(made) < 12 and names(tmp_path / "listening") == made

    full = storage.write

    def breaks(uri: str, content: bytes) -> None:
        with storage.open_write(uri) as file:
            file.write(content[:100])
            raise StorageError("the disk is full")

    monkeypatch.setattr(storage, "write", breaks)
    report = Report()
    assert len(list(with_copies(sessions, copy_uri, report))) == 12
    assert report.counts["not_copied"] == 12 - len(made) and names(tmp_path / "listening") == made
    monkeypatch.setattr(storage, "write", full)
    report = Report()
    list(with_copies(sessions, copy_uri, report))
    assert (report.counts["copies_made"], report.counts["not_copied"]) == (12 - len(made), 0)


def test_all_cores_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three copies wait for each other: one thread alone would never pass."""
    monkeypatch.setattr(listening, "cores", lambda: 3)
    meeting, real = threading.Barrier(3, timeout=60), listening.make_copy

    def make(recording: Recording, uri: str) -> bool:
        meeting.wait()
        return real(recording, uri)

    monkeypatch.setattr(listening, "make_copy", make)
    sessions = [session(write_noise(tmp_path / f"{seed}.wav", 0.1, seed=seed)) for seed in range(3)]
    assert all(item.recording.listening_uri for item in with_copies(sessions, copy_uri, Report()) if isinstance(item, Session))
