"""`podcast train`: a network of one's own, from call clips, a dataset release or a round."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from cli.options import min_heard_option
from cli.output import json_option
from cli.train_network import Course, train_network
from cli.train_rules import Said, train_rules
from cli.trainings import ask_for_training
from podcast.errors import InputError


@click.command("train")
@click.option(
    "--to",
    "run_folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run; without it, --round goes into the queue that `podcast trainer` works.",
)
@click.option("--manifest", metavar="URI", help="Table of call clips and backgrounds: path, role, session, label, licence.")
@click.option("--truth", metavar="URI", help="Table of a dataset release; its WAVs lie in --audio.")
@click.option(
    "--round",
    "round_names",
    multiple=True,
    help="Learn from the reviewed sessions of this round; with --to, their WAVs lie in --audio. Without --to repeat it.",
)
@click.option("--file", "export_file", metavar="URI", help="The same from Label Studio's JSON export.")
@click.option("--audio", "audio_folder", metavar="URI", help="Folder with the WAVs of --truth, --round or --file.")
@click.option(
    "--sounds", "sounds_table", metavar="URI", help="Other sounds in the recordings of --truth: the release's sounds.csv."
)
@click.option("--hold-out", multiple=True, metavar="SESSION", help="Test on this recording and never learn from it; repeat it.")
@click.option("--validate", multiple=True, metavar="SESSION", help="Stop and choose the epoch by this recording; repeat it.")
@click.option(
    "--start-from",
    metavar="starter|URI|orcahello-v1[:URI]",
    help="Begin with these weights; they say which network is trained.",
)
@click.option(
    "--recipe",
    type=click.Choice(["network", "rules"]),
    default="network",
    show_default=True,
    help="What learns: a network, or in seconds the box rules and scores of any detector (--start-from DETECTOR).",
)
@click.option("--previous", multiple=True, metavar="URI", help="A release; what was test there is never learned from.")
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
    run_folder: Path | None,
    manifest: str | None,
    truth: str | None,
    round_names: tuple[str, ...],
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

    The same command goes on with a run that was interrupted. When it is done DIR is a model: use it as `--detector model:DIR`, or
    put it into the registry by `podcast models add DIR`.

    With --round and without --to the trainer learns rules and scores, beginning with the model in service: `podcast trainer`.
    """
    if run_folder is None:
        _only_rounds(recipe)
        ask_for_training(round_names, as_json=as_json)
        return
    if len(round_names) > 1:
        raise InputError("--round: with --to name one round; the trainer takes several, without --to")
    round_name = next(iter(round_names), None)
    said = Said(truth, sounds_table, round_name, export_file, min_heard, previous, audio_folder)
    if recipe == "network":
        course = Course(hold_out, validate, all_layers, seed, epochs, steps)
        train_network(run_folder, start_from, said, manifest, course, as_json=as_json)
        return
    given = click.get_current_context().get_parameter_source
    for name in ("manifest", "hold_out", "validate", "all_layers", "seed", "epochs", "steps"):
        if given(name) is ParameterSource.COMMANDLINE:
            raise InputError(f"--{name.replace('_', '-')} belongs to --recipe network")
    train_rules(run_folder, start_from, said, as_json=as_json)


def _only_rounds(recipe: str) -> None:
    """Raises InputError naming an option that means nothing to the queue of trainings."""
    context = click.get_current_context()
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    own = given - {"round_names", "as_json"} - ({"recipe"} if recipe == "rules" else set())
    if own:
        options = {option.name: option.opts[0] for option in context.command.params}
        raise InputError(f"{options[min(own)]} needs --to; without it the trainer learns, and takes --round alone")
