"""What made a sound: the table `vocabulary.csv`, which maintainers edit and page, importers, exporters and training read.

The label of a box is the `name` of a source. Only an orca's sound is ever a call; a label that the table does not have is none,
and whoever meets one says so (docs/adr/0100).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import BinaryIO

from podcast.errors import InputError
from podcast.model import CALL
from podcast.reading import Line, Table

VOCABULARY_PATH = Path(__file__).with_name("vocabulary.csv")
COLUMNS = (
    *("key", "name", "kind", "orca", "ecotype", "aphia_id", "itis_tsn", "dclde_class", "dclde_ecotype", "pods_ai", "tags"),
    "colour",
)
DCLDE_CLASSES = ("KW", "HW", "AB", "UndBio")
DCLDE_ECOTYPES = ("SRKW", "TKW", "NRKW", "OKW", "SAR", "NA")

SOMETHING_ELSE = "Something else"
"""The label of a sound that is no orca's, where nobody said what made it."""


class Kind(StrEnum):
    """Where a sound comes from: animals, people and their machines, or wind, waves and rain."""

    BIOPHONY = "biophony"
    ANTHROPHONY = "anthrophony"
    GEOPHONY = "geophony"
    UNKNOWN = "unknown"


SIGNALS = {"Whistle": "whistle", "Clicks": "clicks", "Buzz": "buzz"}
"""What stands among the page's call types and is no call of a catalogue, by orcasite's tag."""

SRKW_CALL = re.compile(r"S\d+")
"""Call types of the Southern Residents, after Ford's catalogue."""


@dataclass(frozen=True, slots=True)
class Source:
    """What made a sound; a row of the table.

    `name` is the label of a box. `aphia_id` (WoRMS) and `itis_tsn` (ITIS) name the species, None where there is no single one.
    `dclde_class` and `pods_ai` are the names in those vocabularies, empty where they have none; `dclde_ecotype` is NA but for
    orcas that are told apart. `tags` are orcasite's tags that mean this source; the first is the one that is written. `colour` is
    `#rrggbb`.
    """

    key: str
    name: str
    kind: Kind
    is_orca: bool
    ecotype: str
    aphia_id: int | None
    itis_tsn: int | None
    dclde_class: str
    dclde_ecotype: str
    pods_ai: str
    tags: tuple[str, ...]
    colour: str


def sources() -> tuple[Source, ...]:
    """Every source, in the table's order."""
    return tuple(_table().values())


def source(label: str) -> Source | None:
    """The source that a label names, to the letter; None for a label that the table does not have."""
    return _table().get(label)


def is_call(label: str) -> bool:
    """Whether a box of this label is an orca's sound. One that the table does not have is none."""
    found = source(label)
    return found is not None and found.is_orca


def of_pods_ai(category: str) -> Source | None:
    """The source that a category of pods-ai means, None for one that is not known."""
    return next((item for item in sources() if item.pods_ai and item.pods_ai == category), None)


def of_tag(tag: str) -> Source | None:
    """The source that a tag of orcasite means, whatever its capitals; None for one that says no source, or is not known."""
    plain = tag.strip().lower()
    return next((item for item in sources() if plain in (name.lower() for name in item.tags)), None)


def of_dclde(class_species: str, ecotype: str = "NA") -> Source | None:
    """The source that a class and an ecotype of DCLDE mean.

    An ecotype that the table does not have gives the orca of unknown kind. `AB`, which is any sound of no animal, is "something
    else". None for a class that is not known.
    """
    if class_species == "AB":
        return source(SOMETHING_ELSE)
    same = {item.dclde_ecotype: item for item in reversed(sources()) if item.dclde_class == class_species}
    return same.get(ecotype) or same.get("NA")


def of_name(text: str) -> Source | None:
    """The source that a model's class means: by its name here, in pods-ai, as a tag of orcasite, or as an ecotype or a class of
    DCLDE; None for one that none of them has."""
    plain = text.strip()
    found = source(plain) or of_pods_ai(plain) or of_tag(plain)
    if found is None and plain in DCLDE_ECOTYPES and plain != "NA":
        return of_dclde("KW", plain)
    return found or (of_dclde(plain) if plain in DCLDE_CLASSES else None)


def dclde_ecotype(label: str, call_type: str) -> str:
    """The ecotype of a box in DCLDE's words: that of its source, else that of a call type which only one ecotype makes."""
    found = source(label)
    if found is None or not found.is_orca:
        return "NA"
    return "SRKW" if found.dclde_ecotype == "NA" and SRKW_CALL.fullmatch(call_type) else found.dclde_ecotype


def unknown_labels(labels: Iterable[str]) -> list[str]:
    """Those of the labels that the table does not have, once each, sorted."""
    return sorted({label for label in labels if source(label) is None})


@cache
def _table() -> Mapping[str, Source]:
    with VOCABULARY_PATH.open("rb") as file:
        return {item.name: item for item in parse_vocabulary(file, str(VOCABULARY_PATH))}


def parse_vocabulary(file: BinaryIO, name: str) -> list[Source]:
    """The sources of an open table. Raises InputError naming the line and column that is wrong, or what the table must have."""
    table = Table(file, name, ",", COLUMNS)
    found = [_source(line) for line in table]
    for column in ("key", "name", "pods_ai"):
        seen = [value for item in found if (value := getattr(item, column))]
        if twice := sorted({value for value in seen if seen.count(value) > 1}):
            raise InputError(f"{name}, {column}: {twice[0]!r} stands there twice")
    tags = [tag.lower() for item in found for tag in item.tags]
    if twice := sorted({tag for tag in tags if tags.count(tag) > 1}):
        raise InputError(f"{name}, tags: {twice[0]!r} stands there twice")
    for label, orca in ((CALL, True), (SOMETHING_ELSE, False)):
        if (label, orca) not in [(item.name, item.is_orca) for item in found]:
            raise InputError(f"{name}: a source of the name {label!r} with orca {'yes' if orca else 'no'} is missing")
    return found


def _source(line: Line) -> Source:
    cells = {column: line.cells.get(column, "").strip() for column in COLUMNS}

    def expect(column: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise InputError(f"{line.where}, {column}: expected {wanted}, not {cells[column]!r}")

    if line.problem:
        raise InputError(f"{line.where}: {line.problem}")
    expect("key", bool(re.fullmatch("[a-z][a-z0-9_]*", cells["key"])), "small letters, digits and underscores")
    expect("name", bool(cells["name"]), "the name that people see")
    expect("kind", cells["kind"] in list(Kind), f"one of {', '.join(Kind)}")
    expect("orca", cells["orca"] in ("yes", "no"), "yes or no")
    for column in ("aphia_id", "itis_tsn"):
        expect(column, bool(re.fullmatch(r"[0-9]{0,9}", cells[column])), "a number, or nothing")
    expect("dclde_class", cells["dclde_class"] in ("", *DCLDE_CLASSES), f"one of {', '.join(DCLDE_CLASSES)}, or nothing")
    expect("dclde_ecotype", cells["dclde_ecotype"] in DCLDE_ECOTYPES, f"one of {', '.join(DCLDE_ECOTYPES)}")
    expect("colour", bool(re.fullmatch("#[0-9a-f]{6}", cells["colour"])), "#rrggbb in small letters")
    orca = cells["orca"] == "yes"
    expect("dclde_class", (cells["dclde_class"] == "KW") is orca, "KW for an orca, and for nothing else")
    expect("dclde_ecotype", orca or cells["dclde_ecotype"] == "NA", "NA for what is no orca")
    return Source(
        key=cells["key"],
        name=cells["name"],
        kind=Kind(cells["kind"]),
        is_orca=orca,
        ecotype=cells["ecotype"],
        aphia_id=int(cells["aphia_id"]) if cells["aphia_id"] else None,
        itis_tsn=int(cells["itis_tsn"]) if cells["itis_tsn"] else None,
        dclde_class=cells["dclde_class"],
        dclde_ecotype=cells["dclde_ecotype"],
        pods_ai=cells["pods_ai"],
        tags=tuple(tag.strip() for tag in cells["tags"].split(";") if tag.strip()),
        colour=cells["colour"],
    )
