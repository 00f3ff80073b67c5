"""The pool of a plan: every session that could be heard, on disk in order of node and time, so that memory does not grow."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from podcast.model import Recording
from podcast.times import PACIFIC, YEARS

Numbers = npt.NDArray[np.float64]
MINUTE_S = 60.0
"""The length of a session whose audio nobody has opened."""
SHARED_S = 2.0
"""Two stretches of one node that share more than this are the same audio."""
CHUNK = 50_000
"""Sessions without a time that are looked at together."""
PART = 1000
"""Sessions whose sounds are looked at together."""
_COLUMNS = ("name", "start_s", "duration_s", "source", "chance", "doubt", "kind", "luck", "alike")
_SCHEMA = """
CREATE TABLE session (
    name TEXT PRIMARY KEY, node TEXT, start_s REAL, duration_s REAL, source TEXT, chance REAL, doubt REAL, vector BLOB,
    kind INTEGER, luck REAL, alike REAL, held INTEGER
) WITHOUT ROWID;
CREATE INDEX by_time ON session (node, start_s);
CREATE TABLE heard (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_ADD = """
INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, 0)
ON CONFLICT (name) DO UPDATE SET chance = max(chance, excluded.chance), doubt = max(doubt, excluded.doubt)
WHERE source = excluded.source
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A session that could be heard. `source` is the pool that it came from, as it was named.

    `chances` are the probabilities of its boxes, None where nobody listened; `vector` says how it sounds, where a detector tells;
    `alike` how much something in it is like what is looked for, from 0 to 1.
    """

    name: str
    node: str
    start: datetime | None
    source: str
    duration_s: float = MINUTE_S
    chances: tuple[float, ...] | None = None
    vector: tuple[float, ...] = ()
    alike: float = 0.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some sessions of one node in order of time; `own` are those that it is about, the others lie close to its ends.

    `month` is that of UTC (`2020-09`), empty where the names tell no time.
    """

    node: str
    month: str
    own: npt.NDArray[np.bool_]
    columns: dict[str, tuple[Any, ...]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.own)

    def numbers(self, column: str) -> Numbers:
        """One column, shape (sessions,), 0 where nothing is known; `start_s` in seconds since 1970, `luck` even from 0 to 1."""
        return np.array([value or 0.0 for value in self.columns[column]], float)

    def hours(self) -> npt.NDArray[np.int64]:
        """The hour of day of each, by the clock at the hydrophones; 0 without a time."""
        if not self.month:
            return np.zeros(len(self), np.int64)
        # The clock there differs from UTC by whole hours, which change twice a year, at a full hour.
        of_hour: dict[int, int] = {}
        for start_s in self.columns["start_s"]:
            if (hour := int(start_s // 3600)) not in of_hour:
                of_hour[hour] = datetime.fromtimestamp(hour * 3600, PACIFIC).hour
        return np.array([of_hour[int(start_s // 3600)] for start_s in self.columns["start_s"]], np.int64)


class Pool:
    """Candidates in a temporary SQLite database that is gone when its `with` block ends.

    The seed gives each its luck by its name, so that the order in which they come changes nothing.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = str(seed)
        self._database = sqlite3.connect("")
        self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.close()

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Keep candidates. One that comes again from the same source adds what was found in it; from another, nothing."""
        rows = (
            (
                item.name,
                item.node,
                item.start.timestamp() if item.start else None,
                item.duration_s,
                item.source,
                None if item.chances is None else max(item.chances, default=0.0),
                None if item.chances is None else max(map(doubt, item.chances), default=0.0),
                np.array(item.vector, np.float32).tobytes() if item.vector else None,
                self.luck(item.name),
                item.alike,
            )
            for item in candidates
        )
        self._database.executemany(_ADD, rows)

    def hold(self, name: str, recording: Recording) -> None:
        """Leave out a session that a round or a release has: by its name, its audio (see `holds`), and its time at its node.

        Call it when all candidates are there.
        """
        self._database.execute("UPDATE session SET held = 1 WHERE name = ?", (name,))
        if recording.sha256:
            self._database.execute("INSERT OR IGNORE INTO heard VALUES (?)", (recording.sha256,))
        if recording.source_guid and recording.start:
            start_s = recording.start.timestamp()
            end_s = start_s + (recording.duration_s or MINUTE_S)
            self._database.execute(
                "UPDATE session SET held = 1 WHERE node = ? AND start_s > ? AND start_s < ? "
                "AND min(start_s + duration_s, ?) - max(start_s, ?) > ?",
                (recording.source_guid, start_s - self.longest_s(recording.source_guid), end_s, end_s, start_s, SHARED_S),
            )

    def holds(self, sha256: str) -> bool:
        """Whether a round or a release has this audio, under whatever name."""
        return self._database.execute("SELECT 1 FROM heard WHERE sha256 = ?", (sha256,)).fetchone() is not None

    @property
    def knows_audio(self) -> bool:
        """Whether `holds` can say anything."""
        return self._database.execute("SELECT 1 FROM heard").fetchone() is not None

    def size(self, *, held: bool = False) -> int:
        """How many sessions can be chosen, or how many cannot, since a round or a release has them."""
        return int(self._database.execute("SELECT count(*) FROM session WHERE held = ?", (held,)).fetchone()[0])

    def longest_s(self, node: str) -> float:
        """The longest session of a node."""
        found = self._database.execute("SELECT max(duration_s) FROM session WHERE node = ?", (node,)).fetchone()[0]
        return float(found or MINUTE_S)

    def chunks(self, around_s: float = 0.0) -> Iterator[Chunk]:
        """All sessions that can be chosen, a month of one node at a time, with those of its neighbours up to `around_s` away."""
        span = "SELECT min(start_s), max(start_s) FROM session WHERE node = ? AND held = 0"
        for (node,) in self._database.execute("SELECT DISTINCT node FROM session WHERE held = 0 ORDER BY node").fetchall():
            first, last = self._database.execute(span, (node,)).fetchone()
            for month, begin_s, end_s in _months(first, last) if first is not None else ():
                rows = self._rows(
                    node, "start_s >= ? AND start_s < ? ORDER BY start_s, name", begin_s - around_s, end_s + around_s
                )
                own = np.array([begin_s <= row[1] < end_s for row in rows], bool)
                if own.any():
                    yield _chunk(node, month, own, rows)
            after = ""
            while rows := self._rows(node, f"start_s IS NULL AND name > ? ORDER BY name LIMIT {CHUNK}", after):
                yield _chunk(node, "", np.ones(len(rows), bool), rows)
                after = rows[-1][0]

    def _rows(self, node: str, which: str, *values: object) -> list[tuple[Any, ...]]:
        query = f"SELECT {', '.join(_COLUMNS)} FROM session WHERE node = ? AND held = 0 AND {which}"  # noqa: S608 (fixed text)
        return self._database.execute(query, (node, *values)).fetchall()

    def vectors(self) -> Iterator[tuple[list[str], Numbers, npt.NDArray[np.bool_]]]:
        """Names, how they sound, shape (sessions, features), and which were heard; in random order, a thousand at a time."""
        query = "SELECT name, vector, held FROM session WHERE vector IS NOT NULL ORDER BY luck, name"
        rows = self._database.execute(query)
        while part := rows.fetchmany(PART):
            sounds = np.stack([np.frombuffer(vector, np.float32) for _, vector, _ in part]).astype(float)
            yield [name for name, *_ in part], sounds, np.array([bool(held) for *_, held in part])

    def put_kinds(self, names: Iterable[str], kinds: Iterable[int]) -> None:
        """Note of which kind of sound sessions are."""
        rows = ((int(kind), name) for name, kind in zip(names, kinds, strict=True))
        self._database.executemany("UPDATE session SET kind = ? WHERE name = ?", rows)

    def luck(self, *what: str) -> float:
        """A number from 0 to 1, both excluded, by the seed and by what it is for."""
        words = "\0".join((self._seed, *what)).encode("utf-8", "surrogatepass")
        return (int.from_bytes(hashlib.blake2b(words, digest_size=8).digest()) + 0.5) / 2**64


def doubt(chance: float) -> float:
    """How little a probability decides: 1 at even chances, 0 outside 0.2 to 0.8."""
    return max(0.0, 1 - abs(2 * chance - 1) / 0.6)


def _chunk(node: str, month: str, own: npt.NDArray[np.bool_], rows: list[tuple[Any, ...]]) -> Chunk:
    return Chunk(node, month, own, dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True)))


def _months(first_s: float, last_s: float) -> Iterator[tuple[str, float, float]]:
    """Each month of UTC from one moment to another: its name, its begin and its end in seconds since 1970."""
    begin = datetime.fromtimestamp(first_s, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while begin.timestamp() <= last_s and begin.year in YEARS:
        end = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
        yield f"{begin:%Y-%m}", begin.timestamp(), end.timestamp()
        begin = end
