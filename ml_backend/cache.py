"""Detections by audio content and model version: on disk, bounded, shared by all workers."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podcast.model import Detection, ModelRun, SoundEvent

logger = logging.getLogger(__name__)

BUSY_S = 10.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What a detector found in one recording, and how long that really is, in seconds."""

    duration_s: float
    detections: tuple[Detection, ...]


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

    def get(self, sha256: str, run: ModelRun) -> Heard | None:
        """What `run` found in the audio with this hash; None if it has not listened yet, or the row is damaged."""
        try:
            with self._connect() as database:
                row = database.execute("SELECT value FROM entry WHERE key = ?", (_key(sha256, run),)).fetchone()
        except (sqlite3.Error, UnicodeError) as error:
            logger.warning("cache not read: %s", error)
            return None
        if row is None:
            return None
        try:
            return _heard(json.loads(row[0]), run)
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("a row of the cache is damaged and is made anew: %s", error)
            return None

    def put(self, sha256: str, run: ModelRun, heard: Heard) -> None:
        """Keep what `run` found."""
        boxes = [
            (item.event.start_s, item.event.end_s, item.event.low_hz, item.event.high_hz, item.label, item.confidence)
            for item in heard.detections
        ]
        value = json.dumps({"duration_s": heard.duration_s, "boxes": boxes}, allow_nan=False)
        try:
            with self._connect() as database:
                database.execute("INSERT OR REPLACE INTO entry (key, value) VALUES (?, ?)", (_key(sha256, run), value))
                database.execute("DELETE FROM entry WHERE number <= (SELECT max(number) FROM entry) - ?", (self._max_entries,))
        except sqlite3.Error as error:
            logger.warning("cache not written: %s", error)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=BUSY_S)) as database, database:
            yield database


def _key(sha256: str, run: ModelRun) -> str:
    return f"{sha256} {run}"


def _heard(value: Any, run: ModelRun) -> Heard:
    """A row as it was put. Raises ValueError, TypeError or KeyError for anything else."""
    detections = tuple(
        Detection(SoundEvent(start_s, end_s, low_hz, high_hz), str(label), float(confidence), run)
        for start_s, end_s, low_hz, high_hz, label, confidence in value["boxes"]
    )
    numbers = [float(value["duration_s"]), *(item.confidence for item in detections)]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("numbers must be finite")
    return Heard(numbers[0], detections)
