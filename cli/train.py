"""`podcast train`: a network of one's own, from call clips, a dataset release or a round."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cli.options import min_heard_option
from cli.output import json_option, print_json, progress, say
from cli.servers import submitted_sessions
from cli.train_rules import Said, train_rules
from podcast import audio, storage
from podcast.errors import InputError
from podcast.reading import parse_json
from podcast.report import Report

if TYPE_CHECKING:
    from evaluation.scores import ModelScores, Row
    from training.loop import Recorded, Sounds


@click.command("train")
@click.option(
    "--to",
    "run_folder",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run.",
)
@click.option("--manifest", metavar="URI", help="Table of call clips and backgrounds: path, role, session, label, licence.")
@click.option("--truth", metavar="URI", help="Table of a dataset release; its WAVs lie in --audio.")
@click.option("--round", "round_name", help="Learn from the reviewed sessions of this round; their WAVs lie in --audio.")
@click.option("--file", "export_file", metavar="URI", help="The same from Label Studio's JSON export.")
@click.option("--audio", "audio_folder", metavar="URI", help="Folder with the WAVs of --truth, --round or --file.")
@click.option(
    "--sounds", "sounds_table", metavar="URI", help="Other sounds in the recordings of --truth: the release's sounds.csv."
)
@click.option("--hold-out", multiple=True, metavar="SESSION", help="Test on this recording and never learn from it; repeat it.")
@click.option("--validate", multiple=True, metavar="SESSION", help="Stop and choose the epoch by this recording; repeat it.")
@click.option(
    "--start-from",
    metavar="starter|URI|orcahello-v1:URI",
    help="Begin with these weights; they say which network is trained.",
)
@click.option(
    "--recipe",
    type=click.Choice(["network", "rules"]),
    default="network",
    show_default=True,
    help="What learns: a network, or in seconds the box rules and scores of any detector (--start-from DETECTOR).",
)
@click.option("--previous", multiple=True, metavar="URI", help="rules: a release; what was test there is never learned from.")
@min_heard_option
@click.option("--all-layers", is_flag=True, help="Fine-tune all of orcahello-v1, not only its last stage and its head.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="The same seed gives the same weights on the same machine.",
)
@click.option("--epochs", default=13, show_default=True, type=click.IntRange(1), help="Passes over --steps.")
@click.option(
    "--steps",
    default=55,
    show_default=True,
    type=click.IntRange(1),
    help="Steps an epoch, of 12 examples of 10 s (3 for orcahello-v1).",
)
@json_option
def train_command(
    run_folder: Path,
    manifest: str | None,
    truth: str | None,
    round_name: str | None,
    export_file: str | None,
    audio_folder: str | None,
    sounds_table: str | None,
    hold_out: tuple[str, ...],
    validate: tuple[str, ...],
    start_from: str | None,
    recipe: str,
    previous: tuple[str, ...],
    min_heard: float | None,
    all_layers: bool,
    seed: int,
    epochs: int,
    steps: int,
    as_json: bool,
) -> None:
    """Train a network, or learn the box rules and scores of any detector.

    The network is that of `starter`, or that of `orcahello-v1`, fine-tuned. The sounds: --manifest, --truth, --round, --file.

    The same command goes on with a run that was interrupted. Use the result as `--detector starter:DIR/starter.safetensors` or
    `--detector orcahello-v1:DIR/orcahello-v1.safetensors`.
    """
    if recipe == "rules":
        given = click.get_current_context().get_parameter_source
        for name in ("manifest", "hold_out", "validate", "all_layers", "seed", "epochs", "steps"):
            if given(name) is ParameterSource.COMMANDLINE:
                raise InputError(f"--{name.replace('_', '-')} belongs to --recipe network")
        said = Said(truth, round_name, export_file, min_heard, previous)
        train_rules(run_folder, start_from, said, audio_folder, as_json=as_json)
        return
    if previous or min_heard is not None:
        raise InputError(f"--{'previous' if previous else 'min-heard'} belongs to --recipe rules")
    from detectors import DETECTORS, load_detector, require_torch

    require_torch("podcast train")
    from evaluation.plot import plot_training
    from training.corpus import read_manifest
    from training.held_out import false_boxes_a_minute, mixed_minutes, score_detectors
    from training.loop import CURVES, Sounds, TrainingOptions, train
    from training.recipes import recipe_from

    network = recipe_from(start_from, all_layers=all_layers)
    sounds, tests = read_manifest(manifest) if manifest else (Sounds(), Sounds())
    labelled = _labelled(truth, sounds_table, round_name, export_file, audio_folder)
    sounds = Sounds(sounds.calls, sounds.others, sounds.backgrounds, tuple(labelled))
    held_out = _sessions(sounds, "--hold-out", hold_out) or _every_fifth(sounds)
    chosen_by = _sessions(sounds, "--validate", validate)
    options = TrainingOptions(
        seed=seed,
        epochs=epochs,
        steps=steps,
        batch=network.batch,
        checks=network.checks,
        learning_rate=network.learning_rate,
        held_out=held_out,
        validate=chosen_by,
    )
    with progress("Training", as_json=as_json, total=epochs) as advance:
        train(network, sounds, options, run_folder, progress=lambda *_: advance(1))
    plot_training(parse_json((run_folder / CURVES).read_bytes(), str(run_folder / CURVES)), str(run_folder / "curves.png"))
    weights = run_folder / network.weights_file
    detector = DETECTORS[network.name](str(weights))
    held = sounds.split(set(held_out))[1]
    detectors = {"trained": detector, "energy": load_detector("energy")}
    scored = score_detectors(detectors, mixed_minutes(held, tests, 8, seed)) if held.sessions() else []
    quiet = {name: false_boxes_a_minute(one, tests, 0.5) for name, one in detectors.items() if tests.backgrounds}
    rows = [_as_dict(model, row) for model, _ in scored for row in (*model.datasets, model.pooled)]
    edits = [
        {"detector": model.model, "group": row.name, **row.as_dict()}
        for model, made in scored
        for row in (*made.datasets, made.all)
    ]
    scores: dict[str, Any] = {
        "held_out": held_out,
        "average_precision": rows,
        "edits": edits,
        "negatives": dict(sorted(sounds.split(set(held_out))[0].negatives().items())),
        "false_alarms": [{"detector": model.model, **row.as_dict()} for model, _ in scored for row in model.alarms],
        "false_boxes_a_minute": quiet,
    }
    (run_folder / "scores.json").write_text(json.dumps(scores, indent=1))
    if as_json:
        print_json({"run": str(run_folder), "weights": str(weights), **scores})
        return
    say(f"Wrote {weights}, config.json, curves.png and scores.json; held out: {', '.join(held_out) or 'nothing'}")
    if negatives := scores["negatives"]:
        say(f"Named negatives that were learned from: {', '.join(f'{count} {name}' for name, count in negatives.items())}")
    for model, made in scored:
        for alarm in model.alarms:
            say(f"{alarm.source}, {model.model}: {alarm.boxed} of {alarm.sounds} boxed, {alarm.per_hour or 0:.1f} boxes an hour")
        for row, edit in zip((*model.datasets, model.pooled), (*made.datasets, made.all), strict=True):
            rates = f"{edit.edits.a_minute or 0:.1f} edits a minute (from nothing {edit.edits.from_nothing or 0:.1f})"
            say(f"{row.name}, {model.model}: average precision {row.auprc or 0:.3f}, {rates}")


def _as_dict(model: ModelScores, row: Row) -> dict[str, object]:
    return {
        "group": row.name,
        "detector": model.model,
        "average_precision": row.auprc,
        "interval": row.interval,
        "minutes": row.seconds / 60,
        "positive_seconds": row.positive_seconds,
    }


def _every_fifth(sounds: Sounds) -> tuple[str, ...]:
    return tuple(sorted(sounds.sessions())[4::5])


def _sessions(sounds: Sounds, option: str, wanted: Sequence[str]) -> tuple[str, ...]:
    known = sorted(sounds.sessions())
    if unknown := set(wanted) - set(known):
        raise InputError(f"{option} {min(unknown)}: no recording has this name; there are {', '.join(known[:10])}")
    return tuple(sorted(wanted))


def _labelled(
    truth: str | None, sounds: str | None, round_name: str | None, export_file: str | None, folder: str | None
) -> list[Recorded]:
    from detectors.starter import at_own_rate
    from evaluation.false_alarms import with_sounds
    from evaluation.tables import read_truth, truth_of_sessions
    from training.loop import Recorded

    tables, report = read_truth(truth) if truth else [], Report()
    if sounds:
        tables = with_sounds(tables, sounds)
    if round_name or export_file:
        tables += truth_of_sessions(submitted_sessions(round_name, export_file)[0], report)
    for warning in report.warnings:
        say(f"warning: {warning}", err=True)
    if tables and not folder:
        raise InputError("--audio is missing: the folder that holds the WAVs of the labels")
    found = []
    for recording in tables:
        wave = at_own_rate(*audio.read(storage.join(folder or "", f"{recording.name}.wav")))
        found.append(Recorded(wave, recording))
    return found
