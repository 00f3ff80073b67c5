"""orcahello-v1 against a baseline that follows the published steps one by one, interleaved in one run on the same weights.

The weights are random: speed does not depend on them. Prints ratios and the share of a large matrix product's rate,
each from the best of interleaved repeats, since other work may share the machine.
"""

from __future__ import annotations

import functools
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import resample_poly
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from detectors.fused import Network, for_inference
from detectors.orcahello_v1 import BATCH, FRAMES, MELS, OrcaHelloV1, best_precision
from detectors.resnet import OrcaHelloNet, folded
from podcast.audio import Samples

SECONDS, RATE, ROUNDS = 20, 48_000, 5
INPUT = (BATCH["cpu"], 1, MELS, FRAMES)


def baseline(network: OrcaHelloNet, samples: Samples, sample_rate: int) -> list[float]:
    """One WAV, one temporary WAV a window, one spectrogram at a time, batches of 8, float32, default layout, nothing folded."""
    confidences: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.wav"
        soundfile.write(whole, samples, sample_rate, subtype="PCM_16")
        wave, rate = soundfile.read(whole, dtype="float32", always_2d=True)
        mono = resample_poly(wave.mean(axis=1), 20_000 // 4000, rate // 4000)
        soundfile.write(whole, mono / np.abs(mono).max(), 20_000, subtype="PCM_16")
        length_s = soundfile.info(whole).duration
        inputs = []
        for start in range(0, int(length_s) - 2, 2):
            part = Path(folder) / f"{start}.wav"
            frames, _ = soundfile.read(whole, start=start * 20_000, frames=60_000, dtype="float32")
            soundfile.write(part, frames, 20_000, subtype="PCM_16")
            window, _ = soundfile.read(part, dtype="float32")
            mel = MelSpectrogram(16_000, n_fft=2560, hop_length=256, f_min=0.0, f_max=10_000.0, n_mels=256)
            level = AmplitudeToDB(top_db=100)(mel(torch.from_numpy(window)[None]))
            inputs.append(torch.nn.functional.pad(level, (0, 312 - level.shape[-1])))
        with torch.no_grad():
            for batch in torch.stack(inputs).split(8):  # type: ignore[no-untyped-call]
                confidences += torch.softmax(network(batch), dim=1)[:, 1].tolist()
    return confidences


def timed(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def report(name: str, value: float, bar: float, **more: object) -> None:
    """One JSON object on one line."""
    print(json.dumps({"name": name, "value": round(value, 3), "bar": bar, "holds": value >= bar, **more}))


def main() -> None:
    """Run all comparisons."""
    warnings.filterwarnings("ignore", "At least one mel filterbank")
    torch.manual_seed(0)
    samples = np.random.default_rng(0).normal(0, 0.1, (SECONDS * RATE, 1)).astype(np.float32)
    network = OrcaHelloNet().eval()
    best = best_precision(torch.device("cpu"))
    ours = {name: OrcaHelloV1(network, "random", precision=name) for name in dict.fromkeys(("fp32", best))}
    for detector in ours.values():
        detector.device = torch.device("cpu")
        detector.network = for_inference(network, detector.dtype, detector.device, INPUT)
        detector.confidences([(samples[: 8 * RATE], RATE)])
    naive: list[float] = []
    mine: dict[str, list[float]] = {name: [] for name in ours}
    for _ in range(ROUNDS):
        naive.append(timed(lambda: baseline(network, samples, RATE)))
        for name, detector in ours.items():
            mine[name].append(timed(functools.partial(detector.confidences, [(samples, RATE)])))
    for name, times in mine.items():
        ratio = min(naive) / min(times)
        bar = 3.0 if name == "bf16" else 1.4
        report(f"orcahello_v1_{name}_times_as_fast_as_baseline", ratio, bar, seconds_a_minute=round(min(times) * 60 / SECONDS, 2))
    for name, detector in ours.items():
        share(name, detector.dtype, detector.network, folded(network, detector.dtype))


def share(name: str, dtype: torch.dtype, network: Network, unfused: OrcaHelloNet) -> None:
    """How near the network pass comes to the rate of a 3072 x 3072 matrix product in the same type, fused and not.

    The product is the faster of torch's own and oneDNN's (which in float32 has twice the rate on some processors). The operations
    are counted on the unfused network, whose operators the counter knows.
    """
    inputs = torch.randn(INPUT).contiguous(memory_format=torch.channels_last)
    matrix = torch.randn(3072, 3072).to(dtype)
    image = matrix.view(1, 3072, 3072, 1).contiguous(memory_format=torch.channels_last)
    kernel = matrix.view(3072, 3072, 1, 1).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            unfused(inputs)
        products = (
            lambda: matrix @ matrix,
            lambda: functional.conv2d(image, kernel),
        )  # a 1x1 convolution is the product by oneDNN
        work = (*products, lambda: network(inputs), lambda: unfused(inputs))
        rounds = [[timed(one) for one in work] for _ in range(20)]
    own, onednn, ours, plain = (min(times) for times in zip(*rounds, strict=True))
    rate = counter.get_total_flops() / ours / (2 * 3072**3 / min(own, onednn))
    report(f"orcahello_v1_{name}_network_share_of_matrix_product_rate", rate, 0.75, unfused=round(rate * ours / plain, 3))


if __name__ == "__main__":
    main()
