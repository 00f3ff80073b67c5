"""Probe, decode, cut and write audio. Samples are float32 arrays of shape (frames, channels), full scale at 1.0."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
import soundfile

from podcast import storage
from podcast.errors import InputError, PodcastError, StorageError

Samples = npt.NDArray[np.float32]
Wave = npt.NDArray[np.float32]
"""One channel, shape (frames,)."""
T = TypeVar("T")

UNKNOWN_FRAMES = 2**63 - 1
"""What libsndfile says where a header does not tell the length."""
FLOATING = ("FLOAT", "DOUBLE")
LOUDEST = 2.0**15
"""Floating-point files may pass full scale; some hold 16-bit numbers as they are. Beyond that, squares overflow in detectors."""


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
    """Read the header alone. Raises InputError if the file is no audio, holds no sample, or more than AUDIO_MAX_SAMPLES."""
    with storage.open_read(uri) as file:
        return probe_file(file, uri)


def probe_file(file: BinaryIO, name: str) -> AudioInfo:
    """`probe` for an open file; errors name `name`."""
    with opened(file, name) as sound:
        if not sound.frames:
            raise InputError(f"{name}: the audio is empty")
        return AudioInfo(sound.frames, sound.samplerate, sound.channels)


def decode(file: BinaryIO, name: str, max_samples: int | None = None) -> tuple[Samples, int]:
    """All samples of an open file, (frames, channels), and the sample rate in Hz.

    Raises InputError naming `name` for what is no audio, and, before anything is decoded, for more than `max_samples` samples
    over all channels (the setting AUDIO_MAX_SAMPLES if None). A header may lie: libsndfile decodes no more than it says, and
    memory is taken for the samples that there really are.
    """
    with opened(file, name, max_samples) as sound:
        try:
            found: Samples = np.empty((sound.frames, sound.channels), np.float32)  # pages that are not written take no memory
            samples: Samples = sound.read(out=found)
        except soundfile.LibsndfileError as error:
            raise InputError(f"{name}: the audio breaks off or is damaged ({error})") from error
        except MemoryError as error:
            raise InputError(f"{name}: does not fit into memory ({sound.frames} frames, {sound.channels} channels)") from error
        if not len(samples):
            raise InputError(f"{name}: the audio is empty")
        if sound.subtype in FLOATING and not (np.abs(samples) <= LOUDEST).all():
            raise InputError(f"{name}: holds samples that are no numbers, or far beyond full scale")
        return (samples if len(samples) == len(found) else samples.copy()), sound.samplerate


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


WAV_FORMATS = ("WAV", "WAVEX", "RF64")
WAV_SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""As soundfile names them: samples as they are. MP3 and ADPCM in a WAV's frame are read by some programs alone."""


def check_wav(file: BinaryIO, name: str) -> None:
    """Raise InputError unless an open file is a WAV that every reader of a dataset can read, whatever its name says; errors name
    `name`, what it is, and how to convert it. The file is left at its beginning."""
    with opened(file, name) as sound:
        kind, subtype = sound.format, sound.subtype
    file.seek(0)
    if kind not in WAV_FORMATS or subtype not in WAV_SUBTYPES:
        raise InputError(
            f"{name}: holds {subtype if kind in WAV_FORMATS else kind} and not PCM samples, which a dataset of WAVs needs; "
            "convert it: ffmpeg -i IN.wav -c:a pcm_s16le OUT.wav"
        )


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


def samples_of(file: BinaryIO, name: str, max_samples: int | None = None) -> int:
    """How many samples over all channels `decode` will hold, by the header; the errors are those of `decode`."""
    with opened(file, name, max_samples) as sound:
        return int(sound.frames * sound.channels)


@contextmanager
def opened(file: BinaryIO, name: str, max_samples: int | None = None) -> Iterator[soundfile.SoundFile]:
    """The open file as libsndfile sees it, to be read in blocks; afterwards the file is left at its beginning.

    The errors are those of `decode`, and what reading the file raised.
    """
    source, limit = _Source(file, name), max_samples or _most_samples()
    try:
        with soundfile.SoundFile(source) as sound:
            if sound.frames == UNKNOWN_FRAMES:
                raise InputError(f"{name}: its header does not tell how long it is; write the file anew")
            if sound.frames * sound.channels > limit:
                hours = sound.frames / sound.samplerate / 3600
                raise InputError(
                    f"{name}: calls itself {hours:.1f} hours long, with {sound.channels} channels; "
                    f"AUDIO_MAX_SAMPLES allows {limit} samples"
                )
            yield sound
    except soundfile.LibsndfileError as error:
        source.check()
        raise InputError(f"{name}: not readable as audio ({error})") from error
    except InputError:
        source.check()
        raise
    source.check()
    file.seek(0)


@lru_cache(maxsize=1)
def _most_samples() -> int:
    # Imported here: workers of the pipeline that only cut need no settings.
    from podcast.settings import load_settings

    return load_settings().audio_max_samples


class _Source:
    """A file for libsndfile, which calls back from C: an exception there is lost, and the audio would just seem to end.

    The first one is kept, and raised by `check`.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._error: Exception | None = None
        file.seek(0)

    def check(self) -> None:
        if isinstance(self._error, PodcastError):
            raise self._error
        if self._error is not None:
            raise StorageError(f"{self._name}: cannot be read ({self._error})") from self._error

    def readinto(self, buffer: bytearray) -> int:
        block = self._attempt(lambda: self._file.read(len(buffer)), b"")
        buffer[: len(block)] = block
        return len(block)

    def seek(self, offset: int, whence: int) -> None:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell()}.get(whence)
        if start is None or start + offset >= 0:  # a damaged header sends libsndfile before the beginning
            self._attempt(lambda: self._file.seek(offset, whence), None)

    def tell(self) -> int:
        return self._attempt(self._file.tell, 0)

    def _attempt(self, step: Callable[[], T], otherwise: T) -> T:
        if self._error is None:
            try:
                return step()
            except (OSError, PodcastError) as error:
                self._error = error
        return otherwise
