"""Audio in and out, frame by frame."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from podcast import audio
from podcast.errors import InputError


def test_what_is_written_is_probed_and_read_back(tmp_path: Path) -> None:
    samples = np.arange(-300, 300, dtype=np.float32).reshape(300, 2) / np.float32(32768)  # each value is one step of 16-bit PCM
    uri = str(tmp_path / "a.wav")
    audio.write_wav(uri, samples, 100)
    assert audio.probe(uri) == audio.AudioInfo(frames=300, sample_rate=100, channels=2)
    assert audio.probe(uri).duration_s == 3.0
    read, sample_rate = audio.read(uri)
    assert sample_rate == 100
    np.testing.assert_array_equal(read, samples)


def test_neighbouring_cuts_share_no_frame_and_lose_none() -> None:
    samples = np.arange(1000, dtype=np.float32)[:, None]
    parts = [audio.cut(samples, 48, start, end) for start, end in ((0, 1.005), (1.005, 7.77), (7.77, 1000 / 48))]
    np.testing.assert_array_equal(np.concatenate(parts), samples)


@pytest.mark.parametrize(("start_s", "end_s"), [(-0.1, 1), (1, 1), (2, 1), (9, 10.1)])
def test_a_cut_outside_the_recording_is_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(InputError, match=r"outside a recording of 10\.000 s"):
        audio.cut(np.zeros((1000, 1), np.float32), 100, start_s, end_s)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_samples_of_16_bit_are_written_as_they_are(channels: int) -> None:
    samples = np.random.default_rng(4).integers(-32768, 32767, (1001, channels), np.int16, endpoint=True)
    with soundfile.SoundFile(io.BytesIO(audio.wav_bytes(samples, 44_100))) as sound:
        assert (sound.samplerate, sound.format, sound.subtype) == (44_100, "WAV", "PCM_16")
        assert np.array_equal(sound.read(dtype="int16", always_2d=True), samples)
