"""The OrcaHello SRKW detector v1, exactly as published: front end, network and windows (docs/detectors.md, formats.md).

Windows of 3 s begin every 2 s, whole windows only. Those over the threshold that overlap become one box with their highest
confidence, which is where the published per-second answer is positive.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
import torchaudio.functional as audio_functional
from scipy.signal import resample_poly
from torch import Tensor
from torch.nn import functional

from detectors.frames import Frames
from detectors.fused import for_inference
from detectors.resnet import OrcaHelloNet
from detectors.rules import FIXED, BoxRules, Cut, rules_for, version
from detectors.weights import State, fill, from_hub, read_weights
from podcast.audio import Samples, mono
from podcast.errors import InputError
from podcast.model import CALL, Detection, ModelRun, SoundEvent
from podcast.overlap import joined

SAMPLE_RATE = 20_000
WINDOW_S, HOP_S = 3.0, 2.0
WINDOW, HOP = round(WINDOW_S * SAMPLE_RATE), round(HOP_S * SAMPLE_RATE)
N_FFT, FFT_HOP, MELS, FRAMES = 2560, 256, 256, 312
TOP_DB = 100.0
BATCH = {"cpu": 4, "cuda": 32}  # measured: on two cores 4 is 1.2 times as fast as 16
MINUTES: dict[str, Callable[[list[float]], bool]] = {
    "any": lambda _: True,
    "three": lambda windows: sum(confidence > 0.5 for confidence in windows) >= 3,
    "two": lambda windows: bool(windows) and float(np.mean(sorted(windows)[-2:])) >= 0.6,
}
"""What the windows of a session must be for it to have boxes at all: nothing more; the answer for a minute as it was published
first, at least three windows above 0.5; and its newer one, the mean of the two highest (of one, where there is no more)."""
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class OrcaHelloV1:
    """The `Detector` of this module.

    `weights_digest`, and the `commit` of the hub where they come from there, name the weights in the model's version.
    `precision` is fp32, bf16, or auto: bf16 where the processor (or CUDA device) has the instructions, else fp32. `threshold` is
    what a window's confidence must exceed to become a box, `minute` one of `MINUTES`.
    """

    fixed_cut: ClassVar[Cut] = Cut(0.5, 0.5, 0.0, 0.0, 0.0, 3600.0, WINDOW_S / 2, WINDOW_S / 2)

    def __init__(
        self,
        network: OrcaHelloNet,
        weights_digest: str,
        *,
        precision: str = "auto",
        threshold: float = 0.5,
        rules: BoxRules | None = None,
        minute: str = "any",
        commit: str = "",
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        name = best_precision(self.device) if precision == "auto" else precision
        if name not in PRECISIONS:
            raise InputError(f"precision must be one of auto, {', '.join(PRECISIONS)}, not {precision!r}")
        if not 0 <= threshold <= 1:
            raise InputError(f"threshold must lie between 0 and 1, not {threshold}")
        if minute not in MINUTES:
            raise InputError(f"minute must be one of {', '.join(MINUTES)}, not {minute!r}")
        self.dtype, self.threshold, self.has_calls = PRECISIONS[name], threshold, MINUTES[minute]
        self.network = for_inference(network, self.dtype, self.device, (BATCH[self.device.type], 1, MELS, FRAMES))
        self.rules, self.strengths = rules, strengths_of(weights_digest)
        plain = "-".join([*([commit[:12]] if commit else []), weights_digest[:12], name, *([minute] if minute != "any" else [])])
        self.model_run = ModelRun(NAME, version(plain, rules) if rules else f"{plain}-{threshold:g}")

    def detect(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[Detection]]:
        """See `Detector.detect`. A recording of less than 3 s has no window, and so no detection, as published."""
        if self.rules is None:
            return [list(self._boxes(windows)) for windows in self.confidences(recordings)]
        return [self._scored(self.rules, self.frames(samples, sample_rate)) for samples, sample_rate in recordings]

    def _scored(self, rules: BoxRules, frames: Frames) -> list[Detection]:
        found = rules.boxes(frames) if self.has_calls(frames.strength.tolist()) else []
        return [Detection(event, CALL, chance, self.model_run) for event, chance in found]

    def frames(self, samples: Samples, sample_rate: int) -> Frames:
        """The confidence of every window as a frame, centred on its middle; it tells nothing of frequencies."""
        [confidences] = self.confidences([(samples, sample_rate)])
        return Frames(np.array(confidences, np.float32), HOP_S, len(samples) / sample_rate, first_s=WINDOW_S / 2)

    def confidences(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[float]]:
        """The confidence of every window of each recording; window i begins at 2 * i seconds."""
        return [self._windows(cut_windows(prepare(samples, sample_rate))) for samples, sample_rate in recordings]

    def _windows(self, windows: Tensor) -> list[float]:
        # Batches never mix recordings: the last digits depend on what shares a batch, and an answer must not.
        size = BATCH[self.device.type]
        batches = (windows[i : i + size] for i in range(0, len(windows), size))
        return [confidence for batch in batches for confidence in self._confidence(spectrograms(batch))]

    @torch.inference_mode()
    def _confidence(self, inputs: Tensor) -> list[float]:
        inputs = inputs.to(self.device).contiguous(memory_format=torch.channels_last)
        confidences: list[float] = functional.softmax(self.network(inputs), dim=1)[:, 1].tolist()
        return confidences

    def _boxes(self, confidences: list[float]) -> Iterator[Detection]:
        if not self.has_calls(confidences):
            return
        windows = [
            (HOP_S * i, HOP_S * i + WINDOW_S, confidence)
            for i, confidence in enumerate(confidences)
            if confidence > self.threshold
        ]
        for start_s, end_s, confidence in joined(windows):
            yield Detection(SoundEvent(start_s, end_s), CALL, round(confidence, 4), self.model_run)


def best_precision(device: torch.device) -> str:
    """bf16 if the device multiplies it natively, else fp32."""
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"


def prepare(samples: Samples, sample_rate: int) -> Tensor:
    """(frames, channels) to mono at 20 kHz, peak at 1, at 16 bits as the published code writes it: shape (frames,).

    libsndfile rounds down; rounding to the nearest would differ by more than 0.05 dB in 6 of 10,000 cells.
    """
    wave = mono(samples).astype(np.float32)
    if sample_rate != SAMPLE_RATE:
        divisor = int(np.gcd(sample_rate, SAMPLE_RATE))
        wave = resample_poly(wave, SAMPLE_RATE // divisor, sample_rate // divisor).astype(np.float32)
    peak = float(np.abs(wave).max(initial=0.0))
    if peak > 0:
        wave = wave / peak
    return torch.from_numpy(np.floor(wave * 32768).clip(-32768, 32767).astype(np.float32) / 32768)


def cut_windows(wave: Tensor) -> Tensor:
    """All whole windows, shape (windows, 60000)."""
    return wave.unfold(0, WINDOW, HOP) if len(wave) >= WINDOW else wave.new_zeros(0, WINDOW)


@functools.cache
def _mel_filters() -> Tensor:
    """(1281 bins, 256 mels), built for 16 kHz although the audio is at 20 kHz: the weights were trained with this mistake."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "At least one mel filterbank")  # the mistake leaves those above 8 kHz empty
        filters: Tensor = audio_functional.melscale_fbanks(N_FFT // 2 + 1, 0.0, 10_000.0, MELS, 16_000)
    return filters


def spectrograms(windows: Tensor) -> Tensor:
    """(windows, 60000) samples to (windows, 1, 256 mels, 312 frames) decibels.

    Each window keeps its own reflected borders and its own floor 100 dB below its maximum. A shared pass over the session is not
    possible: windows begin 156.25 hops apart, so their frames do not coincide.
    """
    hann = torch.hann_window(N_FFT)
    power = torch.stft(windows, N_FFT, FFT_HOP, window=hann, return_complex=True).abs().square()
    level = 10 * torch.log10((_mel_filters().T @ power).clamp(min=1e-10))
    floor = level.amax(dim=(1, 2), keepdim=True) - TOP_DB
    return functional.pad(torch.maximum(level, floor), (0, FRAMES - level.shape[2]))[:, None]


NAME = "orcahello-v1"
REPOSITORY, FILE = "orcasound/orcahello-srkw-detector-v1", "model.safetensors"


def strengths_of(weights_digest: str) -> str:
    """The version of the confidences that weights with this SHA-256 give, at either precision."""
    return weights_digest[:12]


def load(weights: str, *, precision: str = "auto", threshold: str = "", rules: str = FIXED, minute: str = "any") -> OrcaHelloV1:
    """The detector with the weights of the hub, at its current commit or `hub@COMMIT`, or of a file: any storage URI,
    safetensors or a `.pt` state dict.

    Raises InputError for weights that do not fit, ServiceError where the hub is to be asked and cannot be.
    """
    state, digest, commit = read_own_weights(weights)
    network = OrcaHelloNet()
    fill(network, state, weights or NAME)
    learned = rules_for(NAME, strengths_of(digest), rules, threshold)
    try:
        own = float(threshold or 0.5) if learned is None else 0.5
        return OrcaHelloV1(network, digest, precision=precision, threshold=own, rules=learned, minute=minute, commit=commit)
    except ValueError as error:
        raise InputError(f"{NAME}: {error}") from error


def read_own_weights(weights: str) -> tuple[State, str, str]:
    """The state dict, the SHA-256 of its file, and the commit of the hub that it is of, empty for a file; see `from_hub`."""
    place, commit = place_of(weights)
    return *read_weights(place), commit


def place_of(weights: str) -> tuple[str, str]:
    """Where the file of the weights that `load` takes lies, a URI, and the commit of the hub that it is of, empty for a file."""
    if weights and not weights.startswith("hub@"):
        return weights, ""
    return from_hub(REPOSITORY, FILE, weights.removeprefix("hub@") if weights else None)
