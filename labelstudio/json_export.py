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
        for task in ijson.items(body, "item", use_float=True):
            if not isinstance(task, dict):
                raise InputError(f"expected Label Studio's JSON export, a list of tasks, but found {type(task).__name__} in it")
            if "data" not in task and task.keys() >= FLAT_FIELDS:
                raise InputError(_flat("JSON_MIN"))
            yield task
    except ijson.JSONError as error:
        raise InputError(f"not Label Studio's JSON export: {error}") from error


def _no_export(head: bytes) -> str:
    """What to say of a file that begins with something else than a list."""
    header = head.splitlines()[0].decode("utf-8", "replace").replace('"', "") if head else ""
    for separator, name in ((",", "CSV"), ("\t", "TSV")):
        if set(header.split(separator)) >= FLAT_FIELDS:
            return _flat(name)
    return "not Label Studio's JSON export, which begins with '['"


def _flat(name: str) -> str:
    return f"this is Label Studio's {name} export, which leaves out scores, deleted predictions and skips; choose JSON"
