"""The two stages of an archive job: a block of the archive to WAVs, and WAVs to detections."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import soundfile

from detectors.base import Detector, Load
from importers.hls import SECOND, Archive, Block, Cut, Segment, needs
from importers.hls_audio import DRIFT_US, Pcm, cut_session
from podcast import audio, storage
from podcast.errors import NotFoundError, StorageError
from podcast.model import Detection, ModelRun, SoundEvent
from podcast.times import node_name

FETCHES = 16
UPLOADS = 3


@dataclass(frozen=True, slots=True)
class Written:
    """A session whose WAV is written: `start_us` is Unix time in microseconds."""

    session_id: str
    uri: str
    start_us: int
    frames: int
    sample_rate: int
    sha256: str

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
    """What became of a block: its sessions, in order, `problems` of the archive, and `conflicts` with files that are there."""

    key: str
    node: str
    sessions: tuple[Written, ...]
    problems: tuple[str, ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> CutBlock:
        """The inverse of `as_json`."""
        return cls(value["key"], value["node"], tuple(Written(**item) for item in value["sessions"]), tuple(value["problems"]))


@dataclass(frozen=True)
class CutStage:
    """Fetches a block's segments in parallel, cuts its sessions, and writes them to the folder `to`.

    `kept` is a folder of this machine for segments that were fetched, so that an interrupted job does not fetch them twice;
    empty: nothing is kept. An item is a block, and whether an earlier run had begun it: then its WAVs are taken as they are.
    """

    archive: Archive
    to: str
    kept: str = ""

    def __call__(self, item: tuple[Block, bool]) -> tuple[CutBlock, tuple[str, ...]]:
        """Cut one block; gives the segments that it needed as well. Raises StorageError if archive or destination fails."""
        block, begun = item
        sessions: dict[str, list[Written]] = {}
        problems: list[str] = []
        conflicts: list[tuple[str, str]] = []
        todo = []
        for cut in block.cuts:
            adopted = self._adopt(cut) if begun else None
            if adopted:
                sessions[cut.name] = [adopted]
            else:
                todo.append(cut)
        segments = _Segments(block.segments, todo, self._fetch)
        with ThreadPoolExecutor(UPLOADS, thread_name_prefix="write") as pool:
            uploads: list[tuple[Cut, Future[Written | str]]] = []
            for cut in todo:
                pieces, wrong = cut_session(cut, block.segments, segments.take)
                problems += [f"{cut.name}: {problem}" for problem in wrong]
                for piece in pieces:
                    name = cut.name if piece.start_us == cut.start_us else _piece_name(block.node, piece.start_us)
                    uploads.append((cut, pool.submit(self._write, name, piece.start_us, piece.samples, piece.sample_rate)))
                if len(uploads) >= UPLOADS:
                    uploads[-UPLOADS][1].result()
            for cut, upload in uploads:
                written = upload.result()
                if isinstance(written, Written):
                    sessions.setdefault(cut.name, []).append(written)
                else:
                    conflicts.append((cut.name, written))
        segments.close()
        ordered = tuple(item for cut in block.cuts for item in sessions.get(cut.name, ()))
        done = CutBlock(block.key, block.node, ordered, tuple(problems), tuple(conflicts))
        return done, tuple(segment.uri for segment in block.segments)

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

    def _write(self, name: str, start_us: int, samples: Pcm, sample_rate: int) -> Written | str:
        """Write one WAV; a sentence if another file has its name already."""
        uri = storage.join(self.to, f"{name}.wav")
        file = io.BytesIO()
        soundfile.write(file, samples, sample_rate, subtype="PCM_16", format="WAV")
        content = file.getvalue()
        if not storage.replace(uri, None, content) and storage.read(uri) != content:
            return f"{uri} holds other audio; choose another folder for the audio"
        return Written(name, uri, start_us, len(samples), sample_rate, hashlib.sha256(content).hexdigest())

    def _fetch(self, uri: str) -> bytes:
        if not self.kept:
            return self.archive.store.read(uri, 0, None)
        path = kept_path(self.kept, uri)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            content = self.archive.store.read(uri, 0, None)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)
        return content


def kept_path(folder: str, uri: str) -> Path:
    """Where a fetched segment is kept: node, folder and name in one."""
    return Path(folder) / "_".join(uri.split("/")[-4:])


def _piece_name(node: str, start_us: int) -> str:
    return node_name(node, datetime.fromtimestamp(start_us // SECOND, UTC))


class _Segments:
    """A block's segments, fetched in parallel and in order, each held until the last cut that needs it is done."""

    def __init__(self, segments: tuple[Segment, ...], cuts: list[Cut], fetch: Any) -> None:
        self._needed = [item for item in segments if any(needs(cut, item) for cut in cuts)]
        self._stream: Iterator[bytes | StorageError] = storage.read_all((item.uri for item in self._needed), fetch, FETCHES)
        self._next = 0
        self._held: dict[str, bytes | StorageError] = {}

    def take(self, segment: Segment) -> bytes:
        """The bytes of a segment. Raises StorageError if it could not be fetched."""
        while segment.uri not in self._held:
            if len(self._held) > FETCHES:
                del self._held[next(iter(self._held))]
            self._held[self._needed[self._next].uri] = next(self._stream)
            self._next += 1
        content = self._held[segment.uri]
        if isinstance(content, StorageError):
            raise content
        return content

    def close(self) -> None:
        """Stop fetching."""
        if hasattr(self._stream, "close"):
            self._stream.close()


@dataclass(frozen=True)
class DetectStage:
    """Runs a detector over the sessions of a block. An item is a CutBlock; the result names it and lists, session by session,
    `[start_s, end_s, low_hz, high_hz, label, confidence]` in time order."""

    load: Load
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, block: CutBlock) -> list[list[list[Any]]]:
        """Detect in one block. Raises StorageError if a WAV cannot be read."""
        return [[_as_row(found) for found in self.detector.detect([audio.read(written.uri)])[0]] for written in block.sessions]

    @cached_property
    def detector(self) -> Detector:
        """Loaded when the first block comes, once a worker."""
        return self.load(**self.options)


def _as_row(found: Detection) -> list[Any]:
    event = found.event
    return [event.start_s, event.end_s, event.low_hz, event.high_hz, found.label, found.confidence]


def as_detection(row: list[Any], run: ModelRun) -> Detection:
    """The inverse of the rows of `DetectStage`."""
    return Detection(SoundEvent(*row[:4]), row[4], row[5], run)
