"""A run of the recipe *rules and scores*: sessions with their audio in, a folder with rules, card and scores out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detectors.base import Framed
from detectors.rules import BoxRules
from detectors.thresholds import find
from evaluation.calibration import Calibration, calibration
from evaluation.edits import edit_row, edits
from evaluation.plot import plot_calibration
from podcast import storage
from podcast.audio import Samples
from podcast.errors import InputError
from training.reviewed import Lessons, Reviewed, remember
from training.rules import Example, fit, on_calls
from training.rules_card import card

RULES, SCORES, CARD, PICTURE = "rules.json", "scores.json", "README.md", "reliability.png"
ASKED = (("precision", 0.8), ("precision", 0.9), ("precision", 0.95), ("recall", 0.8), ("recall", 0.9), ("recall", 0.95))
Read = Callable[[Reviewed], tuple[Samples, int]]


def learn(detector: Framed, taught: Lessons, read: Read, run: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Fit, test on the sessions that are for the test alone, and write the folder; gives what `scores.json` holds.

    Audio is read a session at a time, and only its frames are kept: a fifth of a megabyte a minute. Raises InputError where the
    sessions cannot teach anything.
    """
    model, version = detector.model_run.model, str(detector.model_run)
    examples = [_example(detector, session, taught, read) for session in taught.learned]
    rules = fit(examples, model, detector.strengths, detector.fixed_cut, about)
    before, after, scored = [], [], []
    for session in taught.tested:
        samples, sample_rate = read(session)
        frames = detector.frames(samples, sample_rate)
        [shown] = detector.detect([(samples, sample_rate)])
        before.append(edits([item.event for item in shown], session.calls, frames.length_s))
        boxes = rules.boxes(frames)
        after.append(edits([event for event, _ in boxes], session.calls, frames.length_s))
        scored.append(on_calls(boxes, session.calls, session.unsure))
    scores: dict[str, Any] = {
        "detector": model,
        "began_from": version,
        "rules": rules.digest,
        "learned_sessions": len(taught.learned),
        "learned_calls": sum(len(session.calls) for session in taught.learned),
        "tested_sessions": len(taught.tested),
        "before": edit_row("before", before).as_dict() if before else None,
        "after": edit_row("after", after).as_dict() if after else None,
        "calibration_of_tested": _as_dict(calibration(scored)),
        "calibration_across_folds": _as_dict(across(rules)),
        "thresholds": thresholds(rules),
    }
    run.mkdir(parents=True, exist_ok=True)
    storage.write(str(run / RULES), (json.dumps(rules.as_dict()) + "\n").encode())
    storage.write(str(run / SCORES), json.dumps(scores, indent=1).encode())
    storage.write(str(run / PICTURE), plot_calibration(across(rules)))
    storage.write(str(run / CARD), card(rules, scores).encode())
    remember(run, taught.splits)
    return scores


def _example(detector: Framed, session: Reviewed, taught: Lessons, read: Read) -> Example:
    return Example(taught.parents[session.name], detector.frames(*read(session)), session.calls, session.unsure)


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
        "bins": [{**asdict(one), "share": one.share} for one in found.bins],
    }
