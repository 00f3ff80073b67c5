"""Audio in and out, frame by frame."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

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


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_samples_of_any_width_are_decoded_and_the_file_is_left_at_its_beginning(kind: str, subtype: str) -> None:
    samples = np.linspace(-1, 1, 400, endpoint=False, dtype=np.float32).reshape(200, 2)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format=kind, subtype=subtype)
    for _ in range(2):
        audio.check_wav(file, "a.wav")
        assert file.tell() == 0
        assert audio.samples_of(file, "a.wav") == 400
        assert file.tell() == 0
        assert audio.probe_file(file, "a.wav") == audio.AudioInfo(200, 8000, 2)
        assert file.tell() == 0
        decoded, sample_rate = audio.decode(file, "a.wav")
        assert (decoded.dtype, decoded.shape, sample_rate) == (np.dtype(np.float32), (200, 2), 8000)
        np.testing.assert_allclose(decoded, samples, atol=1 / 128)


@pytest.mark.parametrize(
    ("loudest", "taken"), [(32768.0, True), (-32768.0, True), (40_000.0, False), (np.nan, False), (np.inf, False)]
)
def test_floating_samples_may_pass_full_scale_but_not_leave_all_bounds(loudest: float, taken: bool) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.array([[0.5], [loudest], [0.5]], np.float32), 8000, format="WAV", subtype="FLOAT")
    if taken:
        assert audio.decode(file, "a.wav")[0][1, 0] == loudest
    else:
        with pytest.raises(InputError, match=r"a\.wav: holds samples that are no numbers, or far beyond full scale"):
            audio.decode(file, "a.wav")


def test_a_limit_counts_the_samples_of_all_channels() -> None:
    file = io.BytesIO(audio.wav_bytes(np.zeros((3600 * 10, 2), np.int16), 10))
    assert len(audio.decode(file, "a.wav", max_samples=72_000)[0]) == 36_000
    with pytest.raises(
        InputError, match=r"a\.wav: calls itself 1\.0 hours long, with 2 channels; AUDIO_MAX_SAMPLES allows 71999"
    ):
        audio.decode(file, "a.wav", max_samples=71_999)


def test_without_a_limit_the_setting_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "_most_samples", lambda: 99)
    for given, taken in ((99, True), (100, False)):
        file = io.BytesIO(audio.wav_bytes(np.zeros((given, 1), np.int16), 10))
        if taken:
            assert (
                len(audio.decode(file, "a.wav")[0]) == audio.samples_of(file, "a.wav") == audio.probe_file(file, "").frames == 99
            )
        else:
            for read in (audio.decode, audio.samples_of, audio.probe_file):
                with pytest.raises(InputError, match="AUDIO_MAX_SAMPLES allows 99"):
                    read(file, "a.wav")


@pytest.mark.parametrize("read", [audio.decode, audio.probe_file])
def test_audio_without_a_sample_is_refused(read: Callable[[BinaryIO, str], object]) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((0, 1), np.int16), 10, format="WAV")
    with pytest.raises(InputError, match=r"^a\.wav: the audio is empty$"):
        read(file, "a.wav")


def test_what_passes_full_scale_is_clipped_where_it_is_written(tmp_path: Path) -> None:
    audio.write_wav(str(tmp_path / "a.wav"), np.array([[1.5], [-1.5], [0.25]], np.float32), 100)
    assert audio.read(str(tmp_path / "a.wav"))[0][:, 0].tolist() == [32767 / 32768, -1, 0.25]


def test_one_channel_is_the_mean_of_all() -> None:
    assert audio.mono(np.array([[0.5, -0.5], [1.0, 0.5]], np.float32)).tolist() == [0.0, 0.75]


def test_a_hash_is_that_of_the_whole_file_wherever_it_stood() -> None:
    content = bytes(range(256)) * 10_000  # more than is read at once
    file = io.BytesIO(content)
    file.seek(1000)
    assert audio.sha256(file) == hashlib.sha256(content).hexdigest()
    assert file.tell() == 0


def test_a_duration_is_in_milliseconds() -> None:
    assert audio.AudioInfo(frames=1, sample_rate=3, channels=1).duration_s == 0.333


@pytest.mark.parametrize(
    ("kind", "subtype", "words"),
    [("FLAC", "PCM_16", "FLAC"), ("WAV", "IMA_ADPCM", "IMA_ADPCM"), ("MP3", "MPEG_LAYER_III", "MP3")],
)
def test_what_is_no_wav_of_samples_is_named(kind: str, subtype: str, words: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(8000, np.float32), 8000, format=kind, subtype=subtype)
    with pytest.raises(InputError, match=rf"a\.wav: holds {words} and not PCM samples.*ffmpeg"):
        audio.check_wav(file, "a.wav")
