"""`podcast export`: completed sessions out of Label Studio."""

from __future__ import annotations

from collections.abc import Iterator

import click

from cli.options import min_heard_option, page_option
from cli.output import finish, json_option, progress
from cli.servers import submitted_sessions, task_audio
from exporters import EXPORTERS, NEED_PREDICTIONS
from exporters.base import WriteOptions
from podcast.errors import InputError, Refusal
from podcast.model import Session


@click.command("export")
@click.option("--round", "round_name", help="Name of the round in Label Studio.")
@click.option("--file", "export_file", metavar="URI", help="Label Studio's own JSON export, in place of --round.")
@click.option("--project", type=int, help="Number of the project, if it is not found by its title.")
@click.option("--to", required=True, metavar="URI", help="Folder to write to.")
@click.option(
    "--format",
    "export_format",
    type=click.Choice(sorted(EXPORTERS)),
    default="podcast-json",
    show_default=True,
    help="What to write.",
)
@click.option(
    "--annotator",
    default="latest",
    show_default=True,
    metavar="latest|ground-truth|all|EMAIL",
    help="Which of several submissions of a session; `all` writes one folder each.",
)
@click.option("--audio", metavar="URI", help="Folder with <session id>.wav, where the sessions' own addresses cannot be read.")
@page_option
@min_heard_option
@json_option
def export_command(
    round_name: str | None,
    export_file: str | None,
    project: int | None,
    to: str,
    export_format: str,
    annotator: str,
    audio: str | None,
    min_heard: float | None,
    label_config: str | None,
    as_json: bool,
) -> None:
    """Write the completed sessions of a round. The same answers give the same bytes.

    Skipped, unsure and unreviewed sessions are counted and left out. What an earlier export into the folder wrote is replaced,
    or removed where it is no longer true; files of anybody else are never touched.
    """
    from labelstudio.page import page
    from podcast.settings import load_settings

    with progress("Exporting", as_json=as_json) as advance:
        wanted = export_format in NEED_PREDICTIONS
        opened = task_audio(load_settings(), *filter(None, [audio]))
        if label_config and round_name:
            raise InputError("--label-config belongs to --file: a round in Label Studio says its own page")
        known = page(label_config) if label_config else None
        sessions, unseen = submitted_sessions(round_name, export_file, project, with_predictions=wanted, audio=opened, page=known)

        def counted() -> Iterator[Session | Refusal]:
            for session in sessions:
                yield session
                advance(1)

        options = WriteOptions(annotator, opened.open, audio, round_name or "", min_heard)
        report = EXPORTERS[export_format](counted(), to, options)
    exported = sum(report.counts[state] for state in ("written", "unsure", "skipped", "unreviewed", "refused"))
    if annotator != "all":
        report.counts["unreviewed"] += max(0, unseen - exported)
    finish(report, f"Wrote {to}", as_json=as_json, to=to, format=export_format)
