"""`podcast rounds`: progress per round."""

from __future__ import annotations

import click
from rich.table import Table

from cli.output import json_option, print_json, print_table, say
from labelstudio.client import Server
from podcast.settings import load_settings

COUNTS = {
    "sessions": "task_number",
    "reviewed": "finished_task_number",
    "skips": "skipped_annotations_number",
    "annotations": "total_annotations_number",
    "predictions": "total_predictions_number",
}


@click.command("rounds")
@json_option
def rounds_command(as_json: bool) -> None:
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
    else:
        say("No rounds yet: `podcast import` makes one.")
