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

import numpy as np
import torch
from torch.nn import functional

from detectors.events import EventRules, Strength, events, placed
from podcast.audio import Samples, mono
from podcast.errors import InputError
from podcast.model import CALL, Detection, ModelRun

_REVISION = 1  # raised whenever the code below gives other detections for the same parameters
_QUANTISATION = 1e-10  # about the variance of 16-bit rounding noise, full scale 1: quieter than this is silence


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
    """The `Detector` of this module; holds nothing but its parameters."""

    def __init__(self, parameters: EnergyParameters | None = None) -> None:
        self.parameters = parameters or EnergyParameters()
        digest = hashlib.sha256(repr((_REVISION, astuple(self.parameters))).encode()).hexdigest()
        self.model_run = ModelRun("energy", f"{_REVISION}-{digest[:8]}")

    def detect(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[Detection]]:
        """See `Detector.detect`. Raises InputError for a sample rate that cannot hold the call band."""
        return [list(self._detect(samples, sample_rate)) for samples, sample_rate in recordings]

    def _detect(self, samples: Samples, sample_rate: int) -> Iterator[Detection]:
        strength = line_strength(mono(samples), sample_rate, self.parameters)
        rules = replace(self.parameters, hop_s=round(self.parameters.hop_s * sample_rate) / sample_rate)
        found = events(strength, rules)
        for (first, last), event in zip(found, placed(found, rules, len(samples) / sample_rate), strict=True):
            mean = float(strength[first : last + 1].mean())
            yield Detection(event, CALL, round(mean / (mean + self.parameters.half_confidence), 4), self.model_run)


def line_strength(samples: Samples, sample_rate: int, parameters: EnergyParameters) -> Strength:
    """How much of each frame is made of lasting narrow lines, in dB summed over bins; frame i is centred on i * hop.

    `samples` has shape (frames,). Raises InputError for a sample rate below 4 times `low_hz`.
    """
    if sample_rate < 4 * parameters.low_hz:
        raise InputError(
            f"a sample rate of {sample_rate} Hz cannot hold calls; at least {4 * parameters.low_hz:.0f} Hz is needed"
        )
    window, hop = round(parameters.window_s * sample_rate), round(parameters.hop_s * sample_rate)
    if len(samples) < window:
        return np.zeros(0, np.float32)
    hann = torch.hann_window(window)
    wave = torch.nan_to_num(torch.from_numpy(samples), posinf=0.0, neginf=0.0)
    spectrum = torch.stft(wave, window, hop, window=hann, return_complex=True)
    bin_hz = sample_rate / window
    highest = min(parameters.high_hz, 0.45 * sample_rate)
    band = spectrum[round(parameters.low_hz / bin_hz) : round(highest / bin_hz)]
    level = 10 * torch.log10((band.real.square() + band.imag.square()) / hann.square().sum() + _QUANTISATION)
    level = (level - level.median(dim=1, keepdim=True).values).clamp(min=-parameters.line_db)  # a silence has no shape
    level -= _neighbourhood(level, round(parameters.neighbourhood_hz / bin_hz))
    lines = _lasting(level, parameters.half_frames)
    excess = (lines - parameters.line_db).clamp(0, parameters.ceiling_db).sum(dim=0)
    smooth: Strength = functional.avg_pool1d(excess[None], 5, 1, 2)[0].numpy()
    return smooth


def _neighbourhood(level: torch.Tensor, bins: int) -> torch.Tensor:
    """The median over about `bins` neighbouring bins of each frame: medians of half-overlapping blocks, joined by lines."""
    blocks = level.T.unfold(1, bins, max(bins // 2, 1)).median(dim=2).values
    return functional.interpolate(blocks[:, None], size=level.shape[0], mode="linear")[:, 0].T


def _lasting(level: torch.Tensor, half: int) -> torch.Tensor:
    """The lower of the mean levels over the `half` frames up to each moment and the `half` after it.

    Each mean may lie one bin off, since calls glide.
    """
    power = torch.pow(10.0, level / 10)
    before = functional.avg_pool1d(functional.pad(power, (half - 1, half)), half, 1)
    before = functional.max_pool1d(before.T, 3, 1, 1).T
    lower = torch.minimum(before[:, : level.shape[1]], before[:, half : half + level.shape[1]])
    return 10 * torch.log10(lower + 1e-6)
