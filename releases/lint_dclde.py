"""The rules of DCLDE 2026/2027 killer whale annotations, as docs/formats/dclde.md has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from exporters.dclde import COLUMNS
from releases.findings import Finding, number_in, open_table

ALLOWED = {
    "ClassSpecies": ("KW", "HW", "AB", "UndBio"),
    "KW": ("0", "1"),
    "KW_certain": ("0", "1", "NA"),
    "Ecotype": ("SRKW", "TKW", "NRKW", "OKW", "SAR", "NA"),
    "AnnotationLevel": ("File", "Detection", "Call"),
}


def lint(folder: str, name: str) -> Iterator[Finding]:
    """Every breach in a CSV whose header has a column Soundfile; any other CSV is passed over."""
    with open_table(folder, name, ",") as table:
        if "Soundfile" not in table.columns:
            return
        if tuple(table.columns) != COLUMNS:
            table.broken(1, "dclde-columns", f"are {list(table.columns)}, expected {list(COLUMNS)}")
        else:
            for number, cells in table.lines:
                for rule, message in broken_rules(cells):
                    table.broken(number, rule, message)
        yield from table.findings


def broken_rules(cells: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The rules that one row breaks, each with what was found."""
    for column, words in ALLOWED.items():
        if cells[column] not in words:
            yield f"dclde-{column}", f"{cells[column]!r}: expected one of {', '.join(words)}"
    killer = cells["ClassSpecies"] == "KW"
    if (cells["KW"] == "1") != killer:
        yield "dclde-KW", f"KW is {cells['KW']}, ClassSpecies {cells['ClassSpecies']}: 1 exactly when KW"
    if (cells["KW_certain"] == "NA") == killer:
        yield (
            "dclde-KW_certain",
            f"KW_certain is {cells['KW_certain']}, ClassSpecies {cells['ClassSpecies']}: NA exactly when not KW",
        )
    if not killer and cells["Ecotype"] != "NA":
        yield "dclde-Ecotype", f"Ecotype is {cells['Ecotype']}, ClassSpecies {cells['ClassSpecies']}: NA unless KW"
    if cells["ClassSpecies"] == "AB" and cells["AnnotationLevel"] != "File":
        yield "dclde-AnnotationLevel", f"{cells['AnnotationLevel']}: a session without calls (AB) is annotated as a File"
    if not _is_moment(cells["UTC"]):
        yield "dclde-UTC", f"{cells['UTC']!r}: expected the annotation's own start, ISO 8601 UTC, never NA"
    begin, end = number_in(cells["FileBeginSec"]), number_in(cells["FileEndSec"])
    if begin is None or end is None or not 0 <= begin < end:
        yield "dclde-times", f"{cells['FileBeginSec']} to {cells['FileEndSec']}: expected 0 <= FileBeginSec < FileEndSec"
    low, high = cells["LowFreqHz"], cells["HighFreqHz"]
    if not all(cell == "NA" or ((number_in(cell) or 0) >= 0 and number_in(cell) is not None) for cell in (low, high)):
        yield "dclde-frequencies", f"{low} to {high}: expected numbers in Hz, or NA"


def _is_moment(cell: str) -> bool:
    try:
        offset = datetime.fromisoformat(cell).utcoffset()
    except ValueError:
        return False
    return not offset
