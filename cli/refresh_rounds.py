"""Rounds in Label Studio get the predictions of what is in service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from cli.output import REFUSED, json_option, print_json, say

round_option = click.option(
    "--round", "round_names", multiple=True, metavar="R", help="Then refresh this round; may be repeated."
)
all_rounds_option = click.option("--all-rounds", is_flag=True, help="Then refresh every round that has an ML backend.")


@click.command("refresh")
@click.option("--round", "round_names", multiple=True, metavar="R", help="Only this round; may be repeated.")
@json_option
def refresh_command(round_names: Sequence[str], as_json: bool) -> None:
    """Let rounds have, and show, the boxes of the model in service.

    Sessions that wait for somebody get them; what people have done, and what they worked from, stays as it is. Every round that
    has an ML backend, where none is named. Again changes nothing, and completes what was interrupted.
    """
    tell(refreshed(round_names, all_rounds=not round_names), {}, as_json=as_json)


def refreshed(round_names: Sequence[str], *, all_rounds: bool) -> list[dict[str, Any]]:
    """What was done to each round. Raises InputError for a round that is not there, or has no ML backend."""
    if not round_names and not all_rounds:
        return []
    # Imported here, as in all commands of `podcast models`: the help must not wait for them.
    from cli.servers import connect
    from detectors import load_detector
    from detectors.registry import spec_in_service
    from labelstudio.promoted import bring_up_to_date
    from labelstudio.round_out import Round
    from podcast.settings import load_settings

    settings = load_settings()
    server = connect(settings)
    version = str(load_detector(spec_in_service(settings)).model_run)
    projects = [Round.find(server, name).project for name in round_names]
    projects += [project for project in server.rounds() if all_rounds and server.ml_backends(project["id"])]
    found = []
    for number, title in {project["id"]: project["title"] for project in projects}.items():
        report = bring_up_to_date(server, number, version, lambda words: say(words, err=True))
        found.append({"round": title, "model_version": version, **report.as_dict()})
    return found


def tell(rounds: list[dict[str, Any]], more: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done, beside `more` for machines; exits 2 if a session was refused."""
    if as_json:
        print_json({**more, **({"rounds": rounds} if rounds or not more else {})})
    for found in rounds if not as_json else ():
        counts = f"{found['updated']} sessions got boxes, {found['unchanged']} had them, {found['refused']} refused"
        say(f"round {found['round']} shows {found['model_version']}: {counts}")
        for refusal in found["refusals"]:
            say(f"refused: {refusal['where']}: {refusal['reason']}", err=True)
    if any(found["refused"] for found in rounds):
        raise SystemExit(REFUSED)
