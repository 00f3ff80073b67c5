"""Bring sessions into a Label Studio project so that doing it twice changes nothing.

What the project holds is read once, into a temporary database, so memory stays flat. A session is known by its `session_id` in
the round's project. People's annotations are never changed or deleted.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from labelstudio.client import Server
from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_annotation
from labelstudio.tasks import to_tasks
from podcast.errors import InputError, Refusal, UnavailableError
from podcast.model import Review, Session
from podcast.report import Report

Json = dict[str, Any]

BATCH = 1000
PATIENCE_S = 60.0
"""How long an import waits for a Label Studio that went away (a restart takes 8 s)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where sessions go: the round's project, its labeling configuration, and what the page plays for a session.

    `address` may raise InputError; the session is then refused.
    """

    server: Server
    project_id: int
    round_name: str
    config: LabelConfig
    address: Callable[[Session], str]


def sync(target: Target, sessions: Iterable[Session | Refusal], progress: Callable[[int], None] = lambda _: None) -> Report:
    """Create tasks that are missing, and update those whose data or predictions differ.

    Predictions of the same model version are replaced, those of others kept. A review is added where nobody has submitted
    anything yet; where people have, it is refused unless it says the same. `progress` is called with the number of sessions
    that were done. The report counts created, updated, unchanged and refused.
    """
    report = Report()
    report.counts.update(created=0, updated=0, unchanged=0, refused=0)
    with closing(_Index(target.server, target.project_id)) as index:
        tasks = to_tasks(sessions, target.round_name, target.config, target.address, report, target.server.signing_key)
        while batch := list(itertools.islice(tasks, BATCH)):
            missing = [task for _, task in batch if index.find(task) is None]
            _create(target, missing, index)
            report.counts["created"] += len(missing)
            created = {task["data"]["session_id"] for task in missing}
            _update(target, [item for item in batch if item[0].id not in created], index, report)
            progress(len(batch))
    return report


def _create(target: Target, tasks: list[Json], index: _Index) -> None:
    """Import tasks in one request. If the server goes away, wait for it and send only what had not arrived."""
    for attempt in Retrying(
        retry=retry_if_exception_type(UnavailableError),
        stop=stop_after_delay(PATIENCE_S),
        wait=wait_exponential(multiplier=0.5, max=5),
        reraise=True,
    ):
        with attempt:
            if attempt.retry_state.attempt_number > 1:
                index.refresh()
            missing = [task for task in tasks if index.find(task) is None]
            if missing:
                target.server.import_tasks(target.project_id, missing)


def _update(target: Target, batch: list[tuple[Session, Json]], index: _Index, report: Report) -> None:
    """Bring tasks that were there before the batch up to date; predictions of all of them in one request."""
    additions: list[Json] = []
    outdated: list[int] = []
    changed: set[str] = set()
    for session, task in batch:
        task_id, data = index.find(task) or (0, {})
        incoming = {key: value for key, value in task["data"].items() if value not in (None, "")}
        if data.get("sha256") and incoming.get("sha256", data["sha256"]) != data["sha256"]:
            report.refuse(
                Refusal(f"session {session.id}", "its audio is not the audio that this round was made with (sha256 differs)")
            )
            continue
        for prediction in task["predictions"]:
            same, others = index.predictions(task_id, prediction)
            outdated += others
            if not same:
                additions.append({**prediction, "task": task_id})
            if others or not same:
                changed.add(session.id)
        if any(data.get(key) != value for key, value in incoming.items()):
            target.server.update_task(task_id, {**data, **incoming})
            changed.add(session.id)
        if session.reviews:
            reviewed = _add_reviews(target, task_id, session, task["annotations"])
            if reviewed is None:
                report.refuse(Refusal(f"session {session.id}", "people have submitted other boxes for it; theirs were kept"))
                continue
            changed |= {session.id} if reviewed else set()
        report.counts["updated" if session.id in changed else "unchanged"] += 1
    if additions:
        target.server.import_predictions(target.project_id, additions)
    for prediction_id in outdated:
        target.server.delete_prediction(prediction_id)


def _add_reviews(target: Target, task_id: int, session: Session, annotations: list[Json]) -> bool | None:
    """Add a session's reviews to a task without submissions: True if added, False if they are there, None if others are."""
    stored = target.server.annotations(task_id)
    if stored:
        duration_s = session.recording.duration_s
        try:
            said = [_boxes(from_annotation(item, duration_s, target.config, {})) for item in stored]
        except InputError:
            return None
        return False if all(_boxes(review) in said for review in session.reviews) else None
    for annotation in annotations:
        target.server.add_annotation(task_id, annotation)
    return True


def _boxes(review: Review) -> object:
    return review.state, [(item.event.start_s, item.event.end_s, item.label, item.certainty) for item in review.annotations]


class _Index:
    """What the project holds: its tasks' data and predictions, in a temporary database that SQLite deletes on closing."""

    def __init__(self, server: Server, project_id: int) -> None:
        self._server, self._project_id = server, project_id
        self._database = sqlite3.connect("")
        self._database.executescript(
            """
            CREATE TABLE task (session_id TEXT PRIMARY KEY, id INTEGER, data TEXT);
            CREATE TABLE prediction (task_id INTEGER, id INTEGER PRIMARY KEY, version TEXT, result TEXT);
            CREATE INDEX prediction_of_task ON prediction (task_id, version);
            """
        )
        self.refresh()

    def close(self) -> None:
        self._database.close()

    def refresh(self) -> None:
        """Read the project anew. Raises InputError if it holds a session twice."""
        self._database.execute("DELETE FROM task")
        self._database.execute("DELETE FROM prediction")
        for task_id, data in self._server.tasks(self._project_id):
            try:
                row = (str(data.get("session_id", f"task {task_id}")), task_id, json.dumps(data))
                self._database.execute("INSERT INTO task VALUES (?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise InputError(
                    f"project {self._project_id} holds session {row[0]!r} twice (task {task_id}); delete one of the two tasks"
                ) from error
        rows = (
            (item["task"], item["id"], item["model_version"], _canonical(item["result"]))
            for item in self._server.predictions(self._project_id)
        )
        self._database.executemany("INSERT INTO prediction VALUES (?, ?, ?, ?)", rows)

    def find(self, task: Json) -> tuple[int, Json] | None:
        """Number and data of the stored task of the same session."""
        query = "SELECT id, data FROM task WHERE session_id = ?"
        row = self._database.execute(query, (task["data"]["session_id"],)).fetchone()
        return (row[0], json.loads(row[1])) if row else None

    def predictions(self, task_id: int, prediction: Json) -> tuple[bool, list[int]]:
        """Whether the task holds just this prediction, and the numbers of the others of its model version."""
        query = "SELECT id, result FROM prediction WHERE task_id = ? AND version = ? ORDER BY id"
        rows = self._database.execute(query, (task_id, prediction["model_version"])).fetchall()
        same = [number for number, result in rows if result == _canonical(prediction["result"])][:1]
        return bool(same), [number for number, _ in rows if number not in same]


def _canonical(result: Any) -> str:
    return json.dumps(result, sort_keys=True)
