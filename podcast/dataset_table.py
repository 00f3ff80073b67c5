"""The one table that datasets, predictions and releases share: `wav_filename start_time_s duration_s ...`, tab separated.

It stands below the rooms because four of them read or write it and must not differ. Columns go by any of the names that they have
in the wild (docs/formats/dataset.md); unknown ones, such as a pandas index, are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from podcast.errors import InputError
from podcast.reading import Line, Table

COLUMNS = ("dataset", "wav_filename", "start_time_s", "duration_s", "location", "date", "pst_or_master_tape_identifier")
"""A released table, as it is written."""

PREDICTION_COLUMNS = ("wav_filename", "start_time_s", "duration_s", "confidence")
"""A published table of predictions: one row a scoring window."""

DETECTION_COLUMNS = (*PREDICTION_COLUMNS, "model_version")
"""What `podcast detect` writes: rows are boxes already."""

NEEDED = PREDICTION_COLUMNS[:3]
ALIASES = {
    "dataset": ("dataset", "data_source"),
    "wav_filename": ("wav_filename",),
    "start_time_s": ("start_time_s",),
    "duration_s": ("duration_s",),
    "location": ("location",),
    "date": ("date",),
    "identifier": ("pst_or_master_tape_identifier", "data_source_id", "master_wav"),
    "tag": ("tag",),
    "length_s": ("length_s",),
    "confidence": ("confidence",),
    "model_version": ("model_version",),
    "label": ("label",),
}
"""Our name of each column, and the names that it has in the wild."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line. Times are seconds from the recording's first sample, as they were written, NaN where `problem` says why.

    `confidence` is None in a table of labels, and `label` what a model with several classes calls the sound. `identifier` is a
    Pacific time of day, or a tape's name.
    """

    where: str
    wav_filename: str
    start_s: float
    duration_s: float
    confidence: float | None = None
    dataset: str = ""
    location: str = ""
    date: str = ""
    identifier: str = ""
    tag: str = ""
    length_s: float | None = None
    model_version: str = ""
    label: str = ""
    problem: str = ""


class DatasetTable:
    """A table that is read row by row. `are_predictions` and `are_boxes` tell by its columns what it holds.

    Raises InputError for a table without the columns that every variant has.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._table = Table(file, name, "\t", NEEDED)
        self._columns = {
            ours: next((column for column in names if column in self._table.columns), "") for ours, names in ALIASES.items()
        }
        self.are_predictions = bool(self._columns["confidence"])
        self.are_boxes = self.are_predictions and bool(self._columns["model_version"])

    def __iter__(self) -> Iterator[Row]:
        """Every line, the bad ones with a `problem`."""
        for line in self._table:
            cells = {ours: line.cells.get(name, "").strip() if name else "" for ours, name in self._columns.items()}
            numbers, problem = self._numbers(line, cells)
            yield Row(
                where=line.where,
                wav_filename=cells["wav_filename"],
                start_s=numbers["start_time_s"] if numbers["start_time_s"] is not None else math.nan,
                duration_s=numbers["duration_s"] if numbers["duration_s"] is not None else math.nan,
                confidence=numbers["confidence"],
                length_s=numbers["length_s"],
                problem=problem,
                **{name: cells[name] for name in ("dataset", "location", "date", "identifier", "tag", "model_version", "label")},
            )

    def _numbers(self, line: Line, cells: dict[str, str]) -> tuple[dict[str, float | None], str]:
        """The cells that must be numbers, and what is wrong with the line."""
        numbers: dict[str, float | None] = {}
        problem = line.problem or ("" if cells["wav_filename"] else "wav_filename is empty")
        for name in ("start_time_s", "duration_s", "confidence", "length_s"):
            wanted = name in NEEDED or (name == "confidence" and self.are_predictions)
            try:
                numbers[name] = number(cells[name]) if wanted or cells[name] else None
            except InputError as error:
                numbers[name] = None
                problem = problem or f"{name}: {error}"
        confidence = numbers["confidence"]
        if confidence is not None and confidence > 1:
            problem = problem or f"confidence: expected a number from 0 to 1, not {cells['confidence'][:60]!r}"
        return numbers, problem


def number(cell: str) -> float:
    """A finite number from 0 up. Raises InputError for anything else."""
    try:
        value = math.nan if "_" in cell else float(cell)  # Python takes 1_000 for a number, nobody else does
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"expected a number from 0 up, not {cell[:60]!r}")
    return value
