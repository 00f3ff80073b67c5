"""The folder of an export: it holds what the project says now, and nothing in it that is anybody else's is touched.

Everything is made before anything is written. `export.jsonl` lists the files and their hashes: only what still has the hash that
stands there is replaced or removed. While files are written it lists the old hash and the new one, so that after a kill the next
run knows both (docs/adr/0081).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

from exporters.base import WriteOptions
from exporters.selection import SIDECAR, Holds, Put, Selection, everything, is_text
from podcast import audio, reading, storage
from podcast.errors import InputError, NotFoundError, Refusal
from podcast.model import Session
from podcast.report import Report
from podcast.spool import Spool

MANIFEST = "export.jsonl"
NAMED_AT_MOST = 5

Make = Callable[[], Iterator[bytes]]
"""Gives the content of a file in pieces, and the same again when called again."""


@dataclass(slots=True)
class _Manifest:
    """What export.jsonl says: each file with the hashes that are ours."""

    head: dict[str, Any] = field(default_factory=dict)
    files: dict[str, set[str]] = field(default_factory=dict)

    def lines(self) -> Iterator[bytes]:
        yield (json.dumps(self.head) + "\n").encode()
        for name in sorted(self.files):
            for digest in sorted(self.files[name]):
                yield (json.dumps({"file": name, "sha256": digest}) + "\n").encode()


class Folder:
    """One export into a folder, in a `with` block: `run` makes every file, and then writes what has changed.

    Raises InputError if the folder holds an export in another format, or (from `run`, before anything is written) of another
    round, or files like its own that no list names, or if somebody else's file stands where a table belongs.
    """

    def __init__(self, to: str, export_format: str, options: WriteOptions) -> None:
        self._to, self._options = to, options
        self._head: dict[str, Any] = {"format": export_format, "annotator": options.annotator}
        self._old = _read(storage.join(to, MANIFEST))
        if self._old.files and self._old.head["format"] != export_format:
            raise InputError(f"{to} holds an export as {self._old.head['format']}; name another folder for {export_format}")
        self._present = set(_names(to))
        self._rounds: set[str] = set()
        self._digests: dict[str, str] = {}
        self._made: dict[str, Make] = {}
        self._contents, self._sidecars = Spool(), Spool()
        self._changed: list[str] = []
        self._kept: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for spool in (self._contents, self._sidecars):
            spool.__exit__(kind, error, trace)

    def run(
        self,
        sessions: Iterable[Session | Refusal],
        put: Put,
        tables: Callable[[], None] | None = None,
        *,
        holds: Holds = everything,
        every_source: bool = False,
    ) -> Report:
        """Let `put` add the files of each review, and `tables` the rest; then bring the folder up to date.

        Reviews hold calls alone, unless the format tells sources apart and asks for `every_source`. What it does not hold by
        `holds` is kept in the sidecar.
        """

        def noted() -> Iterator[Session | Refusal]:
            for session in sessions:
                if isinstance(session, Session) and is_text(session.round):
                    self._rounds.add(session.round)
                yield session

        report = Selection(noted(), self._options, holds, every_source=every_source).run(put, self._add_sidecar)
        if tables:
            tables()
        self._bring_up_to_date(report)
        return report

    def add(self, folder: str, name: str, content: str) -> None:
        """A small file. Raises InputError if a file of somebody else stands there, or one that somebody has changed."""
        place = _place(folder, name)
        digest = hashlib.sha256(content.encode()).hexdigest()
        self._claim(place, digest)
        self._contents.add(place, digest, content)

    def add_made(self, folder: str, name: str, make: Make, digest: str = "") -> None:
        """As `add` for a file that is too large to be kept; `digest` is its sha256, if it is known."""
        place = _place(folder, name)
        self._claim(place, digest or _digest(make()))
        self._made[place] = make

    def add_tables(self, rows: Spool, name: str, columns: Sequence[str], delimiter: str) -> None:
        """A table `name` in each folder that `rows` has a group for: values are lists of rows, keys their order."""
        for folder in [group for group, _ in rows.groups()]:
            self.add_made(folder, name, partial(_table, rows, folder, columns, delimiter))

    def _add_sidecar(self, folder: str, lines: Iterator[str]) -> None:
        count = 0
        for count, line in enumerate(lines, 1):
            self._sidecars.add(folder, f"{count:012}", line)
        if count:
            self.add_made(folder, SIDECAR, lambda: (line.encode() for line in self._sidecars.group(folder)))

    def _claim(self, place: str, digest: str) -> None:
        if place == MANIFEST or place in self._digests:
            raise InputError(f"{place} is the name of another file of this export")
        if place not in self._present:
            self._changed.append(place)
        elif (found := self._digest_of(place)) != digest:
            if found not in self._old.files.get(place, ()):
                self._kept.add(place)
                raise InputError(f"{self._uri(place)} is not as an export left it; move it away to have it written anew")
            self._changed.append(place)
        self._digests[place] = digest

    def _bring_up_to_date(self, report: Report) -> None:
        rounds = sorted(self._rounds) or [self._options.round]
        if self._old.files and not set(self._old.head["rounds"]) <= set(rounds):
            held, ours = [" and ".join(map(repr, names)) for names in (self._old.head["rounds"], rounds)]
            raise InputError(f"{self._to} holds an export of round {held}; name another folder for round {ours}")
        self._head["rounds"] = rounds
        files = {place: {digest} for place, digest in self._digests.items()}
        strangers = sorted(self._present - {*files, *self._old.files, MANIFEST})
        kinds = {_kind(place) for place in files}
        if MANIFEST not in self._present and (
            alike := [place for place in strangers if _kind(place) in kinds and place not in self._kept]
        ):
            raise InputError(
                f"{self._to} holds {_some(alike)} and no {MANIFEST} that says whose they are: of another round, or of an older "
                "version's export; name another folder"
            )
        gone = sorted(set(self._old.files) - set(files))
        if self._changed or gone:
            both = {place: files.get(place, set()) | self._old.files.get(place, set()) for place in {*files, *self._old.files}}
            self._write(MANIFEST, _Manifest({**self._head, "finished": False}, both).lines())
        storage.tidy(self._to)
        for place in sorted(self._changed):
            self._write(place, self._content(place))
        for place in gone:
            self._remove(place, report)
        manifest = _Manifest({**self._head, "finished": True}, files)
        if self._changed or gone or MANIFEST not in self._present or self._digest_of(MANIFEST) != _digest(manifest.lines()):
            self._write(MANIFEST, manifest.lines())
        if strangers:
            report.warn(f"{self._to} holds files that are not of this export: {_some(strangers)}")

    def _remove(self, place: str, report: Report) -> None:
        """Remove a file of an earlier export that is no longer true, if nobody has changed it."""
        if place not in self._present:
            return
        if self._digest_of(place) in self._old.files[place]:
            storage.delete(self._uri(place))
        else:
            report.warn(f"{self._uri(place)} is no longer true, but was changed by somebody and is kept")

    def _content(self, place: str) -> Iterator[bytes]:
        return self._made[place]() if place in self._made else (text.encode() for text in self._contents.group(place))

    def _write(self, place: str, content: Iterable[bytes]) -> None:
        with storage.open_write(self._uri(place)) as file:
            for piece in content:
                file.write(piece)

    def _digest_of(self, place: str) -> str:
        try:
            with storage.open_read(self._uri(place)) as file:
                return audio.sha256(file)
        except NotFoundError:
            return ""

    def _uri(self, place: str) -> str:
        return storage.join(self._to, place)


def _place(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _kind(place: str) -> tuple[str, str]:
    """The folder and the suffix of a file: others of the same kind beside it look as if they were of the same export."""
    folder, _, name = place.rpartition("/")
    return folder, name.rpartition(".")[2]


def _some(places: Sequence[str]) -> str:
    more = f" and {len(places) - NAMED_AT_MOST} more" if len(places) > NAMED_AT_MOST else ""
    return ", ".join(places[:NAMED_AT_MOST]) + more


def _names(folder: str) -> Iterator[str]:
    try:
        for uri in storage.list_files(folder):
            yield storage.name_below(uri, folder)
    except NotFoundError:
        return


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _read(uri: str) -> _Manifest:
    """The manifest; an empty one if there is none. Raises InputError for a file of this name that is none."""
    try:
        lines = reading.decode(storage.read(uri), uri).splitlines()
    except NotFoundError:
        return _Manifest()
    found = _Manifest()
    try:
        found.head, *rows = [reading.parse_json(line.encode(), uri) for line in lines]
        for row in rows:
            found.files.setdefault(str(row["file"]), set()).add(str(row["sha256"]))
        if not all(isinstance(name, str) for name in [found.head["format"], *found.head["rounds"]]):
            raise InputError(f"{uri}: names no format and round")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{uri} is not the list of an export's files; move it away, or name another folder") from error
    return found


def _table(rows: Spool, folder: str, columns: Sequence[str], delimiter: str) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for some in rows.group(folder):
        writer.writerows(some)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()
