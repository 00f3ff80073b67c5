"""Probe, decode, cut and write audio. Samples are float32 arrays of shape (frames, channels), full scale at 1.0."""

from __future__ import annotations

import hashlib
import io
import wave
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from podcast import storage
from podcast.errors import InputError

Samples = npt.NDArray[np.float32]
Wave = npt.NDArray[np.float32]
"""One channel, shape (frames,)."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a file's header says; `sample_rate` in Hz."""

    frames: int
    sample_rate: int
    channels: int

    @property
    def duration_s(self) -> float:
        """Length in seconds, on the millisecond grid."""
        return round(self.frames / self.sample_rate, 3)


def probe(uri: str) -> AudioInfo:
    """Read the header alone. Raises InputError if the file is no audio or holds no sample."""
    with storage.open_read(uri) as file:
        return probe_file(file, uri)


def probe_file(file: BinaryIO, name: str) -> AudioInfo:
    """`probe` for an open file; errors name `name`."""
    with _open(file, name) as sound:
        if not sound.frames:
            raise InputError(f"{name}: the audio is empty")
        return AudioInfo(sound.frames, sound.samplerate, sound.channels)


def decode(file: BinaryIO, name: str) -> tuple[Samples, int]:
    """All samples of an open file, (frames, channels), and the sample rate in Hz. Raises InputError naming `name`."""
    with _open(file, name) as sound:
        try:
            samples = sound.read(dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise InputError(f"{name}: the audio breaks off or is damaged ({error})") from error
        if not len(samples):
            raise InputError(f"{name}: the audio is empty")
        return samples, sound.samplerate


def read(uri: str) -> tuple[Samples, int]:
    """`decode` for the file at `uri`."""
    with storage.open_read(uri) as file:
        return decode(file, uri)


def mono(samples: Samples) -> Samples:
    """The mean over channels, shape (frames,)."""
    mean: Samples = samples.mean(axis=1, dtype=np.float32)
    return mean


def cut(samples: Samples, sample_rate: int, start_s: float, end_s: float) -> Samples:
    """The frames from `start_s` to `end_s` seconds, borders rounded to the nearest frame. Raises InputError outside."""
    first, last = round(start_s * sample_rate), round(end_s * sample_rate)
    if not 0 <= first < last <= len(samples):
        raise InputError(f"{start_s} to {end_s} s lies outside a recording of {len(samples) / sample_rate:.3f} s")
    return samples[first:last]


def write_wav(uri: str, samples: Samples, sample_rate: int) -> None:
    """Write 16-bit PCM; samples beyond full scale are clipped."""
    with storage.open_write(uri) as file:
        soundfile.write(file, samples, sample_rate, subtype="PCM_16", format="WAV")


def wav_bytes(samples: npt.NDArray[np.int16], sample_rate: int) -> bytes:
    """A whole 16-bit PCM WAV file of samples that are 16-bit already, shape (frames, channels)."""
    file = io.BytesIO()
    # Not soundfile: its many small writes make the buffer grow step by step, which costs more than decoding does.
    with wave.open(file, "wb") as sound:
        sound.setnchannels(samples.shape[1])
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.writeframes(samples.data)
    return file.getvalue()


def sha256(file: BinaryIO) -> str:
    """Hexadecimal SHA-256 of a whole open file, which is left at its beginning."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def _open(file: BinaryIO, name: str) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{name}: not readable as audio ({error})") from error
