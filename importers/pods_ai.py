"""Rows of pods-ai's tables: who reported what, where and when. See docs/formats/pods-ai.md.

`Timestamp` is Pacific local time whatever its suffix says, and `URI` tells UTC: a row in which they differ is refused, since one
of them would lead to other audio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from podcast.dataset_table import number
from podcast.errors import InputError
from podcast.model import Sighting
from podcast.nodes import slug_of
from podcast.times import pacific_to_utc, parse_utc

COLUMNS = ("Category", "NodeName", "Timestamp", "URI", "Description", "Notes", "Confidence")
EXACT = "training_samples"
"""Tables of this name hold the times of the sounds themselves, of 3 s each; all others hold the times of reports."""
MINUTE = timedelta(seconds=60)
TRUNCATED = timedelta(seconds=1)
"""`Timestamp` leaves the fraction of the second out."""
MACHINE = ("tp_machine_only", "fp_machine_only", "tp_both")
HUMAN = "tp_human_only"

_LOCAL = re.compile(r"(\d{4}_\d{2}_\d{2}_\d{2}_\d{2}_\d{2})_P[SD]T")


def sighting(cells: Mapping[str, str], *, exact: bool) -> Sighting:
    """The report of one row, with the stretch of time that its sound lies in.

    That is the minute from its time for a clip that a machine reported; the minute before it for a person's report, which comes
    later than the sound; both minutes where nobody can tell who reported; the minute around it in an `exact` table. Raises
    InputError naming the column that is wrong.
    """
    node, moment = cells["NodeName"].strip(), _moment(cells)
    source, confidence = cells["Notes"].strip(), cells["Confidence"].strip()
    percent = _percent(confidence) if confidence else None
    before, after = (MINUTE / 2, MINUTE / 2) if exact else _reach(source)
    return Sighting(
        node=node,
        time=moment,
        start=moment - before,
        end=moment + after,
        source=source,
        category=cells["Category"].strip(),
        confidence=None if percent is None else round(percent / 100, 8),
        description=cells["Description"].strip(),
    )


def _percent(cell: str) -> float:
    try:
        if (found := number(cell)) <= 100:
            return found
    except InputError:
        pass
    raise InputError(f"Confidence: expected a number from 0 to 100, or nothing, not {cell[:60]!r}")


def _reach(source: str) -> tuple[timedelta, timedelta]:
    if source == HUMAN:
        return MINUTE, timedelta()
    return timedelta() if source in MACHINE else MINUTE, MINUTE


def _moment(cells: Mapping[str, str]) -> datetime:
    """UTC, if address and timestamp agree on it."""
    written, address = cells["Timestamp"].strip(), cells["URI"].strip()
    found = _LOCAL.fullmatch(written)
    if not found:
        raise InputError(f"Timestamp: expected 2023_08_18_00_59_53_PST, not {written[:60]!r}")
    try:
        local = datetime.strptime(found[1], "%Y_%m_%d_%H_%M_%S")
        parts = urlsplit(address)
        given = parse_qs(parts.query, max_num_fields=20).get("time", [""])[0]
    except ValueError as error:
        raise InputError(f"Timestamp or URI cannot be read ({error})") from error
    moment = parse_utc(given)
    if moment is None:
        raise InputError(f"URI: expected ?time= and a time in UTC, not {address[:100]!r}")
    near = abs(local.year - moment.year) <= 1  # or else its UTC may lie beyond the calendar
    if not near or not any(
        timedelta() <= moment - start < TRUNCATED for start in (_utc(local, later) for later in (False, True))
    ):
        raise InputError(f"Timestamp {written} is Pacific time, and URI says {given}: one of them is wrong")
    slug = parts.path.rpartition("/")[2]
    if slug != slug_of(cells["NodeName"].strip()):
        raise InputError(f"NodeName is {cells['NodeName'][:60]!r}, and URI names {slug[:60]!r}: one of them is wrong")
    return moment


def _utc(local: datetime, later: bool) -> datetime:
    """Of the hour that comes twice, either."""
    return pacific_to_utc(local, second_pass=later)
