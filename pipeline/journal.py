"""What a job has done, on disk: an interrupted job goes on where it was."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any


class Journal:
    """Results of blocks by stage and key. A row is written after the work is done: a kill between the two means that the work is
    done again, never that it is missing."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS begun (key TEXT PRIMARY KEY) WITHOUT ROWID")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS done (stage TEXT, key TEXT, result TEXT, PRIMARY KEY (stage, key)) WITHOUT ROWID"
        )

    def begin(self, key: str) -> bool:
        """Note that work on a block begins; True if an earlier run had begun it."""
        return not self._database.execute("INSERT OR IGNORE INTO begun VALUES (?)", (key,)).rowcount

    def get(self, stage: str, key: str) -> Any:
        """A result, None if there is none."""
        row = self._database.execute("SELECT result FROM done WHERE stage = ? AND key = ?", (stage, key)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, stage: str, key: str, result: Any) -> None:
        """Keep a result."""
        self._database.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?)", (stage, key, json.dumps(result)))

    def close(self) -> None:
        """Close the file."""
        self._database.close()
