"""The detector that ships with the project: a small convolutional network over a whitened spectrogram.

It is trained by `podcast train`; what on, how well it does and what it is not good for: docs/models/starter.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from detectors.events import EventRules, Strength, events, placed
from detectors.frames import Frames, shape_of
from detectors.rules import FIXED, LEARNED, BoxRules, Cut, rules_for, version
from detectors.weights import fill, read_weights
from podcast.audio import Samples, Wave, mono
from podcast.errors import InputError
from podcast.model import CALL, Detection, ModelRun

NAME = "starter"
SHIPPED = Path(__file__).parent / "starter.safetensors"
RATE = 22_050
"""Hz, at which the network listens."""
LOW_HZ, BANDS, BINS = 300.0, 96, 4
WINDOW, HOP, STRIDE = round(0.04 * RATE), round(0.02 * RATE), 2
LOWEST_RATE = 4000
QUANTISATION = 1e-10
STANDS_OUT = 1.0
"""From which level, in units of 10 dB, a band counts as more than background."""
REVISION = 1
"""Raised whenever this module gives other detections for the same weights."""


class StarterNet(nn.Module):
    """(batch, 2, frames, 96 bands) of whitened levels to (batch, frames // 2) logits, one every 40 ms."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 16, (3, 5), (1, 2), (1, 2)), nn.BatchNorm2d(16), nn.ReLU(),
            *_block(16, 24, (STRIDE, 2)), *_block(24, 32, (1, 2)), *_block(32, 48, (1, 2)),
        )  # fmt: skip
        width = 48 * BANDS // 16
        self.over_time = nn.Sequential(
            nn.Conv1d(width, 64, 5, padding=2), nn.BatchNorm1d(64), nn.ReLU(),
            nn.Dropout(0.3),
            nn.Conv1d(64, 64, 5, padding=6, dilation=3), nn.BatchNorm1d(64), nn.ReLU(),
            nn.Conv1d(64, 1, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        x = self.layers(x)
        x = x.permute(0, 1, 3, 2).flatten(1, 2)
        logits: Tensor = self.over_time(x)[:, 0]
        return logits


def _block(channels_in: int, channels_out: int, pool: tuple[int, int]) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
    return conv, nn.BatchNorm2d(channels_out), nn.ReLU(), nn.MaxPool2d(pool)


class Starter:
    """The `Detector` of this module. Without `rules`, `threshold` is what the strongest frame of a box must reach."""

    fixed_cut: ClassVar[Cut] = Cut(0.3, 0.15, 0.4, 0.15, 0.18, 5.0, 0.02, 0.02)

    def __init__(self, network: StarterNet, weights_digest: str, threshold: float = 0.3, rules: BoxRules | None = None) -> None:
        if not 0 < threshold <= 1:
            raise InputError(f"threshold must lie above 0 and up to 1, not {threshold}")
        self.network, self.threshold, self.rules = _folded(network), threshold, rules
        self.strengths = strengths_of(weights_digest)
        self.model_run = ModelRun(NAME, version(self.strengths, rules) if rules else f"{self.strengths}-{threshold:g}")

    def detect(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[Detection]]:
        """See `Detector.detect`. Raises InputError for a sample rate that cannot hold the call band."""
        return [list(self._detect(samples, sample_rate)) for samples, sample_rate in recordings]

    def _detect(self, samples: Samples, sample_rate: int) -> Iterator[Detection]:
        frames = self.frames(samples, sample_rate)
        if self.rules is not None:
            for event, chance in self.rules.boxes(frames):
                yield Detection(event, CALL, chance, self.model_run)
            return
        rules = EventRules(self.threshold, self.threshold / 2, 0.4, frames.hop_s, margin_s=frames.hop_s / 2)
        found = events(frames.strength, rules)
        for (first, last), event in zip(found, placed(found, rules, frames.length_s), strict=True):
            yield Detection(event, CALL, round(float(frames.strength[first : last + 1].max()), 4), self.model_run)

    def confidences(self, samples: Samples, sample_rate: int) -> Strength:
        """The confidence of every 40 ms of one recording, shape (steps,); step i is centred on (i + 0.25) * 40 ms."""
        return self.frames(samples, sample_rate).strength

    @torch.inference_mode()
    def frames(self, samples: Samples, sample_rate: int) -> Frames:
        """The same with what stands out of the background in each of the 96 bands."""
        if sample_rate < LOWEST_RATE:
            raise InputError(f"a sample rate of {sample_rate} Hz cannot hold calls; at least {LOWEST_RATE} Hz is needed")
        levels = whitened(torch.from_numpy(at_own_rate(samples, sample_rate)))
        hop_s, length_s = STRIDE * HOP / RATE, len(samples) / sample_rate
        if levels.shape[1] < STRIDE:
            return Frames(np.zeros(0, np.float32), hop_s, length_s)
        inputs = levels[None].contiguous(memory_format=torch.channels_last)
        strength = torch.sigmoid(self.network(inputs))[0].numpy()
        lines = levels[1, : STRIDE * len(strength) : STRIDE].sub(STANDS_OUT).clamp(min=0).numpy()
        return Frames(strength, hop_s, length_s, shape_of(lines, LOW_HZ + 100 * (np.arange(BANDS) + 0.5)))


def at_own_rate(samples: Samples, sample_rate: int) -> Wave:
    """Samples of shape (frames, channels) at any rate in Hz to mono at `RATE`, shape (frames,)."""
    divisor = int(np.gcd(sample_rate, RATE))
    wave: Wave = resample_poly(mono(samples), RATE // divisor, sample_rate // divisor).astype(np.float32)
    return wave


def whitened(wave: Tensor) -> Tensor:
    """Samples at `RATE`, shape (frames,), to levels above the background in units of 10 dB, shape (2, spectra, 96).

    There is a spectrum every 20 ms. A band is 100 Hz wide, four bins: the first channel is their mean, the second their maximum,
    in which a thin line stands out.
    The background of a bin is its median over the recording, which makes steady noise and every recorder's own colour vanish.
    """
    if len(wave) < WINDOW:
        return torch.zeros(2, 0, BANDS)
    hann = torch.hann_window(WINDOW)
    wave = torch.nan_to_num(wave, posinf=0.0, neginf=0.0)
    spectrum = torch.stft(wave, WINDOW, HOP, window=hann, return_complex=True)
    first = round(LOW_HZ * WINDOW / RATE)
    spectrum = spectrum[first : first + BANDS * BINS].T
    power = torch.view_as_real(spectrum).square().sum(dim=2) / hann.square().sum() + QUANTISATION
    power = power / power.median(dim=0).values
    power = power.reshape(-1, BANDS, BINS)
    return torch.log10(torch.stack([power.mean(dim=2), power.amax(dim=2)])).clamp(-1.0, 4.0)


def _folded(network: StarterNet) -> StarterNet:
    """A copy for inference: batch norms folded into the convolutions, channels last, which halves its time."""
    copy = StarterNet()
    copy.load_state_dict(network.state_dict())
    copy.eval()
    for sequence in (copy.layers, copy.over_time):
        for i, (layer, norm) in enumerate(pairwise(list(sequence))):
            if isinstance(layer, nn.Conv1d | nn.Conv2d) and isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                sequence[i], sequence[i + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    for parameter in copy.layers.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return copy.requires_grad_(requires_grad=False)


def strengths_of(weights_digest: str) -> str:
    """The version of the frames that weights with this SHA-256 make."""
    return f"{REVISION}-{weights_digest[:12]}"


def load(weights: str, *, threshold: str = "", rules: str = "") -> Starter:
    """The detector with the weights that ship with it, or those at a URI. Raises InputError for weights that do not fit.

    Its own weights come with learned rules, others need rules of their own. `threshold` is the least confidence of a box, in the
    words of `least_probability`.
    """
    state, digest = read_weights(weights or str(SHIPPED))
    network = StarterNet()
    fill(network, state, weights or str(SHIPPED))
    learned = rules_for(NAME, strengths_of(digest), rules or (FIXED if weights else LEARNED), threshold)
    try:
        return Starter(network, digest, float(threshold or 0.3) if learned is None else 0.3, learned)
    except ValueError as error:
        raise InputError(f"{NAME}: {error}") from error
