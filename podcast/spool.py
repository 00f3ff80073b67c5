"""Rows that are kept on disk and come back in order of their keys, so that memory does not grow with the round."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self


class Spool:
    """A temporary table of JSON values, each under a group and a key; SQLite deletes it on closing. Use it in a `with` block."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE row (part TEXT, key TEXT, value TEXT, PRIMARY KEY (part, key)) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.close()

    def add(self, group: str, key: str, value: Any = None) -> bool:
        """Keep one row; False, and nothing changes, if the group has the key already."""
        query = "INSERT OR IGNORE INTO row VALUES (?, ?, ?)"
        return bool(self._database.execute(query, (group, key, json.dumps(value))).rowcount)

    def has(self, group: str, key: str) -> bool:
        """Whether the group has the key."""
        return self._database.execute("SELECT 1 FROM row WHERE part = ? AND key = ?", (group, key)).fetchone() is not None

    def group(self, group: str) -> Iterator[Any]:
        """The values of one group, in order of their keys."""
        for (value,) in self._database.execute("SELECT value FROM row WHERE part = ? ORDER BY key", (group,)):
            yield json.loads(value)

    def groups(self) -> Iterator[tuple[str, Iterator[Any]]]:
        """Each group and its values, both in order of their keys' Unicode code points."""
        rows = self._database.execute("SELECT part, value FROM row ORDER BY part, key")
        for group, members in itertools.groupby(rows, key=lambda row: str(row[0])):
            yield group, (json.loads(value) for _, value in members)
