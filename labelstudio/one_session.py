"""One session of a round at a time, for whoever serves single sessions: which is open, what it holds, and one more submission."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from labelstudio.client import Server
from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_task
from labelstudio.tasks import to_annotation
from podcast.errors import InputError, NotFoundError
from podcast.model import Review, Session

Json = dict[str, Any]

OPEN = {"filter": "filter:tasks:completed_at", "operator": "empty", "type": "Datetime", "value": True}
"""The sessions that nobody has submitted or skipped."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many sessions of a round are done, and how many are left."""

    done: int
    left: int


class OneRound:
    """A round of this name, asked anew at each call. Raises InputError if Label Studio has none."""

    def __init__(self, server: Server, name: str) -> None:
        project = server.find_project(name)
        if project is None:
            raise InputError(f"Label Studio has no round {name!r}")
        self._server, self._project = server, project
        self._config = LabelConfig.parse(project["label_config"], f"the labeling configuration of project {project['id']}")

    @property
    def project(self) -> int:
        """The number of the round's project."""
        return int(self._project["id"])

    @property
    def progress(self) -> Progress:
        """Of all sessions, as Label Studio counts them."""
        total, done = int(self._project["task_number"] or 0), int(self._project["finished_task_number"] or 0)
        return Progress(done, max(0, total - done))

    def pick(self) -> str:
        """The id of a session that is open, at random; of any session where none is. Raises NotFoundError for an empty round."""
        for filters in ([OPEN], []):
            if count := self._page(filters, 1)["total"]:
                # Another page than the one just counted, so that two people seldom get the same session.
                tasks = self._page(filters, random.randint(1, count))["tasks"]  # noqa: S311 (no secret)
                if tasks:
                    return str(tasks[0]["data"].get("session_id", ""))
        raise NotFoundError(f"round {self._project['title']!r} holds no session")

    def session(self, session_id: str) -> Session:
        """One session with its predictions and reviews. Raises NotFoundError if the round has none of this id."""
        return from_task(self._task(session_id), self._config)

    def submit(self, session_id: str, review: Review) -> bool:
        """Add a submission by the account that this project works under; False if that account has submitted the same before.

        What anybody has submitted stays. The prediction that the reviewer started from is the one of `session`.
        """
        task = self._task(session_id)
        annotation = to_annotation(from_task(task, self._config), review, self._config)
        account = self._server.account()
        for given in task["annotations"]:
            if given.get("completed_by") == account and _said(given["result"]) == _said(annotation["result"]):
                return False
        if task["predictions"]:
            annotation["parent_prediction"] = task["predictions"][0]["id"]
        self._server.add_annotation(task["id"], annotation)
        return True

    def _task(self, session_id: str) -> Json:
        """The session's task with its submissions, and the one prediction that the page would show."""
        named = {"filter": "filter:tasks:data.session_id", "operator": "equal", "type": "String", "value": session_id}
        found = self._page([named], 1)["tasks"]
        if not found:
            raise NotFoundError(f"round {self._project['title']!r} has no session {session_id!r}")
        number = found[0]["id"]
        predictions = sorted(self._server.predictions(self._project["id"], number), key=lambda item: item["id"], reverse=True)
        shown = [item for item in predictions if item["model_version"] == self._project.get("model_version")] or predictions
        return {**found[0], "annotations": self._server.annotations(number), "predictions": shown[:1]}

    def _page(self, filters: list[Json], page: int) -> Json:
        """One page of one task, with data alone and cloud addresses as they are."""
        query = {"filters": {"conjunction": "and", "items": filters}} if filters else {}
        wanted = {"project": self._project["id"], "page": page, "page_size": 1, "fields": "task_only", "resolve_uri": "false"}
        return dict(self._server.request("GET", "/api/tasks/", params={**wanted, "query": json.dumps(query)}))


def _said(result: list[Json]) -> list[Json]:
    """What a submission says, without ids and what the page adds."""
    return sorted(({key: item[key] for key in ("from_name", "type", "value")} for item in result), key=json.dumps)
