"""Synthetic sessions with known truth: calls like an orca's, in sea noise with a ship's tonals. The same on every run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from podcast import audio, storage
from podcast.model import SoundEvent

SAMPLE_RATE = 24_000
DURATION_S = 60.0
PARENT = "OS_9_27_2017_08_25_00_"
SEED = 20170927

Wave = npt.NDArray[np.float64]


CHIRP_S = 0.35


@dataclass(frozen=True, slots=True)
class DemoSession:
    """One synthetic session: its name, where its calls are, how long it is, and when something chirps that is no orca."""

    id: str
    truth: tuple[SoundEvent, ...]
    duration_s: float = DURATION_S
    chirps_s: tuple[float, ...] = ()


def plan() -> list[DemoSession]:
    """Eight sessions of one parent recording; the last holds no call."""
    rng = np.random.default_rng(SEED)
    sessions = []
    for chunk in range(8):
        count = 0 if chunk == 7 else int(rng.integers(3, 6))
        slots = np.sort(rng.choice(np.arange(2, 56, 4), count, replace=False))
        starts = slots + rng.uniform(0, 1.5, count)
        lengths = rng.uniform(0.6, 1.6, count)
        truth = tuple(SoundEvent(float(start), float(start + length)) for start, length in zip(starts, lengths, strict=True))
        sessions.append(DemoSession(f"{PARENT}_{chunk:04x}", truth))
    return sessions


def chirping_plan(count: int) -> list[DemoSession]:
    """Short sessions, hours apart, with the chirps of a buoy, and calls in three of five: `energy` boxes both, and people delete
    the chirps."""
    sessions = []
    for number in range(count):
        rng = np.random.default_rng([SEED, 1000 + number])
        start = datetime(2021, 3, 1) + timedelta(hours=3 * number)
        duration_s, calls, chirps = 20.0, int(rng.integers(1, 5)) if number % 5 < 3 else 0, int(rng.integers(1, 4))
        slots = rng.permutation(np.arange(1, duration_s - 2, 2.5))[: calls + chirps].tolist()
        begins = [slot + float(rng.uniform(0, 0.5)) for slot in sorted(slots[:calls])]
        truth = tuple(SoundEvent(begin, begin + float(rng.uniform(0.6, 1.6))) for begin in begins)
        name = f"rpi_orcasound_lab_{start:%Y_%m_%d_%H_%M_%S}_PST"
        sessions.append(DemoSession(name, truth, duration_s, tuple(sorted(slots[calls:]))))
    return sessions


def write_sessions(folder: str, sessions: list[DemoSession] | None = None) -> list[DemoSession]:
    """Write `<id>.wav` of every session, those of `plan` if none are given, below `folder`, unless it is there already."""
    sessions = plan() if sessions is None else sessions
    for number, session in enumerate(sessions):
        uri = storage.join(folder, f"{session.id}.wav")
        if not storage.exists(uri):
            audio.write_wav(uri, render(session, number).astype(np.float32)[:, None], SAMPLE_RATE)
    return sessions


def render(session: DemoSession, number: int) -> Wave:
    """The samples of one session, shape (frames,), full scale at 1.0."""
    rng = np.random.default_rng([SEED, number])
    wave = _sea(rng, session.duration_s)
    for event in session.truth:
        call = _call(rng, event.duration_s)
        first = round(event.start_s * SAMPLE_RATE)
        wave[first : first + len(call)] += call
    for begin_s in session.chirps_s:
        chirp = _chirp(rng)
        first = round(begin_s * SAMPLE_RATE)
        wave[first : first + len(chirp)] += chirp
    return wave


def _sea(rng: np.random.Generator, duration_s: float) -> Wave:
    """Noise that falls with frequency, and two steady tonals of a distant ship."""
    from scipy import signal  # here, since it takes longer to import than all the rest of `podcast`

    frames = int(SAMPLE_RATE * duration_s)
    noise: Wave = signal.lfilter([1.0], [1.0, -0.95], rng.normal(size=frames))
    time = np.arange(frames) / SAMPLE_RATE
    ship = sum(np.sin(2 * np.pi * hz * time) for hz in rng.uniform(60, 400, 2))
    return np.asarray(0.01 * noise / noise.std() + 0.003 * ship)


def _chirp(rng: np.random.Generator) -> Wave:
    """One steady tone of about 3 kHz that swells and fades."""
    time = np.arange(round(CHIRP_S * SAMPLE_RATE)) / SAMPLE_RATE
    return np.asarray(0.04 * np.hanning(len(time)) * np.sin(2 * np.pi * rng.uniform(2900, 3100) * time))


def _call(rng: np.random.Generator, duration_s: float) -> Wave:
    """A pulsed call: a gliding fundamental and its harmonics, as the stereotyped calls of residents have."""
    from scipy import signal

    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    low, rise, wobble = rng.uniform(500, 900), rng.uniform(200, 700), rng.uniform(20, 80)
    glide = low + rise * np.sin(np.pi * time / duration_s) + wobble * np.sin(2 * np.pi * 6 * time)
    phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
    harmonics = sum(np.sin(order * phase) / order**0.7 for order in range(1, 8))
    envelope = signal.windows.tukey(len(time), 0.2)
    return np.asarray(rng.uniform(0.02, 0.05) * envelope * harmonics)
