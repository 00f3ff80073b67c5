"""Training of `starter`: sounds in, a run folder out. The same seed gives the same weights on the same machine.

Data is split by session, the recording that a sound was cut from, never by file: two cuts of one tape in both halves measure the
recorder and not the whale.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from detectors.sounds import RATE, Clip, Wave, mix
from detectors.starter import HOP, STRIDE, StarterNet, whitened
from podcast.errors import InputError
from podcast.scoring import average_precision

EXAMPLE_S = 10.0
WEIGHTS, STATE, CONFIG, CURVES = "starter.safetensors", "state.pt", "config.json", "curves.json"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A recording in which every call is marked, at `RATE`; spans are start and end in seconds."""

    wave: Wave
    spans: tuple[tuple[float, float], ...]
    session: str


@dataclass(frozen=True, slots=True)
class Sounds:
    """What a network is trained on, or tested on."""

    calls: tuple[Clip, ...] = ()
    others: tuple[Clip, ...] = ()
    backgrounds: tuple[Clip, ...] = ()
    labelled: tuple[Labelled, ...] = ()

    def sessions(self) -> set[str]:
        """The recordings that hold calls."""
        return {clip.session for clip in self.calls} | {recording.session for recording in self.labelled}

    def split(self, held_out: set[str]) -> tuple[Sounds, Sounds]:
        """Everything not from the held-out sessions, and what is from them."""

        def half(*, wanted: bool) -> Sounds:
            calls, others, backgrounds = (
                tuple(clip for clip in clips if (clip.session in held_out) is wanted)
                for clips in (self.calls, self.others, self.backgrounds)
            )
            labelled = tuple(recording for recording in self.labelled if (recording.session in held_out) is wanted)
            return Sounds(calls, others, backgrounds, labelled)

        return half(wanted=False), half(wanted=True)


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """All that decides the weights beside the sounds.

    Nothing is learned from the recordings `held_out`, which are for tests, nor from those in `validate`, which decide when to
    stop: the best epoch on `checks` examples of them is kept, and `patience` epochs without a better one end the run. Without
    any to validate on, all epochs are run and the last is kept: to choose by the test's recordings would flatter the test.
    """

    seed: int = 0
    epochs: int = 13
    steps: int = 55
    batch: int = 12
    learning_rate: float = 3e-3
    patience: int = 6
    checks: int = 60
    held_out: tuple[str, ...] = ()
    validate: tuple[str, ...] = ()


def train(
    sounds: Sounds,
    options: TrainingOptions,
    run: Path,
    *,
    start: dict[str, Tensor] | None = None,
    progress: Callable[[int, float, float], None] = lambda *_: None,
) -> StarterNet:
    """Train, or go on with the run in the folder `run`; gives the network that was kept.

    `start` are weights to begin from. `progress` is told the epoch, its loss and the average precision over frames, of the
    recordings to validate on or else of new mixes of those that are learned from. Raises InputError if nothing is left to
    train on or the folder holds a run with other options.
    """
    kept, checked = sounds.split(set(options.held_out))[0].split(set(options.validate))
    if not kept.sessions():
        raise InputError("no call is left to train on; hold out fewer sessions")
    torch.manual_seed(options.seed)
    network = StarterNet()
    if start:
        network.load_state_dict(start)
    optimizer = torch.optim.AdamW(network.parameters(), options.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, options.epochs * options.steps)
    curves = _resume(run, options, network, optimizer, schedule)
    examples = [
        _example(np.random.default_rng([options.seed, 1, i]), checked if options.validate else kept)
        for i in range(options.checks)
    ]
    for epoch in range(len(curves), options.epochs):
        if options.validate and _epochs_without_gain(curves) >= options.patience:
            break
        losses = []
        network.train()
        for step in range(options.steps):
            rng = np.random.default_rng([options.seed, 0, epoch, step])
            torch.manual_seed(options.seed * 1_000_003 + epoch * options.steps + step)
            levels, targets = (
                torch.stack(part) for part in zip(*(_example(rng, kept) for _ in range(options.batch)), strict=True)
            )
            loss = _loss(network(_masked(rng, levels)), targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        precision = _precision(network, examples)
        curves.append({"epoch": epoch, "loss": float(np.mean(losses)), "precision": precision})
        if not options.validate or _epochs_without_gain(curves) == 0:
            save_file(network.state_dict(), run / WEIGHTS)
        _save(run, network, optimizer, schedule, curves)
        progress(epoch, curves[-1]["loss"], precision)
    network.load_state_dict(load_file(run / WEIGHTS))
    return network.eval()


def _epochs_without_gain(curves: Sequence[dict[str, float]]) -> int:
    precisions = [curve["precision"] for curve in curves]
    return len(precisions) - 1 - int(np.argmax(precisions)) if precisions else 0


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with calls, a tenth of all frames, weighing three times; frames beside a call's edge (-1) do not count."""
    weight = torch.where(targets > 0.5, 3.0, 1.0) * (targets >= 0)
    loss = functional.binary_cross_entropy_with_logits(logits, targets.clamp(min=0), weight, reduction="sum")
    return loss / weight.sum()


def _example(rng: np.random.Generator, sounds: Sounds) -> tuple[Tensor, Tensor]:
    """Levels (2, spectra, 96) and the target of every 40 ms: 1 in a call, 0 outside, -1 within 60 ms of an edge."""
    if sounds.labelled and (not sounds.calls or rng.random() < 0.5):
        wave, spans = _cut(rng, sounds.labelled[int(rng.integers(len(sounds.labelled)))])
    else:
        wave, spans = mix(rng, EXAMPLE_S, sounds.calls, sounds.others, sounds.backgrounds, most_calls=4)
    levels = whitened(torch.from_numpy(wave.astype(np.float32)))
    times = (np.arange(levels.shape[1] // STRIDE) * STRIDE + 0.5) * HOP / RATE
    target = np.zeros(len(times), np.float32)
    for start, end in spans:
        target[(times > start - 0.06) & (times < end + 0.06)] = -1
    for start, end in spans:
        target[(times > start + 0.06) & (times < end - 0.06)] = 1
    return levels, torch.from_numpy(target)


def _cut(rng: np.random.Generator, recording: Labelled) -> tuple[Wave, list[tuple[float, float]]]:
    frames = round(EXAMPLE_S * RATE)
    wave = np.pad(recording.wave, (0, max(0, frames - len(recording.wave))), mode="reflect")
    first = int(rng.integers(len(wave) - frames + 1))
    offset = first / RATE
    return wave[first : first + frames], [
        (a - offset, b - offset) for a, b in recording.spans if b > offset and a < offset + EXAMPLE_S
    ]


def _masked(rng: np.random.Generator, levels: Tensor) -> Tensor:
    """SpecAugment (Park et al. 2019): some bands and some moments of each example are set to the background's level."""
    levels = levels * float(rng.uniform(0.8, 1.2))
    for example in levels:
        band, moment = int(rng.integers(levels.shape[3] - 12)), int(rng.integers(levels.shape[2] - 10))
        example[:, :, band : band + int(rng.integers(12))] = 0
        example[:, moment : moment + int(rng.integers(10))] = 0
    return levels


@torch.inference_mode()
def _precision(network: StarterNet, examples: Sequence[tuple[Tensor, Tensor]]) -> float:
    network.eval()
    logits = torch.cat([network(levels[None])[0] for levels, _ in examples])
    targets = torch.cat([target for _, target in examples])
    counted = targets >= 0
    return average_precision((targets[counted] > 0.5).numpy(), logits[counted].double().numpy()) or 0.0


def _resume(
    run: Path,
    options: TrainingOptions,
    network: StarterNet,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> list[dict[str, float]]:
    run.mkdir(parents=True, exist_ok=True)
    config = json.dumps(asdict(options), indent=1)
    if not (run / CONFIG).exists():
        (run / CONFIG).write_text(config)
    elif json.loads((run / CONFIG).read_text()) != json.loads(config):
        raise InputError(f"{run / CONFIG}: this folder holds a run with other options; name another folder")
    if not (run / STATE).exists():
        return []
    state = torch.load(run / STATE, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    curves: list[dict[str, float]] = state["curves"]
    return curves


def _save(
    run: Path,
    network: StarterNet,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    curves: list[dict[str, float]],
) -> None:
    (run / CURVES).write_text(json.dumps(curves, indent=1))
    partial = run / f"{STATE}.partial"
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
    torch.save({**state, "curves": curves}, partial)
    partial.replace(run / STATE)
