"""Small files that decode to much, and headers that lie: nothing is allocated for them, and each task is told why."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from flask.testing import FlaskClient

from ml_backend.app import create_app
from ml_backend.room import Room
from ml_backend.serving import load_service, serving
from podcast import audio
from podcast.errors import InputError, StorageError
from tests.attacks.test_requests import predict
from tests.conftest import ROOT, TIMEOUT_S

LIMIT = 60_000_000


def flac_of_silence(path: Path, samples: int) -> Path:
    """A few kilobytes that decode to many samples."""
    silence = np.zeros((2**20, 1), np.int16)
    with soundfile.SoundFile(path, "w", 48_000, 1, "PCM_16", format="FLAC") as sound:
        for _ in range(-(-samples // len(silence))):
            sound.write(silence)
    return path


def mp3_of_hours(path: Path, hours: float) -> Path:
    """Two seconds of MP3 whose header counts the frames of many hours."""
    soundfile.write(path, np.zeros(96_000, np.float32), 48_000, format="MP3")
    content = path.read_bytes()
    at = max(content.find(b"Xing"), content.find(b"Info"))
    assert at > 0
    frames = struct.pack(">I", round(hours * 3600 * 48_000 / 1152))
    path.write_bytes(content[: at + 8] + frames + content[at + 12 :])
    return path


def peak_mb_of_decoding(path: Path) -> tuple[str, float]:
    """What a fresh process says of a file, and the megabytes that it takes beyond those it needs for itself."""
    program = (
        "import resource, sys\n"
        "from podcast import audio\n"
        "from podcast.errors import InputError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        f"    print(len(audio.decode(open(sys.argv[1], 'rb'), 'x', {LIMIT})[0]))\n"
        "except InputError as error:\n"
        "    print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    words, peak = done.stdout.splitlines()
    return words, float(peak)


def test_a_small_file_that_decodes_to_gigabytes_is_refused_by_its_header(tmp_path: Path) -> None:
    path = flac_of_silence(tmp_path / "bomb.flac", 2 * LIMIT)
    assert path.stat().st_size < 2**20
    words, peak = peak_mb_of_decoding(path)
    assert "AUDIO_MAX_SAMPLES allows" in words
    assert peak < 20


def test_an_mp3_that_calls_itself_336_hours_long_takes_no_memory(tmp_path: Path) -> None:
    path = mp3_of_hours(tmp_path / "liar.mp3", 336)
    words, peak = peak_mb_of_decoding(path)
    assert "calls itself 336.0 hours long" in words
    assert peak < 20
    with pytest.raises(InputError, match=r"336\.0 hours"):
        audio.probe(str(path))  # as imports do


def test_a_header_that_lies_within_the_limit_takes_what_is_there(tmp_path: Path) -> None:
    liar = mp3_of_hours(tmp_path / "liar.mp3", 0.3)
    words, peak = peak_mb_of_decoding(liar)
    assert 90_000 < int(words) < 110_000
    assert peak < 20
    samples, _ = audio.decode(io.BytesIO(liar.read_bytes()), "x", LIMIT)
    assert (samples if samples.base is None else samples.base).nbytes == samples.nbytes  # nothing is held that nobody sees


def test_a_header_without_a_length_is_refused(tmp_path: Path) -> None:
    path = flac_of_silence(tmp_path / "endless.flac", 2**20)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    content[22:26] = bytes(4)
    for read in (audio.decode, audio.probe_file):
        with pytest.raises(InputError, match="does not tell how long it is"):
            read(io.BytesIO(content), "x")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    samples = np.zeros(1000, np.float32)
    samples[500] = value
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="WAV", subtype="FLOAT")
    with pytest.raises(InputError, match="no numbers"):
        audio.decode(file, "x")


class _Breaks(io.BytesIO):
    """A file whose storage fails in the middle."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 40_000:
            raise StorageError("the connection broke")
        return super().read(size)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")  # such as libsndfile's own calls would swallow
def test_a_storage_that_fails_in_the_middle_does_not_shorten_the_audio() -> None:
    file = _Breaks()
    soundfile.write(file, np.zeros(100_000, np.int16), 8000, format="WAV")
    with pytest.raises(StorageError, match="the connection broke"):
        audio.decode(file, "x")


@pytest.mark.parametrize("kind", ["AIFF", "WAV", "FLAC"])
def test_headers_that_lead_outside_the_file_are_damaged_audio(kind: str, tmp_path: Path) -> None:
    path, rng = tmp_path / "damaged", np.random.default_rng(0)
    soundfile.write(path, np.zeros(1000, np.int16), 8000, format=kind)
    whole = path.read_bytes()
    for _ in range(400):
        damaged = bytearray(whole)
        for at in rng.integers(4, 60, 4):
            damaged[at] = rng.choice((0, 127, 128, 255))
        path.write_bytes(damaged)
        with path.open("rb") as file, suppress(InputError):
            audio.decode(file, "x")


def test_the_ml_backend_refuses_what_is_too_long_and_answers_the_rest(
    client: FlaskClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flac_of_silence(root / "audio" / "bomb.flac", 2 * 2**20)
    mp3_of_hours(root / "audio" / "liar.mp3", 336)
    monkeypatch.setenv("ML_AUDIO_MAX_SAMPLES", "2000000")
    serving.cache_clear()
    names = ("noise.wav", "bomb.flac", "calls.wav", "liar.mp3", "calls.wav")
    tasks = [{"id": number, "data": {"audio": f"/data/local-files/?d=audio/{name}"}} for number, name in enumerate(names)]
    answers = predict(create_app().test_client(), *tasks)
    assert ["result" in answer for answer in answers] == [True, False, True, False, True]
    assert all("AUDIO_MAX_SAMPLES" in answer["error"] for answer in answers if "error" in answer)
    room = load_service().room
    assert room.take(room.size, 0.0)  # all of it was given back


def test_room_is_never_promised_twice() -> None:
    room = Room(10)
    assert room.take(6, 0.0)
    assert not room.take(5, 0.0)
    waiting = threading.Thread(target=lambda: room.take(5, TIMEOUT_S))
    waiting.start()
    room.give(6)
    waiting.join(TIMEOUT_S)
    assert not waiting.is_alive()
    assert not room.take(6, 0.0)
