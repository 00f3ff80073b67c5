"""A run of the recipe *rules and scores*: sessions with their audio in, a folder with rules, card and scores out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detectors import weights_of
from detectors.base import Detector, Framed
from detectors.model_folder import CONFIG, RULES, SCORES, WEIGHTS, read_model
from detectors.rules import BoxRules, version
from detectors.thresholds import find
from evaluation.calibration import Calibration, calibration
from evaluation.edits import edit_row, edits
from evaluation.plot import plot_calibration
from podcast import storage
from podcast.audio import Samples
from podcast.errors import InputError
from podcast.model import SoundEvent
from training.compared import ANSWERS, answer
from training.finished import finish
from training.reviewed import Lessons, remember
from training.rules import Example, fit, on_calls
from training.rules_card import card
from training.scratch import Examples, Read

PICTURE, SAFETENSORS = "reliability.png", ".safetensors"
ASKED = (("precision", 0.8), ("precision", 0.9), ("precision", 0.95), ("recall", 0.8), ("recall", 0.9), ("recall", 0.95))
Boxed = Callable[[Samples, int], list[tuple[SoundEvent, float]]]
"""Boxes and their confidence in samples at a rate in Hz."""


def learn(detector: Framed, taught: Lessons, read: Read, run: Path, about: Mapping[str, Any], spec: str = "") -> dict[str, Any]:
    """Fit, test on the sessions that are for the test alone, and write the folder of a model; gives what `scores.json` holds.

    `spec` is what the detector was loaded by (else its name); the model is for its weights. `about` tells `round` or `rounds`.
    Audio is read a session at a time, and frames lie on the disk. Raises InputError where the sessions cannot teach anything.
    """
    weights = _weights(spec or detector.model_run.model)
    rules = rules_of(detector, taught, read, run, about)
    scores: dict[str, Any] = {
        "detector": detector.model_run.model,
        "began_from": str(detector.model_run),
        "learned_sessions": len(taught.learned),
        "learned_calls": sum(len(session.calls) for session in taught.learned),
        **tested(boxed(detector), ruled(detector, rules), taught, read),
        **of_rules(rules),
    }
    write(run, rules, scores)
    if weights:
        storage.write(str(run / WEIGHTS), weights)
    remember(run, taught.splits)
    finish(
        run,
        [RULES, SCORES, PICTURE, *([WEIGHTS] if weights else [])],
        card(rules, scores),
        scores,
        version=version(detector.strengths, rules),
        strengths=detector.strengths,
        recipe="rules",
        parent=parent_of(spec, detector),
        rounds=rounds_of(about),
    )
    return scores


def _weights(spec: str) -> bytes:
    """The weights file of a detector, which its model holds too; empty for one that has none."""
    place = weights_of(spec)
    if place and not place.endswith(SAFETENSORS):
        raise InputError(f"{place}: a model holds its weights as safetensors; name such a file to learn rules for it")
    return storage.read(place) if place else b""


def parent_of(spec: str, detector: Detector) -> str:
    """What a run began from: a model's name, else the model version."""
    name, _, uri = spec.split(",")[0].partition(":")
    return read_model(uri).name if name == "model" else str(detector.model_run)


def rounds_of(about: Mapping[str, Any]) -> list[str]:
    """The rounds that `about` names, in `rounds` or in `round`."""
    return [str(name) for name in (*about.get("rounds", ()), about.get("round")) if name]


def rules_of(detector: Framed, taught: Lessons, read: Read, run: Path, about: Mapping[str, Any]) -> BoxRules:
    """The rules and scores that the learned sessions teach; the folder `run` holds their frames meanwhile. Raises InputError."""
    with Examples(run / "frames") as examples:
        for session in taught.learned:
            frames = detector.frames(*read(session))
            examples.add(Example(taught.parents[session.name], frames, session.calls, session.unsure))
        return fit(examples, detector.model_run.model, detector.strengths, detector.fixed_cut, about)


def boxed(detector: Detector) -> Boxed:
    """What a detector makes of samples."""

    def boxes(samples: Samples, sample_rate: int) -> list[tuple[SoundEvent, float]]:
        [found] = detector.detect([(samples, sample_rate)])
        return [(item.event, item.confidence) for item in found]

    return boxes


def ruled(detector: Framed, rules: BoxRules) -> Boxed:
    """What other rules make of the same frames."""
    return lambda samples, sample_rate: rules.boxes(detector.frames(samples, sample_rate))


def tested(before: Boxed, after: Boxed, taught: Lessons, read: Read) -> dict[str, Any]:
    """On the sessions that are for the test alone: the edits that both leave, and how well the confidences of `after` hold."""
    earlier, later, scored, answers = [], [], [], []
    for session in taught.tested:
        samples, sample_rate = read(session)
        length_s, boxes = len(samples) / sample_rate, after(samples, sample_rate)
        earlier.append(edits([event for event, _ in before(samples, sample_rate)], session.calls, length_s))
        later.append(edits([event for event, _ in boxes], session.calls, length_s))
        scored.append(on_calls(boxes, session.calls, session.unsure))
        answers.append(answer(session, length_s, boxes).as_dict())
    return {
        "tested_sessions": len(taught.tested),
        "before": edit_row("before", earlier).as_dict() if earlier else None,
        "after": edit_row("after", later).as_dict() if later else None,
        "calibration_of_tested": _as_dict(calibration(scored)),
        ANSWERS: answers,
    }


def of_rules(rules: BoxRules) -> dict[str, Any]:
    """What is known of rules from the recordings that taught them."""
    return {
        "rules": rules.digest,
        "calibration_across_folds": _as_dict(across(rules)),
        "thresholds": thresholds(rules),
    }


def write(run: Path, rules: BoxRules | None, scores: Mapping[str, Any]) -> None:
    """Rules, their picture, and scores into the folder of a run, which is no model until it is finished again."""
    for name in (CONFIG, RULES, PICTURE):
        storage.delete(str(run / name))
    if rules:
        storage.write(str(run / RULES), (json.dumps(rules.as_dict()) + "\n").encode())
        storage.write(str(run / PICTURE), plot_calibration(across(rules)))
    storage.write(str(run / SCORES), json.dumps(scores, indent=1).encode())


def across(rules: BoxRules, least: float | None = None) -> Calibration:
    """How well the probabilities of shown boxes held on the recordings that the score had not learned from."""
    return calibration([boxes for _, boxes in rules.held_out], rules.least if least is None else least)


def thresholds(rules: BoxRules) -> list[dict[str, Any]]:
    """What the usual wishes are answered with: a least probability with what it reaches, or why it is refused."""
    answers: list[dict[str, Any]] = []
    for measure, wanted in ASKED:
        try:
            found = find(measure, wanted, rules.held_out)
        except InputError as error:
            answers.append({"asked": f"{measure}:{wanted:g}", "refused": str(error).removeprefix("threshold: ")})
        else:
            answers.append({"asked": f"{measure}:{wanted:g}", **asdict(found)})
    return answers


def _as_dict(found: Calibration) -> dict[str, Any]:
    return {
        "error": found.error,
        "interval": found.interval,
        "by_chance": found.by_chance,
        "bins": [{**asdict(one), "share": one.share} for one in found.bins],
    }
