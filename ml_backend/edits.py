"""`python -m ml_backend.edits`: sum up, by model version, what people changed, for `/metrics` to tell (docs/adr/0134)."""

from __future__ import annotations

import fcntl
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.edits import ReviewEdits
from labelstudio.client import Server
from labelstudio.round_out import Round
from ml_backend.metrics import EDITS, LOCK, read_edits
from podcast import redact, storage
from podcast.errors import InputError, PodcastError
from podcast.report import Report
from podcast.settings import load_settings

logger = logging.getLogger(__name__)

Json = dict[str, Any]

COUNTS = ("total_annotations_number", "finished_task_number", "skipped_annotations_number", "task_number")
"""What Label Studio says of a project that tells whether anybody has answered since."""


def edits_of(server: Server, known: Mapping[str, Json]) -> dict[str, Json]:
    """The edits of every round by its project's number; rounds in which nobody has answered since are taken from `known`."""
    rounds: dict[str, Json] = {}
    for project in server.rounds():
        number, seen = str(project["id"]), [project.get(name) for name in COUNTS]
        if known.get(number, {}).get("seen") == seen:
            rounds[number] = known[number]
        elif project.get("total_annotations_number"):
            rounds[number] = {"seen": seen, "edits": _of_round(server, project)}
    return rounds


def _of_round(server: Server, project: Json) -> Json:
    """Reviews, minutes and boxes by model version; nothing for a project that is no round of ours."""
    made = ReviewEdits()
    try:
        sessions = Round(server, project).submitted(with_predictions=True)
    except InputError:
        return {}
    for session in Report().accepted(sessions):
        made.add(session)
    wanted = ("kept", "moved", "deleted", "added")
    return {
        row.name: {"reviews": row.recordings, "minutes": row.edits.seconds / 60}
        | {name: getattr(row.edits, name) for name in wanted}
        for row in made.rows()
    }


def main() -> None:
    """Ask, unless another process does, and write what was found beside the cache."""
    settings = load_settings()
    redact.install()
    folder: Path = settings.ml_cache_dir
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        try:
            rounds = edits_of(Server(settings.label_studio_url, settings.label_studio_api_key), read_edits(folder)["rounds"])
        except PodcastError as error:
            logger.warning("what people changed is not known anew: %s", error)
            return
        storage.write(str(folder / EDITS), json.dumps({"asked": round(time.time()), "rounds": rounds}).encode())


if __name__ == "__main__":
    main()
