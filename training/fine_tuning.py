"""A run of the recipe *fine-tune*: sessions with their audio in, a folder with weights, rules, card and scores out.

The network learns from the sessions dealt to `train`, and its box rules and scores from those dealt to `dev`: on what a network
has learned its confidence is too good to be true.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from detectors import DETECTORS, load_detector
from detectors.base import Detector, Framed
from detectors.model_folder import RULES, SCORES, WEIGHTS
from detectors.rules import BoxRules, version
from detectors.starter import RATE, at_own_rate
from evaluation.plot import plot_training
from evaluation.scores import ModelScores, Row
from evaluation.scoring import Span
from evaluation.tables import Labelled
from podcast.errors import InputError
from podcast.model import SoundEvent
from podcast.reading import parse_json
from training.finished import finish
from training.held_out import false_boxes_a_minute, mixed_minutes, score_detectors
from training.learned import PICTURE, boxed, of_rules, parent_of, rounds_of, ruled, rules_of, tested, write
from training.loop import CURVES, Recipe, Recorded, Sounds, TrainingOptions, train
from training.recipes import recipe_from
from training.reviewed import Lessons, Reviewed, remember
from training.rules import FEWEST_CALLS
from training.rules_card import network_card
from training.scratch import Read, Waves

PLOT = "curves.png"
HELD_MINUTES = 8
"""Mixed for each held-out recording of call clips."""


def fine_tune(
    start_from: str | None,
    taught: Lessons,
    read: Read,
    run: Path,
    about: Mapping[str, Any],
    options: TrainingOptions | None = None,
    *,
    clips: Sounds | None = None,
    tests: Sounds | None = None,
    all_layers: bool = False,
    progress: Callable[[int, float, float], None] = lambda *_: None,
) -> dict[str, Any]:
    """Train the network of the detector `start_from` (see `recipe_from`), test it, write the folder; gives what `scores.json`
    holds.

    The same call goes on with a run that was interrupted. Batch, checks and rate of `options` are the recipe's own, whatever they
    say. `clips` are calls and other sounds to mix beside the sessions, those of `options.held_out` for the test; `tests` are
    backgrounds for the test alone. Sounds lie on the disk, so memory does not grow with the sessions. Raises InputError where
    nothing is left to learn from, or the folder holds another run.
    """
    clips, tests = clips or Sounds(), tests or Sounds()
    recipe = recipe_from(start_from, all_layers=all_layers)
    options = _suited(options or TrainingOptions(), recipe, taught)
    for_network, for_rules = _sides(taught)
    if taught.splits:
        remember(run, taught.splits)
    with Waves(run / "audio", read, at_own_rate) as waves:
        learned, held = (
            replace(some, labelled=tuple(_recorded(session, waves) for session in sessions))
            for some, sessions in zip(clips.split(set(options.held_out)), (for_network, taught.tested), strict=True)
        )
        train(recipe, learned, options, run, {**about, "lessons": _digest(taught)}, progress=progress)
        curves = parse_json((run / CURVES).read_bytes(), str(run / CURVES))
        plot_training(curves, str(run / PLOT))
        weights = run / WEIGHTS
        trained = DETECTORS[recipe.name](str(weights))
        assert isinstance(trained, Framed)
        ranks = _ranks({"trained": trained, "energy": load_detector("energy")}, held, tests, options.seed)
    rules, why = _rules(trained, replace(taught, learned=for_rules), read, run, about)
    began = load_detector(recipe.begins) if recipe.begins else trained
    scores: dict[str, Any] = {
        "detector": recipe.name,
        "began_from": str(began.model_run) if recipe.begins else "random weights",
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "learned_sessions": len(taught.learned),
        "learned_calls": sum(len(session.calls) for session in taught.learned),
        "negatives": dict(sorted(learned.negatives().items())),
        "held_out": options.held_out,
        **tested(boxed(began), ruled(trained, rules) if rules else boxed(trained), taught, read),
        **(of_rules(rules) if rules else {"rules": None, "without_rules": why}),
        **ranks,
    }
    write(run, rules, scores)
    finish(
        run,
        [WEIGHTS, SCORES, CURVES, PLOT, *((RULES, PICTURE) if rules else ())],
        network_card(rules, scores),
        scores,
        version=version(trained.strengths, rules) if rules else trained.model_run.version,
        strengths=trained.strengths,
        recipe="network",
        parent=parent_of(recipe.begins, began) if recipe.begins else "",
        rounds=rounds_of(about),
    )
    return scores


def _suited(options: TrainingOptions, recipe: Recipe, taught: Lessons) -> TrainingOptions:
    held_out = sorted({*options.held_out, *(session.parent for session in taught.tested)})
    return replace(
        options, batch=recipe.batch, checks=recipe.checks, learning_rate=recipe.learning_rate, held_out=tuple(held_out)
    )


def _sides(taught: Lessons) -> tuple[tuple[Reviewed, ...], tuple[Reviewed, ...]]:
    """What the network learns from, and what its rules do: all and nothing where those of `dev` are too few for rules."""
    dev = [session for session in taught.learned if taught.splits[session.name] == "dev"]
    few = sum(len(session.calls) for session in dev) < FEWEST_CALLS or len({taught.parents[item.name] for item in dev}) < 2
    return (taught.learned, ()) if few else (tuple(item for item in taught.learned if item not in dev), tuple(dev))


def _recorded(session: Reviewed, waves: Waves) -> Recorded:
    wave = waves.of(session)
    labelled = Labelled(
        session.name,
        session.node or "unknown",
        session.node or "unknown",
        tuple(_span(event) for event in session.calls),
        len(wave) / RATE,
        tuple((label, _span(event)) for label, event in session.others),
    )
    return Recorded(wave, labelled, session.unsure, session.deleted)


def _span(event: SoundEvent) -> Span:
    return Span(event.start_s, event.duration_s)


def _rules(trained: Framed, taught: Lessons, read: Read, run: Path, about: Mapping[str, Any]) -> tuple[BoxRules | None, str]:
    """The rules for the network that was trained, or why there are none."""
    try:
        return rules_of(trained, taught, read, run, about), ""
    except InputError as error:
        return None, str(error)


def _ranks(detectors: Mapping[str, Detector], held: Sounds, tests: Sounds, seed: int) -> dict[str, Any]:
    """How well detectors rank the seconds of what is held out, by their fixed rules, and what they box of backgrounds."""
    scored = score_detectors(detectors, mixed_minutes(held, tests, HELD_MINUTES, seed)) if held.sessions() else []
    return {
        "average_precision": [_row(model, row) for model, _ in scored for row in (*model.datasets, model.pooled)],
        "edits": [
            {"detector": model.model, "group": row.name, **row.as_dict()}
            for model, made in scored
            for row in (*made.datasets, made.all)
        ],
        "false_alarms": [{"detector": model.model, **row.as_dict()} for model, _ in scored for row in model.alarms],
        "false_boxes_a_minute": {
            name: false_boxes_a_minute(one, tests, 0.5) for name, one in detectors.items() if tests.backgrounds
        },
    }


def _row(model: ModelScores, row: Row) -> dict[str, object]:
    return {
        "group": row.name,
        "detector": model.model,
        "average_precision": row.auprc,
        "interval": row.interval,
        "minutes": row.seconds / 60,
        "positive_seconds": row.positive_seconds,
    }


def _digest(taught: Lessons) -> str:
    """Of all that people said in these sessions."""
    said = [asdict(session) for session in (*taught.learned, *taught.tested)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
