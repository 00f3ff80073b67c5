"""What a project holds: its tasks' data and predictions, in a temporary database, so that memory stays flat."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from labelstudio.client import Server
from podcast.errors import InputError

Json = dict[str, Any]


class Index:
    """A project as it was at the last `refresh`. SQLite deletes its file on closing."""

    def __init__(self, server: Server, project_id: int) -> None:
        self._server, self._project_id = server, project_id
        self._database = sqlite3.connect("")
        self._database.executescript(
            """
            CREATE TABLE task (session_id TEXT, id INTEGER PRIMARY KEY, data TEXT, done INTEGER);
            CREATE INDEX task_of_session ON task (session_id);
            CREATE TABLE prediction (task_id INTEGER, id INTEGER PRIMARY KEY, version TEXT, result TEXT);
            CREATE INDEX prediction_of_task ON prediction (task_id, version);
            """
        )
        self.refresh()

    def close(self) -> None:
        """Drop it all."""
        self._database.close()

    def refresh(self) -> None:
        """Read the project anew."""
        self._database.execute("DELETE FROM task")
        self._database.execute("DELETE FROM prediction")
        tasks = (
            (str(task.data.get("session_id", f"task {task.id}")), task.id, json.dumps(task.data), task.done)
            for task in self._server.task_states(self._project_id)
        )
        self._database.executemany("INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?)", tasks)
        predictions = (
            (item["task"], item["id"], item["model_version"], _canonical(item["result"]))
            for item in self._server.predictions(self._project_id)
        )
        self._database.executemany("INSERT OR REPLACE INTO prediction VALUES (?, ?, ?, ?)", predictions)

    @property
    def size(self) -> int:
        """How many tasks it holds."""
        return int(self._database.execute("SELECT count(*) FROM task").fetchone()[0])

    def doubles(self) -> Iterator[list[tuple[int, Json]]]:
        """Number and data of the tasks of each session that has several."""
        query = "SELECT session_id FROM task GROUP BY session_id HAVING count(*) > 1 ORDER BY session_id"
        for (session_id,) in self._database.execute(query).fetchall():
            yield self._tasks(session_id)

    def forget(self, task_ids: list[int]) -> None:
        """Take tasks out that were deleted."""
        self._database.executemany("DELETE FROM task WHERE id = ?", ((number,) for number in task_ids))

    def find(self, task: Json) -> tuple[int, Json] | None:
        """Number and data of the stored task of the same session. Raises InputError if there are several."""
        found = self._tasks(task["data"]["session_id"])
        if len(found) > 1:
            numbers = " and ".join(str(number) for number, _ in found)
            raise InputError(f"the project holds it twice, as tasks {numbers}, and both were worked on or differ; delete one")
        return found[0] if found else None

    def data_of(self, session_id: str) -> Json | None:
        """The data of a session's first task, None where it has no task."""
        return next((data for _, data in self._tasks(session_id)), None)

    def is_done(self, task_id: int) -> bool:
        """Whether all who are asked have answered a task."""
        return bool(self._database.execute("SELECT done FROM task WHERE id = ?", (task_id,)).fetchone()[0])

    def predictions(self, task_id: int, prediction: Json) -> tuple[bool, list[int]]:
        """Whether the task holds just this prediction, and the numbers of the others of its model version."""
        query = "SELECT id, result FROM prediction WHERE task_id = ? AND version = ? ORDER BY id"
        rows = self._database.execute(query, (task_id, prediction["model_version"])).fetchall()
        same = [number for number, result in rows if result == _canonical(prediction["result"])][:1]
        return bool(same), [number for number, _ in rows if number not in same]

    def _tasks(self, session_id: str) -> list[tuple[int, Json]]:
        rows = self._database.execute("SELECT id, data FROM task WHERE session_id = ? ORDER BY id", (session_id,))
        return [(number, json.loads(data)) for number, data in rows]


def _canonical(result: Any) -> str:
    return json.dumps(result, sort_keys=True)
