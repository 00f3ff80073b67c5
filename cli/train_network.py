"""`podcast train --recipe network`: a network of one's own, or one that is fine-tuned, from call clips and what people said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.output import print_json, progress, say
from cli.train_rules import Said, figures, say_what_is_wrong, say_what_it_saves, to_use
from podcast.errors import InputError
from podcast.report import Report


@dataclass(frozen=True, slots=True)
class Course:
    """The course of the training, as the options of `podcast train` have it."""

    hold_out: Sequence[str]
    validate: Sequence[str]
    all_layers: bool
    seed: int
    epochs: int
    steps: int


def train_network(run: Path, start_from: str | None, said: Said, manifest: str | None, course: Course, *, as_json: bool) -> None:
    """Train, test, write the run's folder and say how good it is. Raises InputError for what cannot be learned from."""
    from detectors import require_torch

    require_torch("podcast train")
    from training.corpus import read_manifest
    from training.fine_tuning import fine_tune
    from training.loop import Sounds, TrainingOptions

    clips, tests = read_manifest(manifest) if manifest else (Sounds(), Sounds())
    report = Report()
    found = said.sessions(report)
    if not found and not clips.sessions():
        raise InputError("name what to learn from: --manifest, --round, --file or --truth")
    names = clips.sessions() | {session.parent for session in found}
    for option, wanted in (("--hold-out", course.hold_out), ("--validate", course.validate)):
        _check(option, wanted, names)
    taught = said.lessons(run, found, report, fewest=0, hold_out=course.hold_out)
    options = TrainingOptions(
        seed=course.seed,
        epochs=course.epochs,
        steps=course.steps,
        held_out=tuple(course.hold_out) or tuple(sorted(clips.sessions())[4::5]),
        validate=tuple(sorted(course.validate)),
    )
    with progress("Training", as_json=as_json, total=course.epochs) as advance:
        scores = fine_tune(
            start_from,
            taught,
            said.read,
            run,
            said.about,
            options,
            clips=clips,
            tests=tests,
            all_layers=course.all_layers,
            progress=lambda *_: advance(1),
        )
    if as_json:
        print_json({"run": str(run), "weights": str(run / "model.safetensors"), **figures(scores), **report.as_dict()})
        return
    say(f"Held out: {', '.join(scores['held_out']) or 'nothing'}. {to_use(run)}")
    _say_scores(scores)
    if found:
        say_what_it_saves(scores)
    say_what_is_wrong(report)


def _check(option: str, wanted: Sequence[str], names: Iterable[str]) -> None:
    known = sorted(names)
    if unknown := set(wanted) - set(known):
        raise InputError(f"{option} {min(unknown)}: no recording has this name; there are {', '.join(known[:10])}")


def _say_scores(scores: dict[str, Any]) -> None:
    if negatives := scores["negatives"]:
        say(f"Negatives that were learned from: {', '.join(f'{count} {name}' for name, count in negatives.items())}")
    for alarm in scores["false_alarms"]:
        rates = f"{alarm['boxed']} of {alarm['sounds']} boxed, {alarm['per_hour'] or 0:.1f} boxes an hour"
        say(f"{alarm['source']}, {alarm['detector']}: {rates}")
    for row, edits in zip(scores["average_precision"], scores["edits"], strict=True):
        rates = f"{edits['edits_a_minute'] or 0:.1f} edits a minute (from nothing {edits['from_nothing_a_minute'] or 0:.1f})"
        say(f"{row['group']}, {row['detector']}: average precision {row['average_precision'] or 0:.3f}, {rates}")
