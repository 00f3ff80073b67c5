"""`podcast evaluate`: scores of one or several models, by the published protocol or a strict one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from cli.options import MOST_S, SHARE, Number
from cli.output import json_option, print_json, say
from cli.servers import submitted_sessions
from podcast import audio, storage
from podcast.errors import InputError
from podcast.report import Report

if TYPE_CHECKING:
    from evaluation.edits import EditRow, EditScores
    from evaluation.scores import ModelScores
    from evaluation.tables import Labelled

MOST_ROWS = 40
"""Of recordings in the table of edits; more are left to --json."""


@click.command("evaluate")
@click.argument("tables", nargs=-1, required=True, metavar="[TRUTH.tsv] PREDICTIONS.tsv...")
@click.option("--round", "round_name", help="Take the truth from the reviewed sessions of this round, in place of TRUTH.")
@click.option("--file", "export_file", metavar="URI", help="Take the truth from Label Studio's JSON export, in place of TRUTH.")
@click.option(
    "--protocol",
    type=click.Choice(["orcahello", "strict"]),
    default="orcahello",
    show_default=True,
    help="How intervals mark seconds: as the published scorer, or half-open.",
)
@click.option(
    "--threshold", type=SHARE, default=0.5, show_default=True, help="For events, and edits of scores a window; seconds need none."
)
@click.option("--audio", "audio_folder", metavar="URI", help="Folder with the WAVs, to take their lengths from.")
@click.option("--length", "length_s", type=Number(0, MOST_S, min_open=True), help="Length of every recording in seconds.")
@click.option("--sounds", metavar="URI", help="Other sounds in the recordings of TRUTH: the sounds.csv of a release.")
@click.option("--plot", metavar="URI", help="Write the precision-recall curves as PNG.")
@json_option
def evaluate_command(
    tables: tuple[str, ...],
    round_name: str | None,
    export_file: str | None,
    protocol: str,
    threshold: float,
    audio_folder: str | None,
    length_s: float | None,
    sounds: str | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Score PREDICTIONS against TRUTH: average precision over seconds, precision and recall over events, edits a minute,
    and how often each model boxes sounds that people named.

    A recording's length is taken from --audio, --length, a column length_s of TRUTH, or the reach of the predictions.
    """
    # Imported here since scikit-learn takes a second that no other command should wait for.
    from evaluation.edits import score_edits
    from evaluation.false_alarms import with_sounds
    from evaluation.scores import guessed, lengths, score
    from evaluation.scoring import Protocol
    from evaluation.tables import read_predictions, read_truth, truth_of_sessions

    report = Report()
    if round_name or export_file:
        truth, sources = truth_of_sessions(submitted_sessions(round_name, export_file)[0], report), tables
    else:
        truth, sources = read_truth(tables[0]), tables[1:]
    if sounds:
        truth = with_sounds(truth, sounds)
    if not sources:
        raise InputError("name at least one table of predictions after the truth")
    models = [read_predictions(source) for source in sources]
    known = _known_lengths(truth, audio_folder, length_s)
    length_of = lengths(truth, models, known)
    if unknown := guessed(truth, known):
        report.warn(
            f"the lengths of {len(unknown)} of {len(truth)} recordings are guessed from where the predictions end: other seconds "
            "may be scored than by the published protocol; name --audio or --length"
        )
    scores = [score(truth, model, length_of, Protocol(protocol), threshold) for model in models]
    edits = [score_edits(truth, model, length_of, threshold) for model in models]
    if plot:
        from evaluation.plot import plot_curves

        plot_curves(scores, plot)
    if as_json:
        head = {"protocol": protocol, "threshold": threshold, "guessed_lengths": len(unknown)}
        print_json({**head, "models": [_as_dict(*pair) for pair in zip(scores, edits, strict=True)], **report.as_dict()})
    else:
        _print(scores, edits, threshold, report)


def _known_lengths(truth: Sequence[Labelled], folder: str | None, length_s: float | None) -> dict[str, float]:
    if folder:
        return {recording.name: audio.probe(storage.join(folder, f"{recording.name}.wav")).duration_s for recording in truth}
    return dict.fromkeys((recording.name for recording in truth), length_s) if length_s else {}


def _as_dict(scores: ModelScores, edits: EditScores) -> dict[str, Any]:
    return {
        "model": scores.model,
        "auprc": scores.overall,
        "datasets": [asdict(row) for row in scores.datasets],
        "hydrophones": [asdict(row) for row in scores.hydrophones],
        "events": [
            {"overlap": overlap, **asdict(counts), "precision": counts.precision, "recall": counts.recall}
            for overlap, counts in scores.events.items()
        ],
        "edits": {
            **{kind: [row.as_dict() for row in getattr(edits, kind)] for kind in ("recordings", "datasets", "hydrophones")},
            "all": edits.all.as_dict(),
        },
        "false_alarms": [row.as_dict() for row in scores.alarms],
        "recordings_without_predictions": scores.unpredicted,
        "predicted_recordings_without_truth": scores.unlabelled,
    }


def _print(scores: Sequence[ModelScores], edits: Sequence[EditScores], threshold: float, report: Report) -> None:
    console = Console(width=None if Console().is_terminal else 120)
    seconds = Table("AUPRC over seconds", "seconds", "with calls", *(model.model for model in scores), title=None)
    for kind in ("datasets", "hydrophones"):
        for rows in zip(*(getattr(model, kind) for model in scores), strict=True):
            first = rows[0]
            name = f"{kind[:-1]} {first.name}"
            seconds.add_row(name, str(first.seconds), str(first.positive_seconds), *(_number(row.auprc) for row in rows))
        seconds.add_section()
    seconds.add_row("OVERALL", "", "", *(_number(model.overall) for model in scores))
    console.print(seconds)
    events = Table(f"Events at confidence {threshold:g}", *(model.model for model in scores))
    for overlap in scores[0].events:
        counts = [model.events[overlap] for model in scores]
        events.add_row(f"precision, overlap {overlap:g}", *(_number(count.precision) for count in counts))
        events.add_row(f"recall, overlap {overlap:g}", *(_number(count.recall) for count in counts))
    console.print(events)
    _print_edits(console, scores, edits)
    if scores[0].alarms:
        console.print(alarms_table(scores))
    for model in scores:
        if model.unpredicted:
            say(f"warning: {model.model}: {model.unpredicted} labelled recordings have no prediction and count as 0", err=True)
        if model.unlabelled:
            say(f"warning: {model.model}: {model.unlabelled} predicted recordings have no truth and were left out", err=True)
    for warning in report.warnings:
        say(f"warning: {warning}", err=True)
    for refusal in report.refusals:
        say(f"refused: {refusal}", err=True)


def alarms_table(scores: Sequence[ModelScores]) -> Table:
    """A row a source: of its sounds the share that each model boxes, and boxes an hour."""
    table = Table("Other sounds that are boxed", "sounds", *(model.model for model in scores))
    for rows in zip(*(model.alarms for model in scores), strict=True):
        cells = [f"{row.share or 0:.0%}, {row.per_hour or 0:.1f} an hour" for row in rows]
        table.add_row(f"{rows[0].source} ({rows[0].kind})", str(rows[0].sounds), *cells)
    return table


def _print_edits(console: Console, scores: Sequence[ModelScores], edits: Sequence[EditScores]) -> None:
    table = Table("Edits a minute", "minutes", "from nothing", *(model.model for model in scores))
    several = len(edits[0].recordings) <= MOST_ROWS
    for kind in ("recordings", "hydrophones") if several else ("hydrophones",):
        for rows in zip(*(getattr(model, kind) for model in edits), strict=True):
            _add_edits(table, f"{kind[:-1]} {rows[0].name}", rows)
        table.add_section()
    _add_edits(table, "all", [model.all for model in edits])
    console.print(table)
    if not several:
        say(f"The edits of each of the {len(edits[0].recordings)} recordings: --json", err=True)


def _add_edits(table: Table, name: str, rows: Sequence[EditRow]) -> None:
    first = rows[0].edits
    cells = [
        f"{row.edits.a_minute or 0:.1f}" + (f" ({row.interval[0]:.1f} to {row.interval[1]:.1f})" if row.interval else "")
        for row in rows
    ]
    table.add_row(name, f"{first.seconds / 60:.1f}", f"{first.from_nothing or 0:.1f}", *cells)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"  # noqa: RUF001
