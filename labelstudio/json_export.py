"""Label Studio's own export files, streamed; and its other formats, told apart by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import ijson

from podcast import storage
from podcast.errors import InputError

Json = dict[str, Any]

FLAT_FIELDS = {"annotation_id", "annotator"}
"""What the rows of the exports JSON_MIN and CSV have, and tasks have not."""

HEAD = 2**16
"""Bytes at the beginning of a file by which it is told what it is."""


DEEPEST = 100
"""Levels of lists and objects that an export may have; Label Studio's own has nine."""
OPENED: dict[str, type[dict[str, Any]] | type[list[Any]]] = {"start_map": dict, "start_array": list}


def read_export(uri: str) -> Iterator[Json]:
    """The tasks of an export file, streamed. Raises InputError naming the file."""
    with storage.open_read(uri) as file:
        head = file.read(HEAD).lstrip()
        if not head.startswith(b"["):
            raise InputError(f"{uri}: {_no_export(head)}")
        file.seek(0)
        try:
            yield from read_tasks(file)
        except InputError as error:
            raise InputError(f"{uri}: {error}") from error


def read_tasks(body: BinaryIO) -> Iterator[Json]:
    """The tasks of Label Studio's JSON export, one at a time. Raises InputError for anything but a JSON list of objects."""
    try:
        for task in _items(body):
            if not isinstance(task, dict):
                raise InputError(f"expected Label Studio's JSON export, a list of tasks, but found {type(task).__name__} in it")
            if "data" not in task and task.keys() >= FLAT_FIELDS:
                raise InputError(_flat("JSON_MIN"))
            yield task
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise InputError(f"not Label Studio's JSON export: {error}") from error


def _items(body: BinaryIO) -> Iterator[Any]:
    """The items of a JSON list. Raises InputError for a key that an object has twice, and for nesting that no export has.

    ijson's own `items` keeps the path to where it is as text, which in 100,000 levels fills any memory, and forgets the first of
    two values with one key.
    """
    holders: list[Any] = []
    keys: list[str] = []
    for event, value in ijson.basic_parse(body, use_float=True):
        if event == "map_key":
            if value in holders[-1]:
                raise InputError(f"{value!r} comes twice in one object")
            keys[-1] = value
        elif event in ("end_map", "end_array"):
            done = holders.pop()
            keys.pop()
            if len(holders) == 1:
                yield done
        else:
            new = OPENED[event]() if event in OPENED else value
            if not holders and event != "start_array":
                raise InputError("expected a list")
            if len(holders) > 1:
                _put(holders[-1], keys[-1], new)
            if event in OPENED:
                holders.append(new)
                keys.append("")
                if len(holders) > DEEPEST:
                    raise InputError(f"nested more than {DEEPEST} levels deep")
            elif len(holders) == 1:
                yield new


def _put(holder: Any, key: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[key] = value
    else:
        holder.append(value)


def _no_export(head: bytes) -> str:
    """What to say of a file that begins with something else than a list."""
    header = head.splitlines()[0].decode("utf-8", "replace").replace('"', "") if head else ""
    for separator, name in ((",", "CSV"), ("\t", "TSV")):
        if set(header.split(separator)) >= FLAT_FIELDS:
            return _flat(name)
    return "not Label Studio's JSON export, which begins with '['"


def _flat(name: str) -> str:
    return f"this is Label Studio's {name} export, which leaves out scores, deleted predictions and skips; choose JSON"
