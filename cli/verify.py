"""`podcast verify`: what a coordinator should look at in a round, and how people agree."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from cli.options import SHARE
from cli.output import finish, json_option, print_table, progress, say
from cli.servers import connect
from podcast.errors import InputError
from podcast.report import Report

if TYPE_CHECKING:
    from labelstudio.client import Server
    from labelstudio.round_out import Round
    from planning.verify import Pick, Wishes


@click.command("verify")
@click.option("--round", "round_name", required=True, help="Name of the round: the project's title.")
@click.option("--project", type=int, help="Number of the project, if it is not found by its title.")
@click.option("--strong", metavar="VERSION", help="Model version that counts as a second opinion; else that of most predictions.")
@click.option("--threshold", type=SHARE, default=0.9, show_default=True, help="Its boxes count from this confidence on.")
@click.option("--sample", type=SHARE, default=0.05, show_default=True, help="Share of the other answered sessions to look at.")
@click.option(
    "--session", "sessions", multiple=True, metavar="ID", help="A session for a second person; may be given several times."
)
@click.option("--ask", is_flag=True, help="Ask a second person about every picked session that one person alone has answered.")
@json_option
def verify_command(
    round_name: str,
    project: int | None,
    strong: str | None,
    threshold: float,
    sample: float,
    sessions: tuple[str, ...],
    ask: bool,
    as_json: bool,
) -> None:
    """Pick the sessions of a round that deserve another look, and tell how people agree. For the coordinator alone.

    Picked is where people disagree, where one person and a strong model disagree, and a sample of the rest, until a ground truth
    is marked. In Label Studio with the add-on, /rounds/NUMBER/compare/ shows the picked sessions with their answers side by side.
    """
    from labelstudio.round_out import Round
    from labelstudio.second import ask_second, mark_for_a_look
    from planning.verify import Wishes
    from podcast.settings import load_settings

    found = Round.find(connect(load_settings()), round_name, project)
    server, number, report = found.server, int(found.project["id"]), Report()
    wishes = Wishes(_strong(server, number, strong), threshold, sample)
    _check(server, number, sessions)
    picked, told = _read(found, wishes, report, as_json=as_json)
    tasks = mark_for_a_look(server, number, {item.session_id: f"{item.reason}: {item.detail}" for item in picked})
    wanted = {*sessions, *(item.session_id for item in picked if ask and item.answers == 1)}
    report.counts.update(picked=len(picked), asked=ask_second(server, number, lambda name: name in wanted))
    address = f"{server.url}/rounds/{number}/compare/"
    head = {"round": round_name, "project": number, "url": address, "strong": wishes.strong, "threshold": threshold}
    rows = [{**asdict(item), "address": f"{address}{tasks[item.session_id]}/"} for item in picked]
    if not as_json:
        _print({"picks": rows, **told})
    finish(report, f"Round {round_name}, {address}", as_json=as_json, **head, picks=rows, **told)


def _read(found: Round, wishes: Wishes, report: Report, *, as_json: bool) -> tuple[list[Pick], dict[str, Any]]:
    """The sessions that are picked, and what the answers tell of each other."""
    from evaluation.agreement import Agreement
    from planning.people import People
    from planning.verify import pick

    agreement, people, picked = Agreement(), People(), []
    report.counts.update(answered=0, picked=0, asked=0, decided=0, refused=0)
    with progress("Reading answers", as_json=as_json, total=None) as advance:
        for session in report.accepted(found.submitted(with_predictions=True)):
            agreement.add(session)
            people.add(session)
            report.counts["answered"] += 1
            report.counts["decided"] += any(review.ground_truth for review in session.reviews)
            picked += [item] if (item := pick(session, wishes)) else []
            advance(1)
    return picked, {
        "agreement": [asdict(item) for item in agreement.measures()],
        "confusion": [{"one": one, "other": other, "count": count} for one, other, count in people.sounds()],
        "certainty": {str(sure): {"agreed": seen[True], "alone": seen[False]} for sure, seen in people.certainty.items()},
        "help": [asdict(item) for item in people.help()],
    }


def _strong(server: Server, project: int, given: str | None) -> str:
    """The model version that was asked for, or that of most predictions. Raises InputError if the round has none of that name."""
    counts = server.prediction_counts(project)
    if given and given not in counts:
        raise InputError(f"--strong {given!r}: the round has predictions of {', '.join(sorted(counts)) or 'no model'}")
    return given or max(sorted(counts), key=lambda name: counts[name], default="")


def _check(server: Server, project: int, sessions: tuple[str, ...]) -> None:
    known = {data.get("session_id") for _, data in server.tasks(project)} if sessions else set()
    if unknown := [name for name in sessions if name not in known]:
        raise InputError(f"--session {unknown[0]!r}: the round has no such session")


def _print(told: dict[str, Any]) -> None:
    """The same for people; a table that would be empty is left out."""
    tables: list[tuple[tuple[str, ...], list[tuple[object, ...]]]] = [
        (
            ("session", "why", "what", "address"),
            [(row["session_id"], row["reason"], row["detail"], row["address"]) for row in told["picks"]],
        ),
        (
            ("agreement of", "measure", "sessions", "value"),
            [
                (" and ".join(row["annotators"]) or "all", row["name"], row["sessions"], _interval(row))
                for row in told["agreement"]
            ],
        ),
        (
            ("one says", "the truth, or another, says", "times"),
            [(row["one"], row["other"], row["count"]) for row in told["confusion"]],
        ),
        (
            ("calls that are", "others have them", "others do not"),
            [(name, row["agreed"], row["alone"]) for name, row in told["certainty"].items() if row["agreed"] + row["alone"]],
        ),
    ]
    for columns, rows in tables:
        if rows:
            table = Table(*columns)
            for row in rows:
                table.add_row(*map(str, row))
            print_table(table)
    for row in told["help"]:
        say(row["words"])


def _interval(row: dict[str, Any]) -> str:
    return "undefined" if row["value"] is None else f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
