"""Apply the rules of the formats to a dataset release, this project's own or an old one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from podcast import audio, storage
from podcast.dataset_table import COLUMNS, NEEDED
from podcast.errors import InputError, StorageError
from podcast.model import EDGE_S, Recording, Session
from podcast.splits import DEFAULT_GAP_S, Unit, check, unit_of
from podcast.times import SessionName, pacific_to_utc, parse_session_name
from releases import lint_dclde, lint_metadata, lint_tables
from releases.findings import Finding, Labels, Table, number_in, open_table

LONGEST_S = 65.0
"""A session lasts no longer than this where nothing tells, in seconds. The last one of a recording may be short, and says nothing
of the others, by whose length its start was counted."""


def lint(folder: str, gap_s: float = DEFAULT_GAP_S) -> Iterator[Finding]:
    """Every breach of a rule in the release at `folder`, file by file. Raises InputError if it holds no table of labels."""
    names = [name for name in ("train.tsv", "dev.tsv", "test.tsv") if storage.exists(storage.join(folder, name))]
    tables = names or [storage.file_name(uri) for uri in storage.list_files(folder, ".tsv") if "/wav/" not in uri]
    if not tables:
        raise InputError(f"{folder}: there is no train.tsv, dev.tsv or test.tsv, nor any other .tsv; is it a release?")
    if not storage.exists(storage.join(folder, "README.md")) and not storage.exists(storage.join(folder, "README")):
        yield Finding("README.md", 0, "readme", "is missing: a release says what it is")
    ours = storage.exists(storage.join(folder, "sessions.csv"))
    seen = Labels(longest_s=max(LONGEST_S, _longest_s(folder) if ours else 0.0))
    audio_names = _audio_names(folder)
    for name in tables:
        with open_table(folder, name, "\t") as table:
            if "confidence" in table.columns:
                continue  # predictions, not labels
            yield from _header(table)
            if all(column in table.columns for column in NEEDED):
                _labels(table, audio_names, seen)
            yield from table.findings
    if ours:
        yield from lint_tables.lint(folder, seen, gap_s)
    else:
        yield from (Finding(tables[0], 0, "splits", fault) for fault in check(list(_units(seen)), seen.split_of, gap_s))
    yield from lint_metadata.lint(folder)
    for uri in storage.list_files(folder, ".csv"):
        if storage.file_name(uri) not in lint_tables.OWN:
            yield from lint_dclde.lint(folder, storage.file_name(uri))


def _longest_s(folder: str) -> float:
    """The length of the longest session in sessions.csv, in seconds."""
    with open_table(folder, "sessions.csv", ",") as table:
        return max((number_in(cells.get("duration_s")) or 0.0 for _, cells in table.lines), default=0.0)


def _audio_names(folder: str) -> dict[str, str] | None:
    """Name and address of every WAV, or None if the release has no folder `wav`."""
    try:
        found = {storage.file_name(uri): uri for uri in storage.list_files(storage.join(folder, "wav"), ".wav")}
    except StorageError:
        return None
    return found or None


def _header(table: Table) -> Iterator[Finding]:
    if tuple(table.columns) != COLUMNS:
        missing = [column for column in NEEDED if column not in table.columns]
        problem = f"; without {missing} it cannot be checked further" if missing else ""
        yield Finding(table.name, 1, "columns", f"are {list(table.columns)}, expected {list(COLUMNS)}{problem}")


def _labels(table: Table, audio_names: dict[str, str] | None, seen: Labels) -> None:
    split = table.name.removesuffix(".tsv")
    last = ("", 0.0)
    for number, cells in table.lines:
        name = cells["wav_filename"]
        times = _times(table, number, cells)
        if name not in seen.boxes:
            seen.boxes[name], seen.split_of[name.removesuffix(".wav")] = [], split
            _audio(table, number, name, audio_names, seen)
        _moment(table, number, cells, seen)
        if seen.split_of[name.removesuffix(".wav")] != split:
            table.broken(number, "one-split", f"{name} is also in {seen.split_of[name.removesuffix('.wav')]}.tsv")
        if times is None:
            continue
        if seen.boxes[name] and (times == (0.0, 0.0) or (0.0, 0.0) in seen.boxes[name]):
            table.broken(number, "no-call-row", f"{name} has a row of zeros (no call) and another row")
        elif times in seen.boxes[name]:
            table.broken(number, "twice", f"{name} has this box already")
        seen.boxes[name].append(times)
        if (name, times[0]) < last:
            table.broken(number, "order", "rows are not in order of wav_filename and start_time_s")
        last = (name, times[0])
        if sum(times) > seen.lengths.get(name, float("inf")) + EDGE_S:
            table.broken(number, "within-audio", f"ends at {sum(times):.3f} s, the audio at {seen.lengths[name]} s")


def _times(table: Table, number: int, cells: Mapping[str, str]) -> tuple[float, float] | None:
    start, duration = number_in(cells["start_time_s"]), number_in(cells["duration_s"])
    if start is None or duration is None:
        table.broken(number, "number", f"{cells['start_time_s']!r}, {cells['duration_s']!r}: expected two numbers of seconds")
        return None
    if start < 0 or duration < 0 or (duration == 0 and start != 0):
        table.broken(
            number, "positive", f"start {start} and duration {duration}: expected start >= 0 and duration > 0, or 0.0 0.0"
        )
        return None
    if any(repr(value) != repr(round(value, 3)) for value in (start, duration)):
        table.broken(number, "milliseconds", f"{start!r}, {duration!r}: expected at most three decimals")
    return round(start, 3), round(duration, 3)


def _moment(table: Table, number: int, cells: Mapping[str, str], seen: Labels) -> None:
    """Date and time of day: their form, and that they say what the name says."""
    if not {"date", "pst_or_master_tape_identifier"} <= set(table.columns):
        return
    date, time = cells["date"], cells["pst_or_master_tape_identifier"]
    stem = cells["wav_filename"].removesuffix(".wav")
    seen.local[stem] = (date, time)
    if not date:
        return
    try:
        local = datetime.strptime(f"{date} {time}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        form = re.fullmatch(r"\d{4}-\d{2}-\d{2}", date)
        rule, expected = ("time", "HH:MM:SS, or a tape without a date") if form else ("date", "YYYY-MM-DD")
        table.broken(number, rule, f"{date!r} {time!r}: expected {expected}")
        return
    try:
        name = parse_session_name(stem)
    except InputError as error:
        table.broken(number, "name", str(error))
        return
    passes = {pacific_to_utc(local), pacific_to_utc(local, second_pass=True)}
    seen.starts.setdefault(stem, min(passes))
    if not _possible(name, passes, max(seen.longest_s, seen.lengths.get(cells["wav_filename"], 0.0))):
        table.broken(number, "pacific", f"{date} {time} Pacific is not when {stem} was recorded ({name.parent_start:%c} UTC on)")


def _possible(name: SessionName, starts: set[datetime], longest_s: float) -> bool:
    """Whether the name allows one of the starts: a later chunk begins at most `longest_s` a chunk after its parent."""
    if name.parent_start is None:
        return True
    latest = name.parent_start + timedelta(seconds=longest_s * (name.chunk or 0) + 1)
    return any(name.parent_start - timedelta(seconds=1) < start <= latest for start in starts)


def _audio(table: Table, number: int, name: str, audio_names: dict[str, str] | None, seen: Labels) -> None:
    if audio_names is None:
        return
    if name not in audio_names:
        table.broken(number, "audio", f"wav/{name} is missing")
        return
    try:
        seen.lengths[name] = audio.probe(audio_names[name]).duration_s
    except (InputError, StorageError) as error:
        table.broken(number, "audio", str(error))


def _units(seen: Labels) -> Iterator[Unit]:
    """Sessions of an old release, as far as names and dates tell where and when they are from."""
    for name in seen.boxes:
        stem = name.removesuffix(".wav")
        start = seen.starts.get(stem)
        recording = Recording(name, "", start, seen.lengths.get(name, 0.0))
        yield unit_of(Session(stem, recording), usable=True, calls=0)
