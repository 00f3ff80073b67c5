"""An archive job: one window of one node, from the archive to sessions with detections. Written once, for every engine."""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from detectors.base import Load
from importers.hls import SECOND, Archive, Block, Hole, plan
from pipeline.engine import AHEAD, Engine, Item, Known
from pipeline.journal import Journal
from pipeline.stages import FETCHES, CutBlock, CutStage, DetectStage, Screen, as_detection, kept_path
from podcast.errors import InputError, Refusal
from podcast.model import ModelRun, Recording, Session
from podcast.report import Report


@dataclass(frozen=True, slots=True)
class Job:
    """What to do. `to` is the folder for WAVs (any storage URI), `work` one of this machine for the journal and for segments.

    `load` makes the detector, None for sessions without predictions; detections of a confidence of at least `threshold` are
    kept. With `candidates_only`, sessions without one are neither written nor given out.
    """

    archive: Archive
    node: str
    start: datetime
    end: datetime
    to: str
    work: Path
    session_s: int = 60
    load: Load | None = None
    threshold: float = 0.0
    candidates_only: bool = False

    @property
    def folder(self) -> Path:
        """Where this job's state lies: the same for the same audio, whatever the detector."""
        what = (self.archive, self.node, self.start.timestamp(), self.end.timestamp(), self.to, self.session_s)
        return self.work / f"{self.node}-{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}"


def run(
    job: Job, engine: Engine, notes: Report, progress: Callable[[float], None] = lambda _: None
) -> Iterator[Session | Refusal]:
    """The job's sessions in order of time, those of an interrupted run without doing them again.

    Holes and damaged segments become warnings in `notes`, with counts. `progress` is called with seconds of the window that are
    done. Raises InputError for a wrong window or node, and for candidates without a detector, StorageError where the archive or
    the destination fails.
    """
    if job.candidates_only and job.load is None:
        raise InputError("candidates are what a detector finds; name one")
    model_run = job.load().model_run if job.load else None
    kept = job.folder / "segments"
    kept.mkdir(parents=True, exist_ok=True)
    with closing(Journal(job.folder / "journal.sqlite")) as journal:
        refusals: list[Refusal] = []
        cut = _cut(job, engine, journal, partial(_note, notes, refusals), kept, model_run)
        for block, rows in _detected(job, engine, journal, cut, model_run):
            sessions = list(_sessions(job, block, rows, model_run))
            yield from sessions
            yield from (Refusal(name, reason) for name, reason in block.conflicts)
            for problem in block.problems:
                notes.warn(problem)
            notes.counts["damaged or missing segments"] += len(block.problems)
            if job.candidates_only:
                notes.counts["sessions without a candidate"] += len(block.sessions) - len(sessions) + len(block.passed_over_s)
            progress(sum(written.duration_s for written in block.sessions) + sum(block.passed_over_s))
        yield from refusals
    shutil.rmtree(kept, ignore_errors=True)


def _note(notes: Report, refusals: list[Refusal], found: Hole | Refusal) -> None:
    if isinstance(found, Refusal):
        refusals.append(found)
    else:
        notes.warn(str(found))
        notes.counts["holes"] += found.end_us > found.start_us
        notes.counts["seconds missing"] += max(0, round((found.end_us - found.start_us) / SECOND))


def _cut(
    job: Job,
    engine: Engine,
    journal: Journal,
    note: Callable[[Hole | Refusal], None],
    kept: Path,
    model_run: ModelRun | None,
) -> Iterator[CutBlock]:
    screen = Screen(job.load, job.threshold) if job.candidates_only and job.load else None
    done = f"cut, with {model_run} from {job.threshold}" if screen else "cut"

    def items() -> Iterator[tuple[Block, bool] | Known]:
        for found in plan(job.archive, job.node, job.start, job.end, job.session_s):
            if not isinstance(found, Block):
                note(found)
            elif known := journal.get("cut", found.key) or journal.get(done, found.key):
                yield Known((CutBlock.from_json(known), ()))
            else:
                yield found, journal.begin(found.key)

    stage = CutStage(job.archive, job.to, str(kept) if engine.keeps_segments else "", screen)
    previous: tuple[str, ...] = ()
    for block, fetched in engine.map(stage, _fetched(stage, items()) if stage.kept else items(), model=screen is not None):
        if fetched and not block.conflicts:
            journal.put(done, block.key, block.as_json())
        # The last segments may be needed by the next block.
        for uri in (*previous, *fetched[:-2]):
            kept_path(str(kept), uri).unlink(missing_ok=True)
        previous = fetched[-2:]
        yield block


def _fetched(stage: CutStage, items: Iterable[tuple[Block, bool] | Known]) -> Iterator[tuple[Block, bool] | Known]:
    """The items, each when its segments are kept; those of the next are fetched in the meantime."""
    waiting: deque[tuple[tuple[Block, bool] | Known, dict[str, Future[None]]]] = deque()
    fetches: dict[str, Future[None]] = {}
    with ThreadPoolExecutor(FETCHES, thread_name_prefix="fetch") as pool:
        try:
            for item in items:
                uris = [] if isinstance(item, Known) else [segment.uri for segment in item[0].segments]
                # A block shares segments with the one before it.
                fetches = {uri: fetches.get(uri) or pool.submit(stage.keep, uri) for uri in uris}
                waiting.append((item, fetches))
                if len(waiting) > AHEAD:
                    yield _complete(*waiting.popleft())
            while waiting:
                yield _complete(*waiting.popleft())
        finally:
            for _, futures in waiting:
                for future in futures.values():
                    future.cancel()


def _complete(item: Item, futures: dict[str, Future[None]]) -> Item:
    for future in futures.values():
        future.result()
    return item


def _detected(
    job: Job, engine: Engine, journal: Journal, blocks: Iterable[CutBlock], model_run: ModelRun | None
) -> Iterator[tuple[CutBlock, dict[str, list[Any]]]]:
    if job.load is None:
        yield from ((block, {}) for block in blocks)
        return
    waiting: list[CutBlock] = []

    def items() -> Iterator[CutBlock | Known]:
        for block in blocks:
            waiting.append(block)
            known = journal.get(str(model_run), block.key)
            # Of a run for candidates alone it may lack sessions.
            whole = known is not None and all(session.session_id in known for session in block.sessions)
            yield Known(known) if whole else block

    for rows in engine.map(DetectStage(job.load), items(), model=True):
        block = waiting.pop(0)
        journal.put(str(model_run), block.key, rows)
        yield block, rows


def _sessions(job: Job, block: CutBlock, rows: dict[str, list[Any]], model_run: ModelRun | None) -> Iterator[Session]:
    for written in block.sessions:
        detections = [as_detection(row, model_run) for row in rows[written.session_id]] if model_run else []
        kept = tuple(item for item in detections if item.confidence >= job.threshold)
        if kept or not job.candidates_only:
            recording = Recording(
                written.uri, block.node, written.start, written.duration_s, written.sha256, audio_uri=written.uri
            )
            runs = (model_run,) if model_run else ()
            yield Session(written.session_id, recording, written.session_id, detections=kept, model_runs=runs)
