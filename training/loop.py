"""Training of a network: sounds in, a run folder out. The same seed gives the same weights on the same machine.

Data is split by session, the recording that a sound was cut from, never by file: two cuts of one tape in both halves measure the
recorder and not the whale.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from detectors.model_folder import CONFIG, WEIGHTS
from evaluation.scoring import average_precision
from evaluation.tables import Labelled
from podcast import storage
from podcast.audio import Wave
from podcast.errors import InputError
from podcast.overlap import Stretch, touches
from podcast.reading import parse_json
from podcast.times import parse_session_name
from training.scratch import OnDisk
from training.sounds import Clip
from training.state import Curves, read_state, write_state

OPTIONS, CURVES = "options.json", "curves.json"
DELETED = "deleted prediction"
"""In place of what made a sound, where people said no more than that it is no call."""
Spans = Sequence[tuple[float, float]]
"""Start and end of each call in seconds."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording in which every call is marked, mono, at the rate of `starter`; `wave` may lie on the disk.

    What lies on something `unsure` is neither call nor background. `deleted` are a model's boxes that people deleted.
    """

    wave: Wave | OnDisk
    labelled: Labelled
    unsure: tuple[Stretch, ...] = ()
    deleted: tuple[Stretch, ...] = ()

    @property
    def session(self) -> str:
        """The parent recording, by which data is split."""
        return parse_session_name(self.labelled.name).parent

    @property
    def spans(self) -> Spans:
        """Start and end of each call in seconds."""
        return [(span.start_s, span.end_s) for span in self.labelled.spans if span.duration_s > 0]

    @property
    def others(self) -> list[tuple[str, Stretch]]:
        """Negatives: label and stretch of each sound that people named and each box that they deleted, if no call overlaps it."""
        calls = [span for span in self.labelled.spans if span.duration_s > 0]
        found = [*self.labelled.sounds, *((DELETED, stretch) for stretch in self.deleted)]
        return [(label, stretch) for label, stretch in found if stretch.start_s < stretch.end_s and not touches(stretch, calls)]


@dataclass(frozen=True, slots=True)
class Sounds:
    """What a network is trained on, or tested on."""

    calls: tuple[Clip, ...] = ()
    others: tuple[Clip, ...] = ()
    backgrounds: tuple[Clip, ...] = ()
    labelled: tuple[Recorded, ...] = ()

    def sessions(self) -> set[str]:
        """The recordings that hold calls."""
        return {clip.session for clip in self.calls} | {recording.session for recording in self.labelled}

    def negatives(self) -> Counter[str]:
        """How many sounds that people said are no calls there are, by what made them."""
        clips = {id(clip): clip.source for clip in self.others if clip.source}  # one may be there several times, to weigh more
        return Counter([*clips.values(), *(label for recording in self.labelled for label, _ in recording.others)])

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
class Recipe:
    """How one detector learns.

    `network` builds it with the weights to begin from, whose SHA-256 is `start`, or with random ones; `begins` is the detector
    with these weights, as `load_detector` takes it. `example` makes inputs with
    their targets (1 a call, 0 none, -1 neither), `augmented` changes a batch of inputs, and `logits` runs the network on a batch,
    with one logit a target. The submodules `frozen` do not learn. `batch`, `checks` and `learning_rate` suit it.
    """

    name: str
    network: Callable[[], nn.Module]
    example: Callable[[np.random.Generator, Sounds], tuple[Tensor, Tensor]]
    augmented: Callable[[np.random.Generator, Tensor], Tensor]
    logits: Callable[[nn.Module, Tensor], Tensor]
    frozen: tuple[str, ...] = ()
    start: str = ""
    begins: str = ""
    call_weight: float = 3.0
    batch: int = 12
    checks: int = 60
    learning_rate: float = 3e-3


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
    recipe: Recipe,
    sounds: Sounds,
    options: TrainingOptions,
    run: Path,
    about: Mapping[str, Any] | None = None,
    *,
    progress: Callable[[int, float, float], None] = lambda *_: None,
) -> nn.Module:
    """Train, or go on with the run in the folder `run`; gives the network that was kept. `about` says what is learned from.

    `progress` is told the epoch, its loss and the average precision over frames (or windows), of the recordings to validate on or
    else of new mixes of those that are learned from. Raises InputError if nothing is left to train on, the weights to begin from
    do not fit, or the folder holds a run with other options or of other sounds.
    """
    kept, checked = sounds.split(set(options.held_out))[0].split(set(options.validate))
    if not kept.sessions():
        raise InputError("no call is left to train on; hold out fewer sessions")
    torch.manual_seed(options.seed)
    network = recipe.network()
    for name in recipe.frozen:
        network.get_submodule(name).requires_grad_(requires_grad=False)
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, options.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, options.epochs * options.steps)
    _claim(run, recipe, options, about or {})
    curves = read_state(run, network, optimizer, schedule)
    examples = [
        recipe.example(np.random.default_rng([options.seed, 1, i]), checked if options.validate else kept)
        for i in range(options.checks)
    ]
    for epoch in range(len(curves), options.epochs):
        if options.validate and _epochs_without_gain(curves) >= options.patience:
            break
        losses = []
        _learning(network, recipe.frozen)
        for step in range(options.steps):
            rng = np.random.default_rng([options.seed, 0, epoch, step])
            torch.manual_seed(options.seed * 1_000_003 + epoch * options.steps + step)
            inputs, targets = (
                torch.stack(part) for part in zip(*(recipe.example(rng, kept) for _ in range(options.batch)), strict=True)
            )
            loss = _loss(recipe.logits(network, recipe.augmented(rng, inputs)), targets, recipe.call_weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        precision = _precision(recipe, network, examples)
        curves.append({"epoch": epoch, "loss": float(np.mean(losses)), "precision": precision})
        if not options.validate or _epochs_without_gain(curves) == 0:
            storage.write(str(run / WEIGHTS), save(network.state_dict()))
        storage.write(str(run / CURVES), json.dumps(curves, indent=1).encode())
        write_state(run, network, optimizer, schedule, curves)
        progress(epoch, curves[-1]["loss"], precision)
    network.load_state_dict(load_file(run / WEIGHTS))
    return network.eval()


def _epochs_without_gain(curves: Curves) -> int:
    precisions = [curve["precision"] for curve in curves]
    return len(precisions) - 1 - int(np.argmax(precisions)) if precisions else 0


def _loss(logits: Tensor, targets: Tensor, call_weight: float) -> Tensor:
    """Cross-entropy in which a call weighs `call_weight` times; what is neither call nor background (-1) does not count."""
    weight = torch.where(targets > 0.5, call_weight, 1.0) * (targets >= 0)
    loss = functional.binary_cross_entropy_with_logits(logits, targets.clamp(min=0), weight, reduction="sum")
    return loss / weight.sum().clamp(min=1)


def _learning(network: nn.Module, frozen: Sequence[str]) -> None:
    """Training mode, but for the frozen parts: their batch norms keep the published statistics too."""
    network.train()
    for name in frozen:
        network.get_submodule(name).eval()


@torch.inference_mode()
def _precision(recipe: Recipe, network: nn.Module, examples: Sequence[tuple[Tensor, Tensor]]) -> float:
    network.eval()
    logits = torch.cat([recipe.logits(network, inputs[None])[0] for inputs, _ in examples])
    targets = torch.cat([target for _, target in examples])
    counted = targets >= 0
    return average_precision((targets[counted] > 0.5).numpy(), logits[counted].double().numpy()) or 0.0


def _claim(run: Path, recipe: Recipe, options: TrainingOptions, about: Mapping[str, Any]) -> None:
    """Write what is trained, how and on what into the folder, or find the same there."""
    run.mkdir(parents=True, exist_ok=True)
    what = {"detector": recipe.name, "start": recipe.start, "frozen": recipe.frozen, **asdict(options), "about": dict(about)}
    config = json.dumps(what, indent=1)
    if not (run / OPTIONS).exists():
        if (run / CONFIG).exists():
            raise InputError(f"{run / CONFIG}: another recipe or an earlier version wrote this folder; name another folder")
        storage.write(str(run / OPTIONS), config.encode())
    elif parse_json((run / OPTIONS).read_bytes(), str(run / OPTIONS)) != parse_json(config.encode(), str(run / OPTIONS)):
        raise InputError(f"{run / OPTIONS}: this folder holds a run with other options or of other sounds; name another folder")
