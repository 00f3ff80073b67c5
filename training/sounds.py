"""Training sounds: calls cut from their own noise, seas and ships made from numbers, and minutes mixed from both.

All samples here are float32, mono, shape (frames,), at `RATE`. Everything is a function of the random generator it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import istft, resample_poly, stft

from detectors.starter import RATE
from podcast.audio import Wave

Generator = np.random.Generator
BAND_HZ = (500.0, 8000.0)


@dataclass(frozen=True, slots=True)
class Clip:
    """One sound; `session` is the recording that it was cut from, by which data is split.

    `source` is what made it, a name of the vocabulary, for a sound that is no call and that somebody named.
    """

    wave: Wave
    session: str
    source: str = ""


def without_noise(wave: Wave) -> tuple[Wave, Wave]:
    """A call without its recorder's noise and the silence around it, and noise alone of the same colour.

    Cells of the spectrogram less than 6 dB above their frequency's lower quartile are lowered by 20 dB. The noise has those
    quartiles as its spectrum and random phases. Both together keep a network from learning the recorder in place of the whale.
    """
    _, _, cells = stft(wave, RATE, nperseg=1024, noverlap=768)
    size = np.abs(cells)
    floor = np.quantile(size, 0.25, axis=1, keepdims=True)
    clean = cells * np.where(size > 2 * floor, 1.0, 0.1)
    _, call = istft(clean, RATE, nperseg=1024, noverlap=768)
    power = (np.abs(clean[int(BAND_HZ[0] * 1024 / RATE) :]) ** 2).sum(axis=0)
    loud = np.flatnonzero(power > 0.02 * power.max()) * 256
    phases = np.exp(2j * np.pi * np.random.default_rng(len(wave)).random(cells.shape))
    _, noise = istft(1.5 * floor * phases, RATE, nperseg=1024, noverlap=768)
    first, last = max(int(loud[0]) - 512, 0), min(int(loud[-1]) + 512, len(wave))
    return call[first:last].astype(np.float32), noise[: len(wave)].astype(np.float32)


def sea(rng: Generator, frames: int) -> Wave:
    """Noise that falls by 2 to 9 dB an octave and swells slowly."""
    wave = _coloured(rng, frames, rng.uniform(0.3, 1.5))
    return wave * _slow(rng, frames, rng.uniform(0.0, 0.6))


def ship(rng: Generator, frames: int) -> Wave:
    """Steady or slowly drifting harmonics of a shaft, and cavitation that pulses with the blades."""
    time = np.arange(frames) / RATE
    shaft, drift = rng.uniform(20, 300), rng.uniform(-0.01, 0.01)
    phase = 2 * np.pi * shaft * (time + drift * time**2 / 2)
    tones = np.zeros(frames)
    for harmonic in rng.integers(1, 40, rng.integers(2, 12)):
        if harmonic * shaft < 0.4 * RATE:
            tones += rng.exponential() * np.sin(harmonic * phase + rng.uniform(0, 6.28)) / np.sqrt(harmonic)
    pulse = 1 + rng.uniform(0, 0.8) * np.sin(2 * np.pi * rng.uniform(1, 12) * time)
    return (rng.uniform(0.1, 1) * tones + 2 * _coloured(rng, frames, 0.8) * pulse).astype(np.float32)


def disturbance(rng: Generator, frames: int) -> Wave:
    """Clicks, click trains, splashes, knocks or a sonar's pings: short sounds that are no calls."""
    wave = np.zeros(frames, np.float32)
    kind = rng.integers(4)
    if kind == 0:
        every = int(RATE / rng.uniform(3, 60))
        start, count = int(rng.integers(frames)), int(rng.integers(1, 60))
        for at in range(start, min(frames, start + every * count), every):
            length = min(int(rng.integers(5, 200)), frames - at)
            wave[at : at + length] += rng.normal() * np.hanning(length) * rng.normal(size=length)
    elif kind == 1:
        length = int(rng.uniform(0.05, 1.5) * RATE)
        at = int(rng.integers(frames - length))
        wave[at : at + length] = _coloured(rng, length, rng.uniform(0, 1)) * np.hanning(2 * length)[length:]
    elif kind == 2:
        length, hertz = int(rng.uniform(0.02, 0.12) * RATE), rng.uniform(300, 9000)
        for start_s in np.arange(rng.uniform(0, 1), frames / RATE - 0.2, rng.uniform(0.4, 3)):
            first = int(start_s * RATE)
            wave[first : first + length] += np.hanning(length) * np.sin(2 * np.pi * hertz * np.arange(length) / RATE)
    else:
        length = int(rng.uniform(0.05, 0.4) * RATE)
        ring = np.exp(-np.arange(length) / RATE / rng.uniform(0.01, 0.08))
        hertz = rng.uniform(60, 900)
        at = int(rng.integers(frames - length))
        wave[at : at + length] = ring * np.sin(2 * np.pi * hertz * np.arange(length) / RATE)
    return wave


def varied(rng: Generator, wave: Wave) -> Wave:
    """The same sound up to 8 % higher or lower, with an echo now and then, its ends faded over 10 ms."""
    steps = round(100 * rng.uniform(0.92, 1.08))
    wave = resample_poly(wave, steps, 100).astype(np.float32)
    if rng.random() < 0.4:
        delay = int(rng.uniform(0.005, 0.15) * RATE)
        echoed = np.concatenate([wave, np.zeros(delay, np.float32)])
        echoed[delay:] += rng.uniform(0.1, 0.6) * wave
        wave = echoed
    fade = min(RATE // 100, len(wave) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    wave = wave.copy()
    wave[:fade] *= ramp
    wave[len(wave) - fade :] *= ramp[::-1]
    return wave


def mix(
    rng: Generator,
    seconds: float,
    calls: Sequence[Clip],
    others: Sequence[Clip],
    backgrounds: Sequence[Clip],
    most_calls: int,
    snr_db: tuple[float, float] = (-6.0, 20.0),
) -> tuple[Wave, list[tuple[float, float]]]:
    """A minute (or less) of sea with calls and other sounds in it, and the start and end of every call in seconds.

    A third of the minutes, and all if `most_calls` is 0, hold no call. Levels are set by the ratio to the background between 0.5
    and 8 kHz, where calls are.
    """
    frames = round(seconds * RATE)
    wave = _background(rng, frames, backgrounds)
    level = band_level(wave)
    taken = np.zeros(frames, bool)
    spans = []
    for _ in range(rng.integers(0, 4)):
        noise = disturbance(rng, frames)
        wave += noise * level * 10 ** (rng.uniform(-5, 25) / 20) / max(float(np.abs(noise).max()), 1e-9)
    for is_call, source, most in ((False, others, 3), (True, calls, most_calls if rng.random() < 0.67 else 0)):
        for _ in range(rng.integers(0, most + 1) if source else 0):
            sound = varied(rng, source[int(rng.integers(len(source)))].wave)[: frames - 1]
            first = int(rng.integers(frames - len(sound)))
            part = slice(first, first + len(sound))
            if taken[part].any():
                continue
            taken[part] = True
            gain = level * 10 ** (rng.uniform(*snr_db) / 20) / max(band_level(sound), 1e-9)
            wave[part] += gain * sound
            if is_call:
                spans.append((first / RATE, (first + len(sound)) / RATE))
    return wave / max(float(np.abs(wave).max()), 1e-9), sorted(spans)


def band_level(wave: Wave) -> float:
    """Root mean square between 0.5 and 8 kHz."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    return float(np.sqrt(2 * power[(hertz > BAND_HZ[0]) & (hertz < BAND_HZ[1])].sum()) / len(wave))


def _background(rng: Generator, frames: int, backgrounds: Sequence[Clip]) -> Wave:
    if backgrounds and rng.random() < 0.4:
        wave = backgrounds[int(rng.integers(len(backgrounds)))].wave
        wave = np.tile(np.concatenate([wave, wave[::-1]]), -(-frames // (2 * len(wave))) + 1)
        first = int(rng.integers(len(wave) - frames))
        part: Wave = (wave[first : first + frames] / max(band_level(wave[first : first + frames]), 1e-9)).astype(np.float32)
        return part
    wave = sea(rng, frames)
    wave /= band_level(wave)
    if rng.random() < 0.5:
        noise = ship(rng, frames)
        wave += noise * 10 ** (rng.uniform(-15, 5) / 20) / band_level(noise)
    return wave


def _coloured(rng: Generator, frames: int, slope: float) -> Wave:
    hertz = np.maximum(np.fft.rfftfreq(frames, 1 / RATE), 50)
    wave = np.fft.irfft(np.fft.rfft(rng.standard_normal(frames)) / hertz**slope, frames)
    even: Wave = (wave / wave.std()).astype(np.float32)
    return even


def _slow(rng: Generator, frames: int, depth: float) -> Wave:
    points = 10 ** (depth * rng.normal(size=8) / 2)
    curve: Wave = np.interp(np.arange(frames), np.linspace(0, frames, 8), points).astype(np.float32)
    return curve
