"""What the free tags of old rounds mean, from the table `tags.tsv` that maintainers edit.

Capitals and spaces around a tag do not count. `S#` in a tag stands for any Southern Resident call type (S1, S16), in
`call_type` for that type with two digits. A tag that the table does not have becomes an uncertain call that keeps it as its note.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from podcast.model import CALL, Certainty

TAGS_PATH = Path(__file__).with_name("tags.tsv")


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
    for pattern, row in _table():
        if match := pattern.fullmatch(plain):
            number = f"S{int(match[1]):02d}" if match.groups() else ""
            return Meaning(row["label"], Certainty(row["certainty"]), row["call_type"].replace("S#", number), row["note"])
    return Meaning(CALL, Certainty.UNCERTAIN, note=f"tag: {tag.strip()}", known=False)


@cache
def _table() -> list[tuple[re.Pattern[str], dict[str, str]]]:
    with TAGS_PATH.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", restval=""))
    return [(re.compile(re.escape(row["tag"].lower()).replace(r"s\#", r"s(\d{1,3})")), row) for row in rows]
