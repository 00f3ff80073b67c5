"""Orcasound's HLS archive: which audio there is, on which clock, and how a window of it is cut into sessions.

`<archive>/<node>/hls/<Unix time>/live.m3u8` with AAC segments. A segment's place on the clock is the folder's time, plus the
encoder's delay (`AUDIO_OFFSET_S`), plus the sum of `#EXTINF` before it, never an average. All times here are whole microseconds
of Unix time, so that sums are exact. Layout and quirks: `docs/archive.md`.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from podcast import storage
from podcast.errors import InputError, NotFoundError, Refusal
from podcast.times import node_name

PUBLIC_ARCHIVE = "s3://audio-orcasound-net"
REGION = "us-west-2"
AUDIO_OFFSET_S = 2.0
"""The audio of a folder starts this long after the folder's own time; the archive's own tools take the same number."""
SECOND = 1_000_000
JOINED_US = 500
"""Folders whose audio ends and begins this close together are one run: half of the millisecond that a border may be off."""
SHORTEST_US = SECOND
"""A remainder shorter than this belongs to the session beside it: nobody can label 20 ms."""
BLOCK = 10
"""Sessions that are cut together, so that few segments are needed twice."""
LONGEST_SEGMENT_S = 3600
"""Longer ones are slips: the archive's own are 10 s."""
SEGMENT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
FOLDER_NAME = re.compile(r"[0-9]{1,11}")
PRIME_US = 64_000
"""AAC blocks overlap: three of them (at 48 kHz) are decoded before the first sample that counts."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One `.ts` file and its place on the clock; `present` is false if the playlist names it and the folder lacks it."""

    uri: str
    start_us: int
    end_us: int
    present: bool = True


@dataclass(frozen=True, slots=True)
class Cut:
    """A session to be: its name, and its borders on the clock."""

    name: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring cuts of one run, and all segments that they need, in order."""

    node: str
    cuts: tuple[Cut, ...]
    segments: tuple[Segment, ...]

    @property
    def key(self) -> str:
        """The same for the same work: the first session's name and every border."""
        return f"{self.cuts[0].name}/{'/'.join(str(cut.end_us - cut.start_us) for cut in self.cuts)}"


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of the window without audio (or, if it ends before it starts, one that two folders both hold)."""

    node: str
    start_us: int
    end_us: int
    reason: str

    def __str__(self) -> str:
        length_s = (self.end_us - self.start_us) / SECOND
        kind = "hole" if length_s > 0 else "overlap"
        return f"{kind} of {abs(length_s):.3f} s at {self.node}, {utc(self.start_us)} to {utc(self.end_us)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive's address (any storage URI), and how S3 is reached: unsigned, at `endpoint` and in `region`."""

    uri: str = PUBLIC_ARCHIVE
    endpoint: str = ""
    region: str = REGION
    audio_offset_s: float = AUDIO_OFFSET_S

    @property
    def store(self) -> storage.Backend:
        """What reads it."""
        if self.uri.startswith("s3://"):
            return storage.S3(self.endpoint, self.region, unsigned=True)
        return storage.backend(self.uri)

    def nodes(self) -> list[str]:
        """The hydrophones of the archive."""
        return [storage.file_name(uri) for uri in self.store.list_folders(self.uri)]

    def folders(self, node: str, start_us: int, end_us: int) -> list[int]:
        """Unix times of the folders that may hold audio of the window: two before it, since only their playlists tell."""
        offset_us = round(self.audio_offset_s * SECOND)
        names = (storage.file_name(uri) for uri in self.store.list_folders(storage.join(self.uri, node, "hls")))
        times = sorted(int(name) for name in names if FOLDER_NAME.fullmatch(name))
        before = [time for time in times if time * SECOND + offset_us <= start_us]
        return before[-2:] + [time for time in times if start_us < time * SECOND + offset_us < end_us]

    def segments(self, node: str, folder: int) -> Iterator[Segment | Refusal]:
        """All segments of one folder, in order; a folder whose playlist is missing or damaged comes as a Refusal."""
        base = storage.join(self.uri, node, "hls", str(folder))
        playlist = storage.join(base, "live.m3u8")
        clock = folder * SECOND + round(self.audio_offset_s * SECOND)
        try:
            listed = parse_playlist(self.store.read(playlist, 0, None).decode(errors="replace"), playlist)
        except (NotFoundError, InputError) as error:
            yield Refusal(base, f"the folder is left out: {error}")
            return
        there = {storage.file_name(uri) for uri in self.store.list_files(base, ".ts")}
        for name, duration_us in listed:
            yield Segment(storage.join(base, name), clock, clock + duration_us, name in there)
            clock += duration_us


def parse_playlist(text: str, source: str) -> list[tuple[str, int]]:
    """Name and length in microseconds of every segment. Raises InputError naming `source` and the line.

    A segment is a file of the playlist's own folder: an address, or a name that leaves the folder, is refused.
    """
    lines = text.split("\n")
    if lines[0].strip() != "#EXTM3U":
        raise InputError(f"{source}: not a playlist, which begins with #EXTM3U")
    found: dict[str, int] = {}
    length: int | None = None
    for number, line in enumerate(map(str.strip, lines), 1):
        where = f"{source}, line {number}"
        if line.startswith("#EXT-X-MEDIA-SEQUENCE:") and line.split(":")[1].strip() != "0":
            raise InputError(f"{where}: its beginning was dropped ({line[:60]}), so no time in it is known")
        if line.startswith("#EXTINF:"):
            length = _microseconds(line.removeprefix("#EXTINF:").split(",")[0].strip(), where)
        elif line and not line.startswith("#"):
            if length is None:
                raise InputError(f"{where}: {line[:60]!r} has no #EXTINF before it")
            if not SEGMENT_NAME.fullmatch(line) or line in found:
                raise InputError(f"{where}: {line[:60]!r} must be the name of a file in this folder, and stand there once")
            found[line] = length
            length = None
    return list(found.items())


def _microseconds(text: str, where: str) -> int:
    """The length of a segment. Raises InputError unless it is a number of seconds over 0 and up to LONGEST_SEGMENT_S."""
    try:
        length_s = Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"{where}: #EXTINF needs a number of seconds, not {text[:60]!r}") from error
    if not (length_s.is_finite() and 0 < length_s <= LONGEST_SEGMENT_S):
        raise InputError(f"{where}: a segment must be longer than 0 s, up to {LONGEST_SEGMENT_S} s, and not {text[:60]!r}")
    return round(length_s * SECOND)


def plan(archive: Archive, node: str, start: datetime, end: datetime, session_s: int = 60) -> Iterator[Block | Hole | Refusal]:
    """The work for one window: blocks of sessions, the holes between them, and what cannot be used, in order of time.

    Borders lie at `start` plus multiples of `session_s`, and where audio begins or ends. Raises InputError for a window that is
    empty, and for a node that the archive lacks, naming those it has.
    """
    start_us, end_us = microseconds(start), microseconds(end)
    if not start_us < end_us:
        raise InputError(f"the window must end after it starts, not {start.isoformat()} to {end.isoformat()}")
    try:
        folders = archive.folders(node, start_us, end_us)
    except NotFoundError as error:
        raise InputError(f"{archive.uri} has no node {node!r}; it has {', '.join(archive.nodes())}") from error
    segments = itertools.chain.from_iterable(archive.segments(node, folder) for folder in folders)
    clock, reason = start_us, "there is no folder of this time"
    names: deque[str] = deque(maxlen=1000)
    for run in _runs(segments, start_us, end_us):
        if isinstance(run, Refusal):
            yield run
        elif not run[0].present:
            reason = f"{len(run)} segments are missing, from {run[0].uri}"
        else:
            first = max(start_us, run[0].start_us)
            if abs(first - clock) > JOINED_US:
                yield Hole(node, clock, first, reason)
            last, reason = min(end_us, run[-1].end_us), "the next folder starts later"
            cuts = []
            for border, next_border in itertools.pairwise(_borders(first, last, start_us, session_s * SECOND)):
                name = node_name(node, datetime.fromtimestamp(border // SECOND, UTC))
                if name in names:
                    yield Refusal(name, "two folders hold a session of this name; the earlier folder's was kept")
                else:
                    names.append(name)
                    cuts.append(Cut(name, border, next_border))
            clock = max(clock, last)
            for number in range(0, len(cuts), BLOCK):
                yield _block(node, tuple(cuts[number : number + BLOCK]), run)
    if clock < end_us - JOINED_US:
        yield Hole(node, clock, end_us, "the archive ends here" if clock > start_us else reason)


def needs(cut: Cut, segment: Segment) -> bool:
    """Whether samples of `segment` belong to `cut`, or prime its decoder."""
    return segment.end_us > cut.start_us - PRIME_US and segment.start_us < cut.end_us


def utc(moment_us: int) -> str:
    """A clock time as people read it."""
    return datetime.fromtimestamp(moment_us / SECOND, UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")


def microseconds(moment: datetime) -> int:
    """An aware time on the clock of this module."""
    return int(moment.timestamp()) * SECOND + moment.microsecond


def _runs(segments: Iterable[Segment | Refusal], start_us: int, end_us: int) -> Iterator[list[Segment] | Refusal]:
    """Segments that follow each other without a gap, and that the window needs; missing ones make runs of their own."""
    run: list[Segment] = []
    for segment in segments:
        if isinstance(segment, Refusal):
            yield segment
        elif segment.end_us > start_us - PRIME_US and segment.start_us < end_us:
            if run and (abs(segment.start_us - run[-1].end_us) > JOINED_US or segment.present != run[-1].present):
                yield from _needed(run, start_us)
                run = []
            run.append(segment)
    yield from _needed(run, start_us)


def _needed(run: list[Segment], start_us: int) -> Iterator[list[Segment]]:
    """Nothing for a run that ends before the window: it was read for its last blocks of audio."""
    if run and run[-1].end_us > start_us:
        yield run


def _borders(first: int, last: int, origin: int, length: int) -> list[int]:
    """Where sessions of one run begin and end: on the grid of `length` from `origin`, and at the run's own ends."""
    grid = range(origin + -((origin - first) // length) * length, last, length)
    borders = [first, *(point for point in grid if first < point), last]
    if len(borders) > 2 and borders[1] - borders[0] < SHORTEST_US:
        del borders[1]
    if len(borders) > 2 and borders[-1] - borders[-2] < SHORTEST_US:
        del borders[-2]
    return borders


def _block(node: str, cuts: tuple[Cut, ...], run: list[Segment]) -> Block:
    whole = Cut("", cuts[0].start_us, cuts[-1].end_us)
    return Block(node, cuts, tuple(segment for segment in run if needs(whole, segment)))
