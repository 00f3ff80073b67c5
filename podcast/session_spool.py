"""Sort and re-read a stream of sessions that may not fit into memory."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from types import TracebackType
from typing import Self

from podcast.model import Session


class SessionSpool:
    """Sessions in a temporary SQLite database that is gone when its `with` block ends; given back as often as asked."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE session (id TEXT, round TEXT, content BLOB, PRIMARY KEY (id, round))")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.close()

    def add(self, session: Session) -> bool:
        """Keep one session; False, and nothing is kept, if its round has a session of this id already."""
        row = (session.id, session.round, pickle.dumps(session, pickle.HIGHEST_PROTOCOL))
        return self._database.execute("INSERT OR IGNORE INTO session VALUES (?, ?, ?)", row).rowcount == 1

    def get(self, session_id: str, round_name: str) -> Session | None:
        """One session."""
        query = "SELECT content FROM session WHERE id = ? AND round = ?"
        row = self._database.execute(query, (session_id, round_name)).fetchone()
        return _load(row[0]) if row else None

    def by_id(self) -> Iterator[list[Session]]:
        """The sessions of one id, from all rounds in order of their names; ids in order of their Unicode code points."""
        rows = self._database.execute("SELECT id, content FROM session ORDER BY id, round")
        for _, same in groupby(rows, key=lambda row: str(row[0])):
            yield [_load(content) for _, content in same]


def _load(content: bytes) -> Session:
    session: Session = pickle.loads(content)  # noqa: S301 (written by this very object)
    return session
