"""A plan as a CSV, and back: one row a session, in the order in which they are to be heard."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC
from typing import Any

from planning.plan import Choice
from podcast import storage
from podcast.dataset_table import number
from podcast.errors import InputError, Refusal
from podcast.model import Planned, check_name
from podcast.reading import Line, Table
from podcast.times import parse_utc

COLUMNS = (
    "session_id",
    "node",
    "start_utc",
    "duration_s",
    "reason",
    "probability",
    "least_probability",
    "pool_sessions",
    "chance_of_calls",
    "blind",
    "source",
)
SUFFIX = ".csv"


def write_plan(to: str, choices: Iterable[Choice]) -> None:
    """Write the whole table, or nothing."""
    with storage.open_write(to) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(_row, choices))
        text.detach()


def _row(choice: Choice) -> tuple[Any, ...]:
    planned, start = choice.planned, choice.start
    return (
        choice.name,
        choice.node,
        # To the microsecond: the import cuts the archive at just this moment.
        start.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if start else "",
        f"{choice.duration_s:g}" if choice.duration_s == round(choice.duration_s, 3) else f"{choice.duration_s:.6f}",
        planned.reason,
        _told(planned.probability),
        _told(planned.least),
        _told(planned.pool),
        _told(choice.chance),
        "yes" if choice.blind else "no",
        choice.source,
    )


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"


def read_plan(source: str) -> Iterator[Choice | Refusal]:
    """The rows of a plan, in order; a bad one is refused. Raises InputError for a table that is no plan."""
    with closing(storage.open_read(source)) as file:
        for line in Table(file, source, ",", COLUMNS, multiline=True):
            try:
                yield _choice(line)
            except InputError as error:
                yield Refusal(line.where, str(error))


def _choice(line: Line) -> Choice:
    if line.problem:
        raise InputError(line.problem)
    cells = line.cells
    check_name(cells["session_id"])
    if cells["blind"] not in ("yes", "no"):
        raise InputError(f"blind: expected yes or no, not {cells['blind'][:60]!r}")
    pool = _number(cells, "pool_sessions")
    if not cells["source"]:
        raise InputError("source is empty: nobody knows where the session comes from")
    return Choice(
        cells["session_id"],
        cells["node"],
        parse_utc(cells["start_utc"]),
        _number(cells, "duration_s") or 0.0,
        cells["source"],
        _number(cells, "chance_of_calls"),
        Planned(
            cells["reason"],
            _probability(cells, "probability"),
            _probability(cells, "least_probability"),
            None if pool is None else max(int(pool), 1),
        ),
        cells["blind"] == "yes",
    )


def _number(cells: Any, column: str) -> float | None:
    try:
        return number(cells[column]) if cells[column] else None
    except InputError as error:
        raise InputError(f"{column}: {error}") from error


def _probability(cells: Any, column: str) -> float | None:
    found = _number(cells, column)
    if found is not None and not 0 < found <= 1:
        raise InputError(f"{column}: expected a probability above 0 and up to 1, not {cells[column][:60]!r}")
    return found
