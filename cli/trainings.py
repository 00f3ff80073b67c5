"""What commands know of the queue of trainings: how one is asked for, and how it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.output import print_json, say
from cli.servers import connect
from podcast.errors import InputError
from podcast.jobs import REDIS, Job, Queue
from podcast.settings import Settings, load_settings

MOST = 5
"""Outcomes that are shown."""


def ask_for_training(rounds: Sequence[str], *, as_json: bool) -> None:
    """Put a training from rounds into the queue. Raises InputError for a round that Label Studio does not have."""
    from labelstudio.round_out import Round

    if not rounds:
        raise InputError("name what to learn from by --round, or where a run of this machine's own goes by --to")
    settings = load_settings()
    server = connect(settings)
    job = Job(tuple(int(Round.find(server, name).project["id"]) for name in rounds), names=tuple(rounds))
    with Queue(settings.ml_queue) as queue:
        added = queue.ask(job)
    if as_json:
        print_json({"queue": settings.ml_queue, "rounds": list(rounds), "queued": added})
    else:
        words = "is in the queue" if added else "waits in the queue already"
        say(f"A training from {job} {words}; `podcast trainer` works it off, `podcast models` shows how far it is.")


def trainings(settings: Settings) -> dict[str, Any]:
    """What runs, what waits and how the last trainings ended, for JSON."""
    place = settings.ml_queue
    if not place.startswith(REDIS) and not Path(place).exists():
        return {"running": None, "waiting": [], "outcomes": []}
    with Queue(place) as queue:
        running = queue.running()
        return {
            "running": running and {"rounds": str(running.job), "doing": running.doing, "since": _time(running.since)},
            "waiting": [str(job) for job in queue.waiting()],
            "outcomes": [
                {**asdict(outcome), "job": str(outcome.job), "at": _time(outcome.at)} for outcome in queue.outcomes()[:MOST]
            ],
        }


def in_words(found: dict[str, Any]) -> Iterator[str]:
    """What `trainings` gives, a line each."""
    if running := found["running"]:
        yield f"training: {running['rounds']}, {running['doing']}"
    for job in found["waiting"]:
        yield f"waits: {job}"
    for outcome in found["outcomes"]:
        yield f"{outcome['at']} {outcome['job']}: {outcome['said']}"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
