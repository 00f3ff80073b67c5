"""What an input brings and an output keeps, counted by hand: nothing here asks the code that is tested."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.harness import BrokenRuleError, Case, strict_json
from tests.fuzz.mutators import AGAIN, Rows, damage_bytes, damage_json, to_json

TEXT_CONTROLS = ("call_type", "note", "review", "session_note")
"""The controls of label_config.xml that hold words and no box."""
WORDS = ", words of boxes"
"""Behind a session's name: under it the submissions are counted that have call types or notes."""


def boxes_of_file(value: Any) -> int:
    """Boxes in one of Pod.Cast's files: all that its lists `annotations` hold, or else whatever has a start."""
    lists = [item for key, item in _items(value) if key.removeprefix(AGAIN) == "annotations" and isinstance(item, list)]
    if lists:
        return sum(map(len, lists))
    return sum(any(str(key).startswith("start") for key in item) for item in _objects(value))


def boxes_of_tasks(tasks: Any) -> Counter[str]:
    """Boxes that people drew, by session, in Label Studio's export: a region is a box unless a control of words made it.

    What is no region at all counts as a box: nobody can tell what it was.
    """
    found: Counter[str] = Counter()
    for task in tasks if isinstance(tasks, list) else ():
        if not isinstance(task, Mapping):
            found["?"] += 1
            continue
        name = session_of(task)
        for key, submissions in task.items():
            if key.removeprefix(AGAIN) == "annotations":
                for annotation in submissions if isinstance(submissions, list) else [submissions]:
                    for what, count in boxes_of_annotation(annotation).items():
                        found[name + what] += count
    return found


def boxes_of_only_reviews(tasks: Any) -> Counter[str]:
    """Boxes without their words, of every session that has one annotation in the shape that Label Studio gives it."""
    found: Counter[str] = Counter()
    for task in tasks if isinstance(tasks, list) else ():
        annotations = task.get("annotations") if isinstance(task, Mapping) else None
        if isinstance(annotations, list) and len(annotations) == 1 and isinstance(annotations[0], Mapping):
            result = annotations[0].get("result")
            found[session_of(task)] += len(_boxes(result)) if isinstance(result, list) else 0
    return found


def session_of(task: Mapping[str, Any]) -> str:
    """The session's name as text."""
    data = task.get("data")
    return str(data.get("session_id")) if isinstance(data, Mapping) else "?"


def without_words_of_refused(brought: Counter[str], kept: Counter[str]) -> Counter[str]:
    """What was brought, without the words of sessions of which no box came out: their boxes count already."""
    lost = {name for name in brought if name.endswith(WORDS) and not kept[name.removesuffix(WORDS)]}
    return Counter({name: count for name, count in brought.items() if name not in lost})


def boxes_of_annotation(annotation: Any) -> dict[str, int]:
    """The same for one annotation, words apart."""
    boxes, words = 0, False
    if annotation is not None and not isinstance(annotation, Mapping):
        boxes = 1
    for key, result in annotation.items() if isinstance(annotation, Mapping) else ():
        if key.removeprefix(AGAIN) != "result" or result is None:
            continue
        boxes += len(_boxes(result)) if isinstance(result, list) else 1
        for item in result if isinstance(result, list) else ():
            words |= isinstance(item, Mapping) and item.get("from_name") in TEXT_CONTROLS[:2] and _says_something(item)
    return {"": boxes, WORDS: int(words)}


def _says_something(item: Mapping[str, Any]) -> bool:
    """Whether a control of words holds any, in the two places that Label Studio puts them, or where it cannot be told."""
    value = item.get("value")
    return bool(value.get("choices") or value.get("text")) if isinstance(value, Mapping) else value is not None


def _boxes(result: list[Any]) -> list[Any]:
    return [item for item in result if not (isinstance(item, Mapping) and item.get("from_name") in TEXT_CONTROLS)]


def boxes_of_rows(rows: Rows) -> dict[str, list[tuple[float, float]]]:
    """Start and end in seconds of every line of a table, by name of the WAV; (nan, nan) where a line cannot be read."""
    header = [cell.strip() for cell in rows[0]] if rows else []
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows[1:]:
        cells = dict(zip(header, row, strict=False))
        try:
            start_s, duration_s = float(cells["start_time_s"]), float(cells["duration_s"])
            length_fits = len(row) == len(header)
        except (KeyError, ValueError):
            start_s = duration_s = math.nan
            length_fits = False
        if not length_fits:
            start_s = duration_s = math.nan
        if (start_s, duration_s) != (0, 0) and any(row):
            found.setdefault(cells.get("wav_filename", "?"), []).append((start_s, start_s + duration_s))
    return found


def kept_by_format(kind: str, folder: Path) -> Counter[str]:
    """Boxes in an export, by session; a session that is there without boxes counts 0 and is among the keys."""
    found: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".jsonl" and not path.name.startswith("."):
            for name, count in _KEPT[kind](path):
                found[name] += count
    return found


def kept_by_list(table: Path, brought: Counter[str]) -> Counter[str]:
    """The same of a format that lists sounds by node and time: boxes of a session in the sidecar; one that is not there has a row
    for each of its boxes. A session with as many boxes as rows are left for counts as kept."""
    told = table.with_name("sidecar.jsonl")
    found = Counter(
        {row["session_id"]: len(row["annotations"]) for row in map(strict_json, told.read_text().splitlines())}
        if told.exists()
        else {}
    )
    left = sum(int(row.get("signals", 1)) for row in _table(table, ",")) if table.exists() else 0
    for name, count in brought.items():
        if name not in found and count <= left:
            found[name], left = count, left - count
    return found


def _one_list(path: Path) -> Iterator[tuple[str, int]]:
    content = strict_json(path.read_text())
    boxes = content.get("annotations", content.get("predictions")) if isinstance(content, dict) else None
    if path.suffix == ".json" and boxes is not None:
        yield path.stem, len(boxes)


def _audacity(path: Path) -> Iterator[tuple[str, int]]:
    yield path.stem, sum(not line.startswith("\\") for line in path.read_text().splitlines())


def _raven(path: Path) -> Iterator[tuple[str, int]]:
    yield path.name.removesuffix(".selections.txt"), len(path.read_text().splitlines()) - 1


def _raven_birdnet(path: Path) -> Iterator[tuple[str, int]]:
    rows = path.read_text().splitlines()[1:]
    yield path.name.removesuffix(".BirdNET.selection.table.txt"), sum(row.split("\t")[7] != "nocall" for row in rows)


def _dataset(path: Path) -> Iterator[tuple[str, int]]:
    for row in _table(path, "\t"):
        yield row["wav_filename"].removesuffix(".wav"), int(float(row["duration_s"]) > 0)


def _dclde(path: Path) -> Iterator[tuple[str, int]]:
    for row in _table(path, ","):
        yield row["Soundfile"].removesuffix(".wav"), int(row["AnnotationLevel"] == "Call")


def _audiofolder(path: Path) -> Iterator[tuple[str, int]]:
    if path.suffix == ".csv":
        for row in _table(path, ","):
            yield row["session_id"], len(strict_json(row["boxes"]))


_KEPT = {
    "podcast-json": _one_list,
    "orcahello": _one_list,
    "audacity": _audacity,
    "raven": _raven,
    "raven-birdnet": _raven_birdnet,
    "dataset-tsv": _dataset,
    "dclde": _dclde,
    "audiofolder": _audiofolder,
}


def _table(path: Path, delimiter: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), delimiter=delimiter))
    for row in rows:
        for column, cell in row.items():
            if (
                column
                and column.lower().endswith(("_s", "hz", "sec", "confidence"))
                and str(cell).lower() in ("nan", "inf", "-inf")
            ):
                raise BrokenRuleError(f"NaN or Infinity in {path.name}: {column} is {cell}")
    return rows


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value, wherever they stand."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key), item
            yield from _items(item)
    elif isinstance(value, list):
        for item in value:
            yield from _items(item)


def _objects(value: Any) -> Iterator[Mapping[Any, Any]]:
    if isinstance(value, Mapping):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _objects(item)


def parsed(content: bytes) -> Any:
    """The value of damaged bytes, None if they are no JSON any more."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def damaged(chance: Random, seed: Any, bytes_share: float = 0.25) -> Case:
    """A JSON value damaged as a value, or this share of times as bytes, with what is left to be counted."""
    if chance.random() < bytes_share:
        content = damage_bytes(chance, json.dumps(seed).encode())
        return Case(content, parsed(content))
    value = damage_json(chance, seed)
    return Case(to_json(chance, value), value)
