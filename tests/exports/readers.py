"""Each format read back without the code that wrote it: the starts of the calls by session. Each format has one."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from pyarrow import parquet

Boxes = dict[str, list[float]]
ORCAS = {"Call", "Southern Resident", "Bigg's"}
"""The labels that are calls, told without the table."""


def _files(folder: Path, ending: str, starts: Callable[[str], list[float]]) -> Boxes:
    return {path.name.removesuffix(ending): starts(path.read_text("utf-8")) for path in folder.glob(f"*{ending}")}


def _podcast_json(folder: Path) -> Boxes:
    return _files(folder, ".json", lambda text: [box["start_s"] for box in json.loads(text)["annotations"]])


def _orcahello(folder: Path) -> Boxes:
    found = _files(folder, ".json", lambda text: [box["startTime"] for box in json.loads(text)["predictions"]])
    states = {path.stem: json.loads(path.read_text())["state"] for path in folder.glob("*.json")}
    assert states == {name: "Positive" if boxes else "Negative" for name, boxes in found.items()}
    return found


def _audacity(folder: Path) -> Boxes:
    def starts(text: str) -> list[float]:
        rows = [line.split("\t") for line in text.splitlines() if not line.startswith("\\")]
        return [float(start) for start, _, label in rows if any(label == name or label.startswith(f"{name} ") for name in ORCAS)]

    return _files(folder, ".txt", starts)


def _raven(folder: Path) -> Boxes:
    def starts(text: str) -> list[float]:
        return [
            float(row["Begin Time (s)"])
            for row in csv.DictReader(text.splitlines(), delimiter="\t")
            if row["Annotation"] in ORCAS
        ]

    return _files(folder, ".selections.txt", starts)


def _raven_birdnet(folder: Path) -> Boxes:
    def starts(text: str) -> list[float]:
        rows = list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
        assert rows and all(row["File Offset (s)"] == row["Begin Time (s)"] for row in rows)
        return [float(row["Begin Time (s)"]) for row in rows if row["Common Name"] in ORCAS]

    return _files(folder, ".BirdNET.selection.table.txt", starts)


def _rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def _dataset_tsv(folder: Path) -> Boxes:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for row in _rows(folder / "annotations.tsv", "\t"):
        boxes = found[row["wav_filename"].removesuffix(".wav")]
        if float(row["duration_s"]):
            boxes.append(float(row["start_time_s"]))
    return dict(found)


def _dclde(folder: Path) -> Boxes:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for row in _rows(folder / "dclde.csv", ","):
        boxes = found[row["Soundfile"].removesuffix(".wav")]
        if row["AnnotationLevel"] == "Call" and row["KW"] == "1":
            boxes.append(float(row["FileBeginSec"]))
    return dict(found)


def _audiofolder(folder: Path) -> Boxes:
    found: Boxes = {}
    for path in folder.glob("*/metadata.parquet"):
        for row in parquet.read_table(path).to_pylist():
            assert (path.parent / row["file_name"]).is_file()
            found[row["session_id"]] = [box["start_s"] for box in row["boxes"] if box["label"] in ORCAS]
            assert row["calls"] == len(found[row["session_id"]])
    assert {path.stem for path in folder.glob("*/*.wav")} == set(found)
    return found


READERS: dict[str, Callable[[Path], Boxes]] = {
    "podcast-json": _podcast_json,
    "dataset-tsv": _dataset_tsv,
    "dclde": _dclde,
    "raven": _raven,
    "raven-birdnet": _raven_birdnet,
    "audacity": _audacity,
    "audiofolder": _audiofolder,
    "orcahello": _orcahello,
}
