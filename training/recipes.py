"""How each trainable detector learns: its network, its examples from the sounds, and what of it stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from detectors import orcahello_v1, starter, weights_of
from detectors.model_folder import read_model
from detectors.resnet import OrcaHelloNet
from detectors.starter import RATE
from detectors.weights import State, fill, read_weights
from podcast.audio import Wave
from podcast.errors import InputError
from training.loop import Recipe, Sounds, Spans
from training.sounds import mix

EXAMPLE_S = 10.0
NAMED = 0.25
"""Share of the windows of labelled recordings that are laid over a sound which people named, or a prediction which they deleted,
where there is one: by chance a humpback or a ship is met far less often than a detector boxes it."""
BODY = tuple(f"model.{name}" for name in ("conv1", "bn1", "layer1", "layer2", "layer3"))
"""What fine-tuning of `orcahello-v1` leaves as it is: all but the last stage and the head."""


def recipe_from(spec: str | None, *, all_layers: bool = False) -> Recipe:
    """The recipe for `NAME[:WEIGHTS]` or `model:URI`, which begins with these weights; a URI alone means weights of `starter`.

    Without a spec `starter` is trained from nothing. Raises InputError for weights that do not fit.
    """
    name, _, weights = (spec or "").partition(":")
    if spec and name == "model":
        detector, place = read_model(weights).detector, weights_of(spec)
        if not place:
            raise InputError(
                f"{spec}: a model of {detector} has no network that could be trained; learn its rules: --recipe rules"
            )
        return replace(recipe_from(f"{detector}:{place}", all_layers=all_layers), begins=spec)
    if name == orcahello_v1.NAME:
        return _orcahello(weights, all_layers=all_layers)
    if all_layers:
        raise InputError(
            f"--all-layers belongs to --start-from {orcahello_v1.NAME}:WEIGHTS; {starter.NAME} always learns in all layers"
        )
    if not spec:
        return _starter(starter.StarterNet, "", "")
    source = spec if name != starter.NAME else weights or str(starter.SHIPPED)
    state, digest = read_weights(source)
    begins = spec if name == starter.NAME else f"{starter.NAME}:{spec}"
    return _starter(partial(_filled, starter.StarterNet, state, source), digest, begins)


def _starter(network: Callable[[], nn.Module], start: str, begins: str) -> Recipe:
    return Recipe(starter.NAME, network, _levels_example, _masked_levels, _level_logits, start=start, begins=begins)


def _orcahello(weights: str, *, all_layers: bool) -> Recipe:
    state, digest, _ = orcahello_v1.read_own_weights(weights)
    return Recipe(
        orcahello_v1.NAME,
        partial(_filled, OrcaHelloNet, state, weights),
        _windows_example,
        _masked_windows,
        _window_logits,
        frozen=() if all_layers else BODY,
        start=digest,
        begins=f"{orcahello_v1.NAME}:{weights}" if weights else orcahello_v1.NAME,
        call_weight=1.0,  # half of the windows hold a call, where a tenth of the frames do
        batch=3,
        checks=15,
        learning_rate=1e-4,
    )


def _filled(kind: type[nn.Module], state: State, name: str) -> nn.Module:
    network = kind()
    fill(network, state, name)
    return network


def _level_logits(network: nn.Module, levels: Tensor) -> Tensor:
    logits: Tensor = network(levels)
    return logits


def _window_logits(network: nn.Module, inputs: Tensor) -> Tensor:
    """(examples, windows, 1, mels, frames) to (examples, windows): of two classes, a softmax is a sigmoid of the difference."""
    logits: Tensor = network(inputs.flatten(0, 1))
    return (logits[:, 1] - logits[:, 0]).view(inputs.shape[:2])


def _levels_example(rng: np.random.Generator, sounds: Sounds) -> tuple[Tensor, Tensor]:
    """Levels (2, spectra, 96) and the target of every 40 ms: 1 in a call, 0 outside, -1 within 60 ms of an edge, and in what
    nobody was sure of."""
    wave, spans, unsure = _sound(rng, sounds)
    levels = starter.whitened(torch.from_numpy(wave.astype(np.float32)))
    times = (np.arange(levels.shape[1] // starter.STRIDE) * starter.STRIDE + 0.5) * starter.HOP / RATE
    target = np.zeros(len(times), np.float32)
    for start, end in (*spans, *unsure):
        target[(times > start - 0.06) & (times < end + 0.06)] = -1
    for start, end in spans:
        target[(times > start + 0.06) & (times < end - 0.06)] = 1
    return levels, torch.from_numpy(target)


def _windows_example(rng: np.random.Generator, sounds: Sounds) -> tuple[Tensor, Tensor]:
    """The windows that detection would take from 10 s, (4, 1, 256 mels, 312 frames), and their targets.

    1 holds 0.3 s of a call or nearly all of a shorter one, 0 holds none, -1 only grazes one, or what nobody
    was sure of. The level is lowered by up to 12 dB, since the loudest sound of a session, which is set to full scale, need not
    lie within these 10 s.
    """
    wave, spans, unsure = _sound(rng, sounds)
    windows = orcahello_v1.cut_windows(orcahello_v1.prepare(wave[:, None], RATE)) * float(10 ** (-rng.uniform(0, 12) / 20))
    targets = [_window_target(i * orcahello_v1.HOP / orcahello_v1.SAMPLE_RATE, spans, unsure) for i in range(len(windows))]
    return orcahello_v1.spectrograms(windows), torch.tensor(targets)


def _window_target(start_s: float, spans: Spans, unsure: Spans = ()) -> float:
    end_s = start_s + orcahello_v1.WINDOW / orcahello_v1.SAMPLE_RATE
    inside = [(min(b, end_s) - max(a, start_s), b - a) for a, b in spans if b > start_s and a < end_s]
    if any(part >= min(0.3, 0.9 * whole) for part, whole in inside):
        return 1.0
    return -1.0 if inside or any(b > start_s and a < end_s for a, b in unsure) else 0.0


def _sound(rng: np.random.Generator, sounds: Sounds) -> tuple[Wave, Spans, Spans]:
    """10 s of a labelled recording or of a new mix, and in seconds the calls in it, and what nobody was sure of."""
    if not sounds.labelled or (sounds.calls and rng.random() >= 0.5):
        return *mix(rng, EXAMPLE_S, sounds.calls, sounds.others, sounds.backgrounds, most_calls=4), ()
    frames = round(EXAMPLE_S * RATE)
    negatives = [(recording, stretch) for recording in sounds.labelled for _, stretch in recording.others]
    at_s = None
    if negatives and rng.random() < NAMED:
        recording, stretch = negatives[int(rng.integers(len(negatives)))]
        at_s = rng.uniform(stretch.start_s, stretch.end_s)
    else:
        recording = sounds.labelled[int(rng.integers(len(sounds.labelled)))]
    last = max(len(recording.wave) - frames, 0)
    first = int(rng.integers(last + 1)) if at_s is None else min(max(round(at_s * RATE) - frames // 2, 0), last)
    wave = recording.wave[first : first + frames]
    wave = np.pad(wave, (0, frames - len(wave)), mode="reflect")
    offset = first / RATE
    marked = (recording.spans, [(stretch.start_s, stretch.end_s) for stretch in recording.unsure])
    calls, unsure = ([(a - offset, b - offset) for a, b in spans if b > offset and a < offset + EXAMPLE_S] for spans in marked)
    return wave, calls, unsure


def _masked_levels(rng: np.random.Generator, levels: Tensor) -> Tensor:
    """SpecAugment (Park et al. 2019): some bands and some moments of each example are set to the background's level."""
    levels = levels * float(rng.uniform(0.8, 1.2))
    for example in levels:
        band, moment = int(rng.integers(levels.shape[3] - 12)), int(rng.integers(levels.shape[2] - 10))
        example[:, :, band : band + int(rng.integers(12))] = 0
        example[:, moment : moment + int(rng.integers(10))] = 0
    return levels


def _masked_windows(rng: np.random.Generator, inputs: Tensor) -> Tensor:
    """The same for (examples, windows, 1, mels, frames) of decibels; the padding behind a window stays 0."""
    inputs = inputs.clone()
    frames = orcahello_v1.WINDOW // orcahello_v1.FFT_HOP + 1
    for window in inputs.flatten(0, 2)[:, :, :frames]:
        band, moment, level = int(rng.integers(256 - 24)), int(rng.integers(frames - 16)), window.mean()
        window[band : band + int(rng.integers(24))] = level
        window[:, moment : moment + int(rng.integers(16))] = level
    return inputs
