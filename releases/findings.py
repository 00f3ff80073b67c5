"""What the linter says: a file, a line, the rule that is broken. The rules, in words: docs/releases.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from podcast import reading, storage

Line = tuple[int, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of one rule; `line` counts from 1, 0 stands for the whole file."""

    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


@dataclass(slots=True)
class Table:
    """One table while it is read: its columns, its lines, and what was wrong with their shape."""

    name: str
    columns: Sequence[str]
    lines: Iterator[Line]
    findings: list[Finding]

    def broken(self, line: int, rule: str, message: str) -> None:
        """Keep one finding."""
        self.findings.append(Finding(self.name, line, rule, message))


@dataclass(slots=True)
class Labels:
    """What the tables of labels say: boxes (start and duration, seconds) by WAV name; by its stem the split, the start in UTC as
    far as the table tells it, and date and time as they stand there; lengths in seconds of the audio that is there. No session is
    longer than `longest_s`, as far as is known."""

    boxes: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    split_of: dict[str, str] = field(default_factory=dict)
    starts: dict[str, datetime] = field(default_factory=dict)
    local: dict[str, tuple[str, str]] = field(default_factory=dict)
    lengths: dict[str, float] = field(default_factory=dict)
    longest_s: float = 0.0


@contextmanager
def open_table(folder: str, name: str, delimiter: str) -> Iterator[Table]:
    """A table with a header. Lines of the wrong number of cells, and text that is not UTF-8, are findings and passed over."""
    with storage.open_read(storage.join(folder, name)) as file:
        read = reading.Table(file, name, delimiter, multiline=delimiter == ",")
        table = Table(name, read.columns, iter(()), [])
        table.lines = _lines(read, table)
        yield table


def _lines(read: reading.Table, table: Table) -> Iterator[Line]:
    for line in read:
        if line.problem:
            table.broken(line.number, line.rule, line.problem)
        else:
            yield line.number, line.cells


def number_in(cell: str | None) -> float | None:
    """The finite number in a cell, or None."""
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
