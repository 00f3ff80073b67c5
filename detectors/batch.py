"""Many recordings through one detector: in parallel, with memory that does not grow, and going on where it was interrupted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from detectors.base import Detector
from podcast import audio, storage
from podcast.errors import InputError, PodcastError, Refusal


@dataclass(frozen=True, slots=True)
class Result:
    """The boxes of one recording: start, duration (seconds) and confidence of each, in time order."""

    uri: str
    boxes: tuple[tuple[float, float, float], ...]

    @property
    def wav_filename(self) -> str:
        """The file's name, by which tables of predictions know it."""
        return storage.file_name(self.uri)

    @property
    def highest(self) -> float:
        """The highest confidence; 0 without a box."""
        return max((confidence for *_, confidence in self.boxes), default=0.0)


class Journal:
    """Finished recordings, in a SQLite file that outlives an interruption. Use it in a `with` block.

    A row counts only for the same address, content (size and time of change, of local files) and model version. Two recordings
    with one file name are refused, since a table of predictions could not tell them apart.
    """

    def __init__(self, path: Path, model_version: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._version = path, model_version
        self._database = sqlite3.connect(path)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS done (name TEXT PRIMARY KEY, uri TEXT, state TEXT, version TEXT, boxes TEXT, run INTEGER)"
        )
        self._database.execute("UPDATE done SET run = 0")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.commit()
        self._database.close()

    def holds(self, uri: str) -> bool:
        """Whether the recording was finished before; if so it belongs to this run too. Raises InputError for a name in use."""
        row = self._database.execute(
            "SELECT uri, state, version, run FROM done WHERE name = ?", (storage.file_name(uri),)
        ).fetchone()
        if row and row[3] and row[0] != uri:
            raise InputError(f"has the same file name as {row[0]}; give each recording a name of its own")
        if row is None or row[:3] != (uri, file_state(uri), self._version):
            return False
        self._database.execute("UPDATE done SET run = 1 WHERE name = ?", (storage.file_name(uri),))
        return True

    def add(self, result: Result) -> None:
        """Keep one result; it is on the disk when this returns. Raises InputError for a name in use."""
        if self.holds(result.uri):
            return
        row = (result.wav_filename, result.uri, file_state(result.uri), self._version, json.dumps(result.boxes))
        self._database.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?, 1)", row)
        self._database.commit()

    def results(self) -> Iterator[Result]:
        """All results of this run, in order of file names."""
        for uri, boxes in self._database.execute("SELECT uri, boxes FROM done WHERE run = 1 ORDER BY name"):
            yield Result(uri, tuple(tuple(box) for box in json.loads(boxes)))

    def delete(self) -> None:
        """Remove the file, once the results are written elsewhere."""
        self._database.close()
        self._path.unlink()
        self._database = sqlite3.connect("")


def recordings(sources: Iterable[str]) -> Iterator[str]:
    """The WAVs that files, folders and prefixes (any storage URI) name, folders in order."""
    for source in sources:
        if source.lower().endswith(".wav"):
            yield source
        else:
            yield from storage.list_files(source, ".wav")


def run(
    detector: Detector, uris: Iterable[str], journal: Journal, workers: int, progress: Callable[[int], None]
) -> Iterator[Refusal]:
    """Detect in every recording that the journal does not hold; gives those that were refused.

    At most two recordings a worker are in memory. `progress` is told of each recording that is done, or was before.
    """
    waiting = iter(uris)

    def fresh() -> Iterator[str | Refusal]:
        for uri in waiting:
            try:
                if not journal.holds(uri):
                    yield uri
                    continue
            except InputError as error:
                yield Refusal(uri, str(error))
            progress(1)

    items = fresh()
    with ThreadPoolExecutor(workers) as pool:
        running: dict[Future[Result], str] = {}
        try:
            while True:
                for item in islice(items, 2 * workers - len(running)):
                    if isinstance(item, Refusal):
                        yield item
                    else:
                        running[pool.submit(_detect, detector, item)] = item
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    uri = running.pop(future)
                    try:
                        journal.add(future.result())
                    except PodcastError as error:
                        yield Refusal(uri, str(error).removeprefix(f"{uri}: "))
                    progress(1)
        finally:
            for future in running:
                future.cancel()


def _detect(detector: Detector, uri: str) -> Result:
    with closing(storage.open_read(uri)) as file:
        samples, sample_rate = audio.decode(file, uri)
    [detections] = detector.detect([(samples, sample_rate)])
    return Result(uri, tuple((d.event.start_s, d.event.duration_s, d.confidence) for d in detections))


def file_state(uri: str) -> str:
    """What changes when a file of this machine is written anew; empty for other files."""
    path = storage.local_path(uri)
    if path is None:
        return ""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"
