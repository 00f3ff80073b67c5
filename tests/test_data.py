"""The real recordings and labels in `tests/data`: each file is in the table, openly licensed, and what the table says it is."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

LICENCES = {"OGL-Canada 2.0", "MIT", "CC0-1.0"}
LIMIT = 3_000_000


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_every_file_has_an_open_licence_and_an_attribution(small_data: Path) -> None:
    rows, files = manifest(small_data), set()
    for row in rows:
        assert LICENCES.issuperset(row["licence"].split(", ")), row
        assert row["source"] and row["attribution"], row
        if "OGL" in row["licence"]:
            assert "Contains information licensed under the Open Government Licence - Canada." in row["attribution"]
        place = small_data / row["path"]
        files |= set(place.rglob("*")) if row["path"].endswith("/") else {place}
    found = {path for path in small_data.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert found == files | {small_data / name for name in ("README.md", "manifest.tsv")}
    assert sum(path.stat().st_size for path in found) <= LIMIT


def test_every_cut_is_where_the_table_says(small_data: Path, data: Path) -> None:
    rows = [row for row in manifest(small_data) if row["path"].endswith(".wav")]
    assert len(rows) == 17
    for row in rows:
        cut, rate = soundfile.read(small_data / row["path"], dtype="int16", always_2d=True)
        whole, source_rate = soundfile.read(data / row["cut_from"], dtype="int16", always_2d=True)
        start_s, end_s = float(row["start_s"]), float(row["end_s"])
        assert (rate, cut.shape[1]) == (source_rate, 1)
        assert abs(len(cut) / rate - (end_s - start_s)) < 0.001
        first = round(start_s * rate)
        assert np.array_equal(cut[:, 0], whole[first : first + len(cut), 0])
