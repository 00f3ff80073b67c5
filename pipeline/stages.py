"""The two stages of an archive job: a block of the archive to WAVs, and WAVs to detections."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from detectors.base import Detector, Load
from importers.hls import SECOND, Archive, Block, Cut, Segment, needs
from importers.hls_audio import DRIFT_US, Packets, Pcm, cut_session, take_apart
from podcast import audio, storage
from podcast.errors import InputError, NotFoundError, PodcastError, StorageError
from podcast.model import Detection, ModelRun, SoundEvent
from podcast.times import node_name

FETCHES = 16
"""Segments that are fetched at the same time."""
UPLOADS = 3
"""WAVs that are written at the same time."""


@dataclass(frozen=True, slots=True)
class Written:
    """A session whose WAV is written: `start_us` is Unix time in microseconds; `sha256` is the file's, once it is there."""

    session_id: str
    uri: str
    start_us: int
    frames: int
    sample_rate: int
    sha256: str = ""

    @property
    def start(self) -> datetime:
        """UTC of the first sample."""
        return datetime.fromtimestamp(self.start_us // SECOND, UTC) + timedelta(microseconds=self.start_us % SECOND)

    @property
    def duration_s(self) -> float:
        """Length in seconds, on the millisecond grid."""
        return round(self.frames / self.sample_rate, 3)


@dataclass(frozen=True, slots=True)
class CutBlock:
    """What became of a block: its sessions, in order, `problems` of the archive, and `conflicts` with files that are there.

    `passed_over_s` are the lengths, in seconds, of sessions that were cut and not written, since nothing was found in them.
    """

    key: str
    node: str
    sessions: tuple[Written, ...]
    problems: tuple[str, ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()
    passed_over_s: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> CutBlock:
        """The inverse of `as_json`."""
        sessions = tuple(Written(**item) for item in value["sessions"])
        return cls(value["key"], value["node"], sessions, tuple(value["problems"]), (), tuple(value["passed_over_s"]))


@dataclass(frozen=True)
class Detecting:
    """A stage with a detector, which is loaded in the worker and not sent to it."""

    load: Load

    @cached_property
    def detector(self) -> Detector:
        """The detector, loaded once a worker, when the first session comes."""
        return self.load()


@dataclass(frozen=True)
class Screen(Detecting):
    """Whether a detector finds something of a confidence of at least `threshold` in a session."""

    threshold: float

    def __call__(self, samples: Pcm, sample_rate: int) -> bool:
        """The same answer as for the WAV that would be written."""
        found = self.detector.detect([(samples.astype(np.float32) * np.float32(1 / 32768), sample_rate)])[0]
        return any(item.confidence >= self.threshold for item in found)


@dataclass(frozen=True)
class CutStage:
    """Cuts the sessions of a block and writes them, those alone that pass the `screen` if there is one, to the folder `to`.

    `kept` is a folder of this machine for segments that were fetched beforehand (`keep`), so that an interrupted job does not
    fetch them twice; empty: nothing is kept, and the stage fetches in parallel by itself. An item is a block, and whether an
    earlier run had begun it: then its WAVs are taken as they are.
    """

    archive: Archive
    to: str
    kept: str = ""
    screen: Screen | None = None

    def __call__(self, item: tuple[Block, bool]) -> tuple[CutBlock, tuple[str, ...]]:
        """Cut one block; gives the segments that it needed as well. Raises StorageError if archive or destination fails."""
        block, begun = item
        sessions = {cut.name: [adopted] for cut in block.cuts if begun and (adopted := self._adopt(cut))}
        todo = [cut for cut in block.cuts if cut.name not in sessions]
        problems: list[str] = []
        conflicts: list[tuple[str, str]] = []
        passed_over_s: list[float] = []
        needed = [item.uri for item in block.segments if any(needs(cut, item) for cut in todo)]
        with closing(self._contents(needed)) as contents, ThreadPoolExecutor(UPLOADS, thread_name_prefix="write") as pool:
            segments = Segments(zip(needed, contents, strict=True))
            uploads: list[tuple[Cut, Future[Written | str]]] = []
            for cut in todo:
                pieces, wrong = cut_session(cut, block.segments, segments.take)
                problems += [f"{cut.name}: {problem}" for problem in wrong]
                for piece in pieces:
                    name = cut.name if piece.start_us == cut.start_us else piece_name(block.node, piece.start_us)
                    written = Written(name, storage.join(self.to, f"{name}.wav"), piece.start_us, piece.frames, piece.sample_rate)
                    samples = piece.samples
                    if self.screen and not self.screen(samples, piece.sample_rate):
                        passed_over_s.append(written.duration_s)
                        continue
                    content = audio.wav_bytes(samples, piece.sample_rate)
                    uploads.append((cut, pool.submit(_write, written, content)))
                if len(uploads) >= UPLOADS:
                    uploads[-UPLOADS][1].result()
            for cut, upload in uploads:
                done = upload.result()
                if isinstance(done, Written):
                    sessions.setdefault(cut.name, []).append(done)
                else:
                    conflicts.append((cut.name, done))
        ordered = tuple(item for cut in block.cuts for item in sessions.get(cut.name, ()))
        became = CutBlock(block.key, block.node, ordered, tuple(problems), tuple(conflicts), tuple(passed_over_s))
        return became, tuple(segment.uri for segment in block.segments)

    def _adopt(self, cut: Cut) -> Written | None:
        """The session that an interrupted run of the same job wrote whole, if its length is that of the cut."""
        uri = storage.join(self.to, f"{cut.name}.wav")
        try:
            content = storage.read(uri)
        except NotFoundError:
            return None
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            length_us = sound.frames * SECOND / sound.samplerate
            if abs(length_us - (cut.end_us - cut.start_us)) > DRIFT_US:
                return None
            digest = hashlib.sha256(content).hexdigest()
            return Written(cut.name, uri, cut.start_us, sound.frames, sound.samplerate, digest)

    def keep(self, uri: str) -> None:
        """Fetch a segment into `kept`, unless it is there. One that cannot be fetched is left to its cut, which says so.

        Raises StorageError if it cannot be kept: the disk is full.
        """
        path = kept_path(self.kept, uri)
        if path.exists():
            return
        try:
            content = self._fetch(uri)
        except StorageError:
            return
        storage.write(str(path), content)

    def _contents(self, uris: Iterable[str]) -> Generator[bytes | StorageError, None, None]:
        """Segments in order. Kept ones are read one after the other: threads that read ahead would slow the decoder down."""
        yield from map(self._kept, uris) if self.kept else storage.read_all(uris, self._fetch, FETCHES)

    def _kept(self, uri: str) -> bytes | StorageError:
        try:
            return kept_path(self.kept, uri).read_bytes()
        except FileNotFoundError:
            try:
                return self._fetch(uri)
            except StorageError as error:
                return error

    def _fetch(self, uri: str) -> bytes:
        return self.archive.store.read(uri, 0, None)


def _write(session: Written, content: bytes) -> Written | str:
    """Write one WAV; a sentence if another file has its name already."""
    if not storage.replace(session.uri, None, content) and storage.read(session.uri) != content:
        return f"{session.uri} holds other audio; choose another folder for the audio"
    return replace(session, sha256=hashlib.sha256(content).hexdigest())


def kept_path(folder: str, uri: str) -> Path:
    """Where a fetched segment is kept: node, folder and name in one."""
    return Path(folder) / "_".join(uri.split("/")[-4:])


def piece_name(node: str, start_us: int) -> str:
    """The name of a session that begins at this moment of the clock, in microseconds."""
    return node_name(node, datetime.fromtimestamp(start_us // SECOND, UTC))


class Segments:
    """A block's segments by address. Each is fetched in order, split into packets once, and kept until no later cut needs it."""

    def __init__(self, stream: Iterator[tuple[str, bytes | StorageError]]) -> None:
        self._stream = stream
        self._held: dict[str, Packets | PodcastError] = {}

    def take(self, segment: Segment) -> Packets:
        """The packets of a segment. Raises StorageError if it could not be fetched, InputError if it is damaged."""
        while segment.uri not in self._held:
            if len(self._held) > FETCHES:
                del self._held[next(iter(self._held))]
            uri, content = next(self._stream)
            self._held[uri] = self._packets(content, uri)
        found = self._held[segment.uri]
        if isinstance(found, PodcastError):
            raise found
        return found

    def _packets(self, content: bytes | StorageError, uri: str) -> Packets | PodcastError:
        try:
            return content if isinstance(content, StorageError) else take_apart(content, uri)
        except InputError as error:
            return error


@dataclass(frozen=True)
class DetectStage(Detecting):
    """Runs a detector over the sessions of a block. An item is a CutBlock; the result has a list for each session, by its id:
    `[start_s, end_s, low_hz, high_hz, label, confidence]` in time order."""

    def __call__(self, block: CutBlock) -> dict[str, list[list[Any]]]:
        """Detect in one block. Raises StorageError if a WAV cannot be read."""
        answers = ((session.session_id, self.detector.detect([audio.read(session.uri)])[0]) for session in block.sessions)
        return {session_id: [_as_row(found) for found in detections] for session_id, detections in answers}


def _as_row(found: Detection) -> list[Any]:
    event = found.event
    return [event.start_s, event.end_s, event.low_hz, event.high_hz, found.label, found.confidence]


def as_detection(row: list[Any], run: ModelRun) -> Detection:
    """The inverse of the rows of `DetectStage`."""
    return Detection(SoundEvent(*row[:4]), row[4], row[5], run)
