"""A pool is listened to before anybody hears it: WAVs, or a window of the archive, through the detector, and nothing is written.

An interrupted run goes on where it was; another plan of the same pool, by the same model, listens to nothing anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from detectors.base import Load
from detectors.batch import file_state
from detectors.impression import Impression, impression
from importers.hls import SECOND, Archive, Block, Hole, needs, plan
from importers.hls_audio import cut_session
from pipeline.engine import Engine, Known
from pipeline.journal import Journal
from pipeline.stages import FETCHES, Detecting, Segments, piece_name
from podcast import audio, storage
from podcast.errors import PodcastError, Refusal
from podcast.report import Report

AT_ONCE = 10
"""WAVs that are listened to together."""


@dataclass(frozen=True, slots=True)
class Listened:
    """A session that was listened to: `uri` is its WAV, empty in the archive; `start` UTC where the archive tells it."""

    name: str
    impression: Impression
    duration_s: float
    uri: str = ""
    start: datetime | None = None


@dataclass(frozen=True)
class ListenStage(Detecting):
    """Listens to one item: a block of the archive, or some WAVs. The result is for the journal: rows of name, length in seconds,
    start in microseconds and impression, and what could not be read, by name and in words."""

    archive: Archive | None = None

    def __call__(self, item: Block | tuple[str, ...]) -> dict[str, list[list[Any]]]:
        """Raises StorageError if the archive fails."""
        return self._of_block(item) if isinstance(item, Block) else self._of_files(item)

    def _of_files(self, uris: tuple[str, ...]) -> dict[str, list[list[Any]]]:
        rows, wrong = [], []
        for uri in uris:
            try:
                samples, sample_rate = audio.read(uri)
                rows.append([uri, len(samples) / sample_rate, None, impression(self.detector, samples, sample_rate).as_json()])
            except PodcastError as error:
                wrong.append([uri, str(error).removeprefix(f"{uri}: ")])
        return {"rows": rows, "wrong": wrong}

    def _of_block(self, block: Block) -> dict[str, list[list[Any]]]:
        assert self.archive is not None
        rows, wrong = [], []
        needed = [item.uri for item in block.segments if any(needs(cut, item) for cut in block.cuts)]
        fetch = self.archive.store
        with closing(storage.read_all(needed, lambda uri: fetch.read(uri, 0, None), FETCHES)) as contents:  # type: ignore[type-var]
            segments = Segments(zip(needed, contents, strict=True))
            for cut in block.cuts:
                pieces, problems = cut_session(cut, block.segments, segments.take)
                wrong += [[cut.name, problem] for problem in problems]
                for piece in pieces:
                    name = cut.name if piece.start_us == cut.start_us else piece_name(block.node, piece.start_us)
                    samples = piece.samples.astype(np.float32) * np.float32(1 / 32768)
                    heard = impression(self.detector, samples, piece.sample_rate).as_json()
                    rows.append([name, (piece.end_us - piece.start_us) / SECOND, piece.start_us, heard])
        return {"rows": rows, "wrong": wrong}


def listen_to_files(
    uris: Iterable[str], load: Load, engine: Engine, work: Path, advance: Callable[[int], None] = lambda _: None
) -> Iterator[Listened | Refusal]:
    """Listen to WAVs, in their order; a damaged one is refused. `work` is a folder of this machine for the journal."""

    def items() -> Iterator[tuple[str, tuple[str, ...]]]:
        waiting = iter(uris)
        while some := tuple(islice(waiting, AT_ONCE)):
            yield "\n".join(f"{uri} {file_state(uri)}" for uri in some), some

    for found in _listen(ListenStage(load), items(), engine, work):
        for uri, duration_s, _, heard in found["rows"]:
            yield Listened(storage.stem(uri), Impression.from_json(heard), duration_s, uri)
        yield from (Refusal(uri, reason) for uri, reason in found["wrong"])
        advance(len(found["rows"]) + len(found["wrong"]))


def listen_to_archive(
    archive: Archive,
    node: str,
    window: tuple[datetime, datetime],
    session_s: int,
    load: Load,
    engine: Engine,
    work: Path,
    notes: Report,
    advance: Callable[[float], None] = lambda _: None,
) -> Iterator[Listened | Refusal]:
    """Listen to a window of the archive, in order of time; holes and damage become warnings in `notes`.

    `advance` is told of seconds that are done. Raises InputError for a wrong window or node, StorageError if the archive fails.
    """
    refused: list[Refusal] = []

    def items() -> Iterator[tuple[str, Block]]:
        for found in plan(archive, node, *window, session_s):
            if isinstance(found, Block):
                yield f"{archive}/{node}/{found.key}", found
            elif isinstance(found, Hole):
                notes.warn(str(found))
            else:
                refused.append(found)

    for found in _listen(ListenStage(load, archive), items(), engine, work):
        for name, duration_s, start_us, heard in found["rows"]:
            start = datetime.fromtimestamp(start_us // SECOND, UTC) + timedelta(microseconds=start_us % SECOND)
            yield Listened(name, Impression.from_json(heard), duration_s, start=start)
        for name, problem in found["wrong"]:
            notes.warn(f"{name}: {problem}")
        advance(sum(row[1] for row in found["rows"]))
    yield from refused


def _listen(stage: ListenStage, items: Iterable[tuple[str, Any]], engine: Engine, work: Path) -> Iterator[dict[str, Any]]:
    version, keys = str(stage.detector.model_run), list[str]()
    fresh = ListenStage(stage.load, stage.archive)  # without the model, which every worker loads for itself
    with closing(Journal(work / "listened.sqlite")) as journal:

        def todo() -> Iterator[Any]:
            for words, item in items:
                key = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
                known = journal.get(version, key)
                keys.append("" if known else key)
                yield Known(known) if known else item

        for found in engine.map(fresh, todo(), model=True):
            if key := keys.pop(0):
                journal.put(version, key, found)
            yield found
