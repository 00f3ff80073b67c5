"""What the free tags of old rounds mean, from the table `tags.tsv` that maintainers edit.

Capitals and spaces around a tag do not count. `S#` in a tag stands for any Southern Resident call type (S1, S16), in
`call_type` for that type with two digits. A tag that the table does not have becomes an uncertain call that keeps it as its note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import BinaryIO

from podcast.errors import InputError
from podcast.model import CALL, Certainty
from podcast.reading import Table
from podcast.vocabulary import VOCABULARY_PATH, source

TAGS_PATH = Path(__file__).with_name("tags.tsv")
COLUMNS = ("tag", "label", "certainty", "call_type", "note")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one tag says of its box; `known` is False where the table does not have it."""

    label: str
    certainty: Certainty
    call_type: str = ""
    note: str = ""
    known: bool = True


def meaning(tag: str) -> Meaning:
    """The meaning of a tag; no tag at all means a call, which is all that the earlier rounds asked for."""
    plain = " ".join(tag.lower().split())
    if not plain:
        return Meaning(CALL, Certainty.CERTAIN)
    for pattern, found in _table():
        if match := pattern.fullmatch(plain):
            number = f"S{int(match[1]):02d}" if match.groups() else ""
            return replace(found, call_type=found.call_type.replace("S#", number))
    return Meaning(CALL, Certainty.UNCERTAIN, note=f"tag: {tag.strip()}", known=False)


@cache
def _table() -> list[tuple[re.Pattern[str], Meaning]]:
    with TAGS_PATH.open("rb") as file:
        return list(parse_tags(file, str(TAGS_PATH)))


def parse_tags(file: BinaryIO, name: str) -> Iterator[tuple[re.Pattern[str], Meaning]]:
    """What a tag looks like, and its meaning, line by line. Raises InputError naming the line and column that is wrong."""
    for line in Table(file, name, "\t", COLUMNS):
        cells = line.cells
        if line.problem:
            raise InputError(f"{line.where}: {line.problem}")
        if cells["certainty"] not in list(Certainty):
            raise InputError(f"{line.where}, certainty: expected {' or '.join(Certainty)}, not {cells['certainty']!r}")
        if source(cells["label"]) is None:
            raise InputError(f"{line.where}, label: expected a name of {VOCABULARY_PATH.name}, not {cells['label']!r}")
        pattern = re.escape(cells["tag"].lower()).replace(r"s\#", r"s(\d{1,3})")
        yield re.compile(pattern), Meaning(cells["label"], Certainty(cells["certainty"]), cells["call_type"], cells["note"])
