"""The rules of this project's own tables: they must agree with each other, with the clock and with the checksums."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from importers.release import heard_of
from podcast import audio, storage
from podcast.errors import InputError
from podcast.model import EDGE_S, Certainty, Recording, Review, ReviewState, Session
from podcast.reviews import COMPLETED
from podcast.splits import LEFT_OUT, SPLITS, Unit, check, unit_of
from podcast.times import PACIFIC, parse_utc
from podcast.vocabulary import Kind, is_call
from releases import tables
from releases.findings import Finding, Labels, Table, number_in, open_table

OWN = ("sessions.csv", "annotations.csv", "sounds.csv", "reviews.csv", "review_boxes.csv", "agreement.csv", "anchoring.csv")
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class _Row:
    """What sessions.csv says of one session."""

    state: str
    split: str
    start: datetime | None
    duration_s: float | None
    sha256: str


def lint(folder: str, labels: Labels, gap_s: float) -> Iterator[Finding]:
    """Every breach in the tables of a release that has a sessions.csv; `labels` is what the three .tsv tables say."""
    sessions: dict[str, _Row] = {}
    units: list[Unit] = []
    with open_table(folder, "sessions.csv", ",") as table:
        if tuple(table.columns) == tables.SESSIONS_BEFORE or _has_columns(table, tables.SESSIONS):
            for number, cells in table.lines:
                _session(table, number, cells, labels, sessions, units)
        yield from table.findings
    for stem in sorted(set(labels.split_of) - set(sessions)):
        yield Finding(f"{labels.split_of[stem]}.tsv", 0, "known-session", f"{stem} is not in sessions.csv")
    assigned = {name: row.split for name, row in sessions.items()}
    yield from (Finding("sessions.csv", 0, "splits", fault) for fault in check(units, assigned, gap_s))
    drawn: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    with open_table(folder, "annotations.csv", ",") as table:
        if _has_columns(table, tables.ANNOTATIONS):
            for number, cells in table.lines:
                if not is_call(cells["label"]):
                    table.broken(number, "source", f"{cells['label']!r} is no orca; sounds.csv is for other sounds")
                if times := _box(table, number, cells, sessions):
                    drawn[cells["session_id"]].append(times)
        yield from table.findings
    yield from _reviews(folder, sessions)
    yield from _sounds(folder, sessions)
    for stem, split in sorted(labels.split_of.items()):
        boxes = [box for box in labels.boxes.get(f"{stem}.wav", []) if box != (0.0, 0.0)]
        if sorted(boxes) != sorted(drawn[stem]):
            yield Finding(f"{split}.tsv", 0, "same-boxes", f"{stem} has other boxes here than in annotations.csv")
    yield from _checksums(folder, sessions)


def _has_columns(table: Table, expected: tuple[str, ...]) -> bool:
    if tuple(table.columns) != expected:
        table.broken(1, "columns", f"are {list(table.columns)}, expected {list(expected)}")
        return False
    return True


def _session(
    table: Table, number: int, cells: Mapping[str, str], labels: Labels, sessions: dict[str, _Row], units: list[Unit]
) -> None:
    name, state, split = cells["session_id"], cells["review_state"], cells["split"]
    if name in sessions:
        table.broken(number, "twice", f"session {name} stands here already")
    if state not in set(ReviewState):
        table.broken(number, "state", f"{state!r}: expected one of {[str(item) for item in ReviewState]}")
    if split not in (*SPLITS, LEFT_OUT):
        table.broken(number, "split", f"{split!r}: expected one of {[*SPLITS, LEFT_OUT]}")
    if cells["sha256"] and not re.fullmatch("[0-9a-f]{64}", cells["sha256"]):
        table.broken(number, "sha256", f"{cells['sha256']!r}: expected 64 hexadecimal digits")
    start = _moment(table, number, cells["start_utc"])
    duration_s = number_in(cells["duration_s"])
    expected = split if state in COMPLETED and split in SPLITS else None
    found = labels.split_of.get(name)
    if found != expected:
        where = f"in {found}.tsv" if found else "in no table of labels"
        table.broken(number, "states-apart", f"{name} ({state}, {split}) is {where}; only calls and no_calls of a split may be")
    boxes = labels.boxes.get(f"{name}.wav", [])
    if found and (boxes == [(0.0, 0.0)]) != (state == ReviewState.NO_CALLS):
        table.broken(number, "states-apart", f"{name} is {state}, but {found}.tsv says otherwise")
    local = labels.local.get(name)
    if local and start and local != (f"{start.astimezone(PACIFIC):%Y-%m-%d}", f"{start.astimezone(PACIFIC):%H:%M:%S}"):
        table.broken(number, "pacific", f"{name} starts at {cells['start_utc']}, which is not {' '.join(local)} Pacific")
    sessions[name] = _Row(state, split, start, duration_s, cells["sha256"] if cells["wav_filename"] else "")
    recording = Recording(cells["uri"], cells["node"], start, duration_s, cells["sha256"])
    units.append(unit_of(Session(name, recording, cells["absolute_time"]), usable=True, calls=0))


def _sounds(folder: str, sessions: Mapping[str, _Row]) -> Iterator[Finding]:
    """Every breach in sounds.csv, which releases of before do not have."""
    if not storage.exists(storage.join(folder, "sounds.csv")):
        return
    with open_table(folder, "sounds.csv", ",") as table:
        if _has_columns(table, tables.SOUNDS):
            for number, cells in table.lines:
                if is_call(cells["source"]):
                    table.broken(number, "source", f"{cells['source']!r} is an orca; annotations.csv is for calls")
                if cells["kind"] not in set(Kind):
                    table.broken(number, "kind", f"{cells['kind']!r}: expected one of {[str(kind) for kind in Kind]}")
                if cells["over_call"] not in ("yes", "no"):
                    table.broken(number, "over-call", f"{cells['over_call']!r}: expected yes or no")
                session = sessions.get(cells["session_id"])
                if session and cells["split"] != (session.split if session.state in COMPLETED else ""):
                    table.broken(number, "split", f"{cells['split']!r}, but sessions.csv says {session.split!r}, {session.state}")
                _box(table, number, cells, sessions)
        yield from table.findings


def _box(table: Table, number: int, cells: Mapping[str, str], sessions: Mapping[str, _Row]) -> tuple[float, float] | None:
    """Start and duration of a released box in seconds, its row checked; None where they cannot be read."""
    session = sessions.get(cells["session_id"])
    if session is None:
        table.broken(number, "known-session", f"session {cells['session_id']} is not in sessions.csv")
        return None
    if cells["review_state"] != session.state:
        table.broken(number, "state", f"{cells['review_state']!r}, but sessions.csv says {session.state!r}")
    if cells["certainty"] not in set(Certainty):
        table.broken(number, "certainty", f"{cells['certainty']!r}: expected certain or uncertain")
    votes, reviewers = number_in(cells["votes"]), number_in(cells["reviewers"])
    if votes is None or reviewers is None or not 1 <= votes <= reviewers:
        table.broken(number, "votes", f"{cells['votes']!r} of {cells['reviewers']!r}: expected 1 or more, at most all")
    start_s, end_s = number_in(cells["start_time_s"]), number_in(cells["end_time_s"])
    if start_s is None or end_s is None or not 0 <= start_s < end_s:
        table.broken(number, "positive", f"{cells['start_time_s']!r} to {cells['end_time_s']!r}: expected 0 <= start < end")
        return None
    if session.duration_s is not None and end_s > session.duration_s + EDGE_S:
        table.broken(number, "within-audio", f"ends at {end_s} s, the session at {session.duration_s} s")
    for column, offset_s in (("start_utc", start_s), ("end_utc", end_s)):
        if cells[column] != tables.moment(session.start, offset_s):
            expected = tables.moment(session.start, offset_s) or "nothing, for the session's start is unknown"
            table.broken(number, "utc", f"{column} is {cells[column]!r}, expected {expected}")
    return round(start_s, 3), round(end_s - start_s, 3)


def _reviews(folder: str, sessions: Mapping[str, _Row]) -> Iterator[Finding]:
    """What follows from the listening stands in reviews.csv as it follows. Releases of before say nothing of it."""
    if not storage.exists(storage.join(folder, "reviews.csv")):
        return  # SHA256SUMS tells
    with open_table(folder, "reviews.csv", ",") as table:
        if tuple(table.columns) != tables.REVIEWS_BEFORE and _has_columns(table, tables.REVIEWS):
            for number, cells in table.lines:
                _review(table, number, cells, sessions)
        yield from table.findings


def _review(table: Table, number: int, cells: Mapping[str, str], sessions: Mapping[str, _Row]) -> None:
    if (session := sessions.get(cells["session_id"])) is None:
        table.broken(number, "known-session", f"session {cells['session_id']} is not in sessions.csv")
        return
    try:
        review = Review("", ReviewState(cells["review_state"]), heard=heard_of(cells))
    except ValueError as error:
        table.broken(number, "heard", str(error))
        return
    expected = tables.heard_cells(review, session.duration_s)
    if (found := (cells["heard_share"], cells["faster_than_sound"])) != expected:
        table.broken(number, "heard", f"heard_share and faster_than_sound are {list(found)}, expected {list(expected)}")


def _moment(table: Table, number: int, cell: str) -> datetime | None:
    try:
        return parse_utc(cell)
    except InputError as error:
        table.broken(number, "utc", str(error))
        return None


def _checksums(folder: str, sessions: Mapping[str, _Row]) -> Iterator[Finding]:
    if not storage.exists(storage.join(folder, CHECKSUMS)):
        yield Finding(CHECKSUMS, 0, "finished", "is missing: this release was never finished")
        return
    listed: dict[str, str] = {}
    for number, line in enumerate(storage.read(storage.join(folder, CHECKSUMS)).decode("utf-8", "replace").splitlines(), 1):
        digest, _, name = line.partition("  ")
        listed[name] = digest
        if not storage.exists(storage.join(folder, name)):
            yield Finding(CHECKSUMS, number, "checksum", f"{name} is missing")
            continue
        with storage.open_read(storage.join(folder, name)) as file:
            if audio.sha256(file) != digest:
                yield Finding(CHECKSUMS, number, "checksum", f"{name} is not the file that was released")
    root = folder.rstrip("/") + "/"
    for uri in storage.list_files(folder):
        if (name := uri.removeprefix(root)) not in {*listed, CHECKSUMS}:
            yield Finding(name, 0, "checksum", f"is not in {CHECKSUMS}")
    for session_id, row in sessions.items():
        if row.sha256 and listed.get(f"wav/{session_id}.wav", row.sha256) != row.sha256:
            yield Finding("sessions.csv", 0, "checksum", f"the sha256 of {session_id} is not that of its WAV in {CHECKSUMS}")
