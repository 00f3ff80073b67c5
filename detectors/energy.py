"""A detector without weights: tonal energy in the call band against the local background.

Calls and whistles are narrow lines that last; splashes and clicks are broad, and ship tonals do not change. So every cell of the
spectrogram is measured against the median of its frequency over the recording (removes steady lines) and against the median of
its neighbourhood in frequency at that moment (removes broadband sound), and counts only if the line stands out both just before
and just after the moment (removes clicks). What is left is summed over the band and cut into events by two thresholds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from detectors.events import EventRules, events, placed
from detectors.frames import Frames, shape_of
from detectors.rules import FIXED, BoxRules, Cut, rules_for, version
from podcast.audio import Samples, mono
from podcast.errors import InputError
from podcast.model import CALL, Detection, ModelRun

NAME = "energy"
_REVISION = 1  # raised whenever the code below gives other detections for the same parameters
_LOUDEST = 1e9  # times full scale: beyond it, a spectrum in float32 overflows, and the samples are damaged anyway
_CHUNK = 128  # frames that are transformed at once: few enough to stay in the processor's cache
_QUANTISATION = 1e-10  # about the variance of 16-bit rounding noise, full scale 1: quieter than this is silence

Levels = npt.NDArray[np.float32]
"""Power or dB, shape (frames, bins)."""


@dataclass(frozen=True, slots=True)
class EnergyParameters(EventRules):
    """Frequencies in Hz, times in seconds, levels in dB; strengths in dB summed over the bins of one frame."""

    on_strength: float = 15.0
    off_strength: float = 5.0
    share: float = 0.1
    hop_s: float = 0.01
    low_hz: float = 500.0
    high_hz: float = 10_000.0
    window_s: float = 0.04
    neighbourhood_hz: float = 800.0
    half_frames: int = 4
    line_db: float = 8.0
    ceiling_db: float = 15.0
    half_confidence: float = 30.0


class EnergyDetector:
    """The `Detector` of this module; holds nothing but its parameters and, where it has learned some, its rules."""

    fixed_cut: ClassVar[Cut] = Cut(15.0, 5.0, 0.1, 0.15, 0.18, 5.0, 0.06, 0.06)

    def __init__(self, parameters: EnergyParameters | None = None, rules: BoxRules | None = None) -> None:
        self.parameters, self.rules = parameters or EnergyParameters(), rules
        digest = hashlib.sha256(repr((_REVISION, astuple(self.parameters))).encode()).hexdigest()
        self.strengths = f"{_REVISION}-{digest[:8]}"
        self.model_run = ModelRun(NAME, version(self.strengths, rules))

    def detect(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[Detection]]:
        """See `Detector.detect`. Raises InputError for a sample rate that cannot hold the call band."""
        return [list(self._detect(samples, sample_rate)) for samples, sample_rate in recordings]

    def frames(self, samples: Samples, sample_rate: int) -> Frames:
        """What was heard every 10 ms: how much of each moment is made of lasting narrow lines, in dB summed over 25-Hz bins."""
        lines, hz = lasting_lines(mono(samples), sample_rate, self.parameters)
        strength = np.convolve(lines.sum(axis=1), np.full(5, 0.2, np.float32))[2:-2] if len(lines) else np.zeros(0, np.float32)
        hop_s = round(self.parameters.hop_s * sample_rate) / sample_rate
        return Frames(strength, hop_s, len(samples) / sample_rate, shape_of(lines, hz))

    def _detect(self, samples: Samples, sample_rate: int) -> Iterator[Detection]:
        frames = self.frames(samples, sample_rate)
        if self.rules is not None:
            for event, chance in self.rules.boxes(frames):
                yield Detection(event, CALL, chance, self.model_run)
            return
        rules = replace(self.parameters, hop_s=frames.hop_s)
        found = events(frames.strength, rules)
        for (first, last), event in zip(found, placed(found, rules, frames.length_s), strict=True):
            mean = float(frames.strength[first : last + 1].mean())
            yield Detection(event, CALL, round(mean / (mean + self.parameters.half_confidence), 4), self.model_run)


def lasting_lines(samples: Samples, sample_rate: int, parameters: EnergyParameters) -> tuple[Levels, npt.NDArray[np.floating]]:
    """How far lasting narrow lines stand out in each frame, in dB, shape (frames, bins), and the bins' frequencies in Hz.

    Frame i is centred on i * hop. `samples` has shape (frames,). Raises InputError for a sample rate below 4 times `low_hz`.
    """
    if sample_rate < 4 * parameters.low_hz:
        raise InputError(
            f"a sample rate of {sample_rate} Hz cannot hold calls; at least {4 * parameters.low_hz:.0f} Hz is needed"
        )
    window, hop = round(parameters.window_s * sample_rate), round(parameters.hop_s * sample_rate)
    bin_hz = sample_rate / window
    highest = min(parameters.high_hz, 0.45 * sample_rate)
    band = slice(round(parameters.low_hz / bin_hz), round(highest / bin_hz))
    hz = np.arange(band.start, band.stop) * bin_hz
    if len(samples) < window:
        return np.zeros((0, len(hz)), np.float32), hz
    level = _decibels(_power(samples, window, hop, band), _QUANTISATION)
    level = np.maximum(level - _median(level.T), -parameters.line_db, dtype=np.float32)  # a silence has no shape
    level -= _neighbourhood(level, round(parameters.neighbourhood_hz / bin_hz))
    lines = _lasting(level, parameters.half_frames)
    return np.clip(lines - parameters.line_db, 0, parameters.ceiling_db), hz


def _power(samples: Samples, window: int, hop: int, band: slice) -> Levels:
    """Power of the bins in `band`, the recording mirrored at its ends."""
    whole = np.where(np.abs(samples) < _LOUDEST, samples, np.float32(0))  # not for NaN either
    frames = sliding_window_view(np.pad(whole, window // 2, mode="reflect"), window)[::hop]
    hann = np.hanning(window + 1)[:-1].astype(np.float32)
    power = np.empty((len(frames), band.stop - band.start), np.float32)
    for first in range(0, len(frames), _CHUNK):
        spectrum = fft.rfft(frames[first : first + _CHUNK] * hann)[:, band]
        power[first : first + _CHUNK] = np.square(spectrum.real) + np.square(spectrum.imag)
    power /= np.square(hann).sum()
    return power


def _neighbourhood(level: Levels, bins: int) -> Levels:
    """The median over about `bins` neighbouring bins of each frame: medians of half-overlapping blocks, joined by lines."""
    count = level.shape[1]
    medians = _median(sliding_window_view(level, min(bins, count), axis=1)[:, :: max(bins // 2, 1)])
    blocks = medians.shape[1]
    place = np.clip((np.arange(count) + 0.5) * blocks / count - 0.5, 0, blocks - 1)
    left = place.astype(int)
    share = (place - left).astype(np.float32)
    right = np.minimum(left + 1, blocks - 1)
    joined: Levels = (1 - share) * medians[:, left] + share * medians[:, right]
    return joined


def _lasting(level: Levels, half: int) -> Levels:
    """The lower of the mean levels over the `half` frames up to each moment and the `half` after it.

    Each mean may lie one bin off, since calls glide.
    """
    count = len(level)
    power = np.pad(np.power(np.float32(10), level / 10), ((half - 1, half), (0, 0)))
    mean = power[: count + half] / half
    for first in range(1, half):
        mean += power[first : first + count + half] / half
    widest = mean.copy()
    np.maximum(widest[:, 1:], mean[:, :-1], out=widest[:, 1:])
    np.maximum(widest[:, :-1], mean[:, 1:], out=widest[:, :-1])
    return _decibels(np.minimum(widest[:count], widest[half:]), 1e-6)


def _decibels(power: Levels, floor: float) -> Levels:
    decibels: Levels = np.float32(10) * np.log10(power + np.float32(floor))
    return decibels


def _median(values: Levels) -> Levels:
    """Over the last axis; of an even number of values the lower of the two in the middle."""
    middle = (values.shape[-1] - 1) // 2
    median: Levels = np.partition(values, middle, axis=-1)[..., middle]
    return median


def load(weights: str, *, threshold: str = "", rules: str = FIXED) -> EnergyDetector:
    """The detector with its fixed rules, learned ones, or those at a URI; `threshold` in the words of `least_probability`.

    Raises InputError for weights, which it does not take, and for a threshold without learned rules.
    """
    if weights:
        raise InputError(f"the {NAME} detector takes no weights")
    learned = rules_for(NAME, EnergyDetector().strengths, rules, threshold)
    if learned is None and threshold:
        raise InputError(f"{NAME}: threshold needs learned rules, whose confidence is a probability")
    return EnergyDetector(rules=learned)
