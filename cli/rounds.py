"""`podcast rounds`: progress per round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from cli.output import json_option, print_json, print_table, say
from labelstudio.client import Server
from labelstudio.round_out import Round
from podcast.report import Report
from podcast.settings import load_settings

COUNTS = {
    "sessions": "task_number",
    "reviewed": "finished_task_number",
    "skips": "skipped_annotations_number",
    "annotations": "total_annotations_number",
    "predictions": "total_predictions_number",
}


@click.command("rounds")
@click.option("--edits", "with_edits", is_flag=True, help="What people changed, by model version; reads every submission.")
@json_option
def rounds_command(with_edits: bool, as_json: bool) -> None:
    """Show every round and how far it is."""
    settings = load_settings()
    server = Server(settings.label_studio_url, settings.label_studio_api_key)
    rounds = [
        {
            "round": project["title"],
            "project": project["id"],
            **{name: int(project.get(field) or 0) for name, field in COUNTS.items()},
            "model_version": project.get("model_version") or "",
            "url": f"{server.url}/projects/{project['id']}",
            **({"edits": _edits(Round(server, project))} if with_edits else {}),
        }
        for project in server.rounds()
    ]
    if as_json:
        print_json({"rounds": rounds})
        return
    table = Table("round", *COUNTS, "left", "address")
    for row in rounds:
        left = int(row["sessions"]) - int(row["reviewed"])
        table.add_row(str(row["round"]), *(str(row[name]) for name in COUNTS), str(left), str(row["url"]))
    if rounds:
        print_table(table)
        if with_edits:
            print_table(_edits_table(rounds))
    else:
        say("No rounds yet: `podcast import` makes one.")


def _edits(found: Round) -> dict[str, Any]:
    """What the round's reviews changed, by model version; what could not be read or counted is told in numbers."""
    from evaluation.edits import ReviewEdits  # here, since scikit-learn takes a second

    report, made = Report(), ReviewEdits()
    for session in report.accepted(found.submitted(with_predictions=True)):
        made.add(session)
    rows = [row.as_dict() for row in made.rows()]
    return {"models": rows, "without_length": made.without_length, "refused": len(report.refusals)}


def _edits_table(rounds: Sequence[dict[str, Any]]) -> Table:
    table = Table("round", "model version", "reviews", "kept", "moved", "deleted", "added", "edits a minute", "from nothing")
    for found in rounds:
        for row in found["edits"]["models"]:
            interval = f" ({row['interval'][0]:.1f} to {row['interval'][1]:.1f})" if row["interval"] else ""
            counts = (str(row[name]) for name in ("recordings", "kept", "moved", "deleted", "added"))
            rates = f"{row['edits_a_minute']:.1f}{interval}", f"{row['from_nothing_a_minute']:.1f}"
            table.add_row(found["round"], row["name"], *counts, *rates)
    return table
