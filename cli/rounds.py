"""`podcast rounds`: what every round holds and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from cli.output import json_option, print_json, print_table, progress, say
from cli.report import write_report
from evaluation.blind import MEASURES, BlindAudit
from evaluation.estimate import MinutesWithCalls
from labelstudio.blind import count_blind
from labelstudio.client import Server
from labelstudio.round_out import Round
from podcast.errors import InputError
from podcast.heard import HeardCounts
from podcast.report import Report
from podcast.settings import load_settings

if TYPE_CHECKING:
    from evaluation.edits import ReviewEdits

COUNTS = {
    "sessions": "task_number",
    "reviewed": "finished_task_number",
    "skips": "skipped_annotations_number",
    "annotations": "total_annotations_number",
    "predictions": "total_predictions_number",
}


@click.command("rounds")
@click.option("--edits", "with_edits", is_flag=True, help="Show too what people changed, by model version.")
@click.option("--report", "report_folder", metavar="DIR", help="Write the coordinator's page, index.html, into this folder.")
@json_option
def rounds_command(with_edits: bool, report_folder: str | None, as_json: bool) -> None:
    """Show every round and how far it is, and how many answers came faster than the sound."""
    settings = load_settings()
    server = Server(settings.label_studio_url, settings.label_studio_api_key)
    projects = server.rounds()
    if report_folder:
        with progress("Reading rounds", as_json=as_json, total=len(projects)) as advance:
            made = write_report(server, projects, report_folder, advance)
        if as_json:
            print_json(made)
        else:
            say(f"Wrote {made['page']} about {made['rounds']} rounds")
            if made["refused"]:
                say(f"warning: {made['refused']} sessions cannot be read; `podcast export` names them", err=True)
        return
    rounds = []
    with progress("Reading answers", as_json=as_json, total=len(projects)) as advance:
        for project in projects:
            rounds.append(_row(server, project, with_edits))
            advance(1)
    if as_json:
        print_json({"rounds": rounds})
        return
    if not rounds:
        say("No rounds yet: `podcast import` makes one.")
        return
    table = Table("round", *COUNTS, "left", "faster than sound", "address")
    for row in rounds:
        left, heard = int(row["sessions"]) - int(row["reviewed"]), row["heard"]
        faster = str(heard["faster_than_sound"]) if heard else "?"
        table.add_row(str(row["round"]), *(str(row[name]) for name in COUNTS), str(left), faster, str(row["url"]))
        if row["blind"]:
            _say_blind(row)
        if heard and heard["refused"]:
            say(
                f"warning: round {row['round']}: {heard['refused']} sessions cannot be read; `podcast export` names them",
                err=True,
            )
    print_table(table)
    if with_edits:
        print_table(_edits_table(rounds))


def _row(server: Server, project: dict[str, Any], with_edits: bool) -> dict[str, Any]:
    return {
        "round": project["title"],
        "project": project["id"],
        **{name: int(project.get(field) or 0) for name, field in COUNTS.items()},
        "model_version": project.get("model_version") or "",
        "url": f"{server.url}/projects/{project['id']}",
        **_said(server, project, with_edits),
    }


def _said(server: Server, project: dict[str, Any], with_edits: bool) -> dict[str, Any]:
    """What is known of the listening in a round, how many sessions could not be read, and what people changed.

    Heard, blind and edits are None for a project of another kind; so is what blind sessions tell in a round without any.
    """
    counts, report, edits = HeardCounts(), Report(), None
    blind = count_blind(server, project["id"])
    audit = BlindAudit()
    if with_edits:
        from evaluation.edits import ReviewEdits  # here, since scikit-learn takes a second

        edits = ReviewEdits()
    try:
        sessions = Round(server, project).submitted(with_predictions=with_edits or blind > 0)
    except InputError:  # its labeling configuration is not one of ours
        return {"heard": None, "blind": None, "minutes_with_calls": [], **({"edits": None} if with_edits else {})}
    sea = MinutesWithCalls()
    for session in report.accepted(sessions if project.get("total_annotations_number") else ()):
        counts.add(session)
        sea.add(session)
        audit.add(session)
        if edits is not None:
            edits.add(session)
    heard = asdict(counts) | {"refused": report.counts["refused"]}
    told = audit.report(blind, int(project.get("task_number") or 0) - blind) if blind else None
    minutes = [row.as_dict() for row in sea.rows({str(project["title"]): int(project.get("task_number") or 0)})]
    return {
        "heard": heard,
        "blind": told and told.as_dict(),
        "minutes_with_calls": minutes,
        **({"edits": _changed(edits)} if edits is not None else {}),
    }


def _say_blind(row: dict[str, Any]) -> None:
    """What blind sessions could show, and who was led."""
    say(f"round {row['round']}: {row['blind']['sentence']}")
    for found in row["blind"]["compared"]:
        if found["led"]:
            who, what = found["annotator"] or "people", MEASURES[found["measure"]].words
            say(
                f"round {row['round']}: the boxes of {found['model_version']} lead {who}: {what}, {found['shown']} with boxes, "
                f"{found['blind']} without"
            )


def _changed(edits: ReviewEdits) -> dict[str, Any]:
    return {"models": [row.as_dict() for row in edits.rows()], "without_length": edits.without_length, "unheard": edits.unheard}


def _edits_table(rounds: Sequence[dict[str, Any]]) -> Table:
    table = Table("round", "model version", "reviews", "kept", "moved", "deleted", "added", "edits a minute", "from nothing")
    for found in rounds:
        for row in found["edits"]["models"] if found["edits"] else ():
            interval = f" ({row['interval'][0]:.1f} to {row['interval'][1]:.1f})" if row["interval"] else ""
            counts = (str(row[name]) for name in ("recordings", "kept", "moved", "deleted", "added"))
            rates = f"{row['edits_a_minute']:.1f}{interval}", f"{row['from_nothing_a_minute']:.1f}"
            table.add_row(found["round"], row["name"], *counts, *rates)
    return table
