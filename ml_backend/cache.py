"""Detections by audio content and model version: on disk, bounded, shared by all workers."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from podcast.model import Detection, ModelRun, SoundEvent

logger = logging.getLogger(__name__)

BUSY_S = 10.0


class DetectionCache:
    """A SQLite file. When it holds more than `max_entries` recordings, the oldest go.

    A cache that cannot be read or written is passed by with a warning: answers then take longer, and are right all the same.
    """

    def __init__(self, folder: Path, max_entries: int) -> None:
        self._path, self._max_entries = folder / "detections.sqlite3", max_entries
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._connect() as database:
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("CREATE TABLE IF NOT EXISTS entry (number INTEGER PRIMARY KEY, key TEXT UNIQUE, value TEXT)")
        except (OSError, sqlite3.Error) as error:
            logger.warning("no cache at %s: %s", self._path, error)

    def get(self, sha256: str, run: ModelRun) -> list[Detection] | None:
        """What `run` found in the audio with this hash; None if it has not listened yet."""
        try:
            with self._connect() as database:
                row = database.execute("SELECT value FROM entry WHERE key = ?", (_key(sha256, run),)).fetchone()
        except sqlite3.Error as error:
            logger.warning("cache not read: %s", error)
            return None
        if row is None:
            return None
        return [
            Detection(SoundEvent(start_s, end_s, low_hz, high_hz), label, confidence, run)
            for start_s, end_s, low_hz, high_hz, label, confidence in json.loads(row[0])
        ]

    def put(self, sha256: str, run: ModelRun, detections: Sequence[Detection]) -> None:
        """Keep what `run` found."""
        value = json.dumps(
            [
                (item.event.start_s, item.event.end_s, item.event.low_hz, item.event.high_hz, item.label, item.confidence)
                for item in detections
            ]
        )
        try:
            with self._connect() as database:
                database.execute("INSERT OR IGNORE INTO entry (key, value) VALUES (?, ?)", (_key(sha256, run), value))
                database.execute("DELETE FROM entry WHERE number <= (SELECT max(number) FROM entry) - ?", (self._max_entries,))
        except sqlite3.Error as error:
            logger.warning("cache not written: %s", error)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=BUSY_S)) as database, database:
            yield database


def _key(sha256: str, run: ModelRun) -> str:
    return f"{sha256} {run}"
