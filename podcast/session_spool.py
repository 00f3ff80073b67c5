"""Sort and re-read a stream of sessions that may not fit into memory."""

from __future__ import annotations

import copyreg
import io
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import groupby
from operator import attrgetter
from types import TracebackType
from typing import Any, Self

from podcast.model import Annotation, Detection, Heard, ModelRun, Planned, Recording, Review, Session, Sighting, SoundEvent


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
        row = (session.id, session.round, _dump(session))
        return self._database.execute("INSERT OR IGNORE INTO session VALUES (?, ?, ?)", row).rowcount == 1

    def get(self, session_id: str, round_name: str) -> Session | None:
        """One session."""
        query = "SELECT content FROM session WHERE id = ? AND round = ?"
        row = self._database.execute(query, (session_id, round_name)).fetchone()
        return _load(row[0]) if row else None

    def by_id(self, *, shared: bool = False) -> Iterator[list[Session]]:
        """The sessions of one id, from all rounds in order of their names; ids in order of their Unicode code points.

        `shared` gives only the ids that several rounds have.
        """
        where = "WHERE id IN (SELECT id FROM session GROUP BY id HAVING count(*) > 1)" if shared else ""
        rows = self._database.execute(f"SELECT id, content FROM session {where} ORDER BY id, round")  # noqa: S608 (fixed text)
        for _, same in groupby(rows, key=lambda row: str(row[0])):
            yield [_load(content) for _, content in same]


def _dump(session: Session) -> bytes:
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _REDUCERS
    pickler.dump(session)
    return buffer.getvalue()


def _load(content: bytes) -> Session:
    session: Session = pickle.loads(content)  # noqa: S301 (written by this very object)
    return session


def _rebuild(kind: type[Any], *values: object) -> Any:
    """A record as it was, without the checks that it has passed already."""
    record = object.__new__(kind)
    for put, value in zip(_SETTERS[kind], values, strict=True):
        put(record, value)
    return record


def _reducer(kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    values = attrgetter(*(item.name for item in fields(kind)))
    return lambda record: (_rebuild, (kind, *values(record)))


# How dataclasses pickle frozen records with slots takes three times as long.
_RECORDS = (Annotation, Detection, Heard, ModelRun, Planned, Recording, Review, Session, Sighting, SoundEvent)
_SETTERS: dict[type[Any], list[Callable[[object, object], None]]] = {
    kind: [getattr(kind, item.name).__set__ for item in fields(kind)] for kind in _RECORDS
}
_REDUCERS = copyreg.dispatch_table | {kind: _reducer(kind) for kind in _RECORDS}
