"""Names that carry a time, to UTC and back. Patterns and their meaning: `docs/formats/names.md`.

Names give Pacific local time whatever their suffix says: "PST" in a summer name means PDT. Only in the hour that the autumn
change-over repeats does the suffix decide which of the two is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from podcast.errors import InputError

PACIFIC = ZoneInfo("America/Los_Angeles")
YEARS = range(1900, 2200)
"""Of moments that are believed: others are slips of the pen, and at the calendar's ends no sum of times can be taken."""

_ORCASOUND = re.compile(
    r"(?P<parent>OS_(?P<month>\d{1,2})_(?P<day>\d{1,2})_(?P<year>\d{4})"
    r"_(?P<hour>\d{1,2})_(?P<minute>\d{1,2})_(?P<second>\d{1,2})_?)(?:_(?P<chunk>[0-9a-fA-F]{4}))?"
)
_FOLDER = re.compile(r"(?P<parent>(?P<unix>\d{9,10}))(?:_(?P<chunk>[0-9a-fA-F]{4}))?")
_NODE = re.compile(
    r"(?P<parent>(?P<node>[A-Za-z][A-Za-z0-9_-]*?)[_-](?P<year>\d{4})_(?P<month>\d{2})_(?P<day>\d{2})"
    r"_(?P<hour>\d{2})_(?P<minute>\d{2})_(?P<second>\d{2})_(?P<zone>PST|PDT))"
)


@dataclass(frozen=True, slots=True)
class SessionName:
    """A session's name taken apart.

    `parent` is the start of the parent recording as a name, `parent_start` the same in UTC (None for a tape), `chunk` the
    zero-based position of the session in its parent, `source_guid` the node where the name tells it.
    """

    parent: str
    parent_start: datetime | None = None
    chunk: int | None = None
    source_guid: str = ""

    def start(self, session_length_s: float | None) -> datetime | None:
        """UTC start of the session itself, or None if it cannot be known.

        `session_length_s` is the length of a full session of this parent (55 to 60 s, measured from the audio).
        """
        if self.parent_start is None or self.chunk in (None, 0):
            return self.parent_start
        if session_length_s is None:
            return None
        return self.parent_start + timedelta(seconds=self.chunk * session_length_s)


def parse_session_name(name: str) -> SessionName:
    """Take a session's name (a WAV's stem) apart.

    A name of no known pattern is a tape: its own parent, without a time. Raises InputError for a pattern whose numbers are no
    date.
    """
    if match := _ORCASOUND.fullmatch(name) or _NODE.fullmatch(name):
        found = match.groupdict()
        start = pacific_to_utc(_local(name, found), second_pass=found.get("zone") == "PST")
        node = (found.get("node") or "").replace("-", "_")
    elif match := _FOLDER.fullmatch(name):
        found, node = match.groupdict(), ""
        start = _believed(datetime.fromtimestamp(int(found["unix"]), UTC), name)
    else:
        return SessionName(parent=name)
    chunk = found.get("chunk")
    return SessionName(found["parent"], start, int(chunk, 16) if chunk else None, node)


def _local(name: str, found: dict[str, str | None]) -> datetime:
    fields = ("year", "month", "day", "hour", "minute", "second")
    try:
        local = datetime(*(int(str(found[field])) for field in fields))  # type: ignore[arg-type]
    except ValueError as error:
        raise InputError(f"{name}: the name holds no possible date ({error})") from error
    return _believed(local, name)


def _believed(moment: datetime, text: str) -> datetime:
    """The moment itself. Raises InputError for one of another age."""
    if moment.year not in YEARS:
        raise InputError(f"{text[:60]!r}: the year {moment.year} lies outside {YEARS.start} to {YEARS.stop - 1}")
    return moment


def pacific_to_utc(local: datetime, *, second_pass: bool = False) -> datetime:
    """UTC of a naive Pacific wall-clock time.

    `second_pass` picks the later of the two hours that the autumn change-over repeats. A time that the spring change-over
    leaves out is read as if the clock had not been put forward yet.
    """
    first = local.replace(tzinfo=PACIFIC, fold=0).astimezone(UTC)
    second = local.replace(tzinfo=PACIFIC, fold=1).astimezone(UTC)
    return max(first, second) if second_pass else first


def node_name(source_guid: str, start: datetime) -> str:
    """The name that the archive's own tools give to a recording: `rpi_orcasound_lab_2020_09_30_03_51_56_PDT`."""
    return f"{source_guid}_{start.astimezone(PACIFIC):%Y_%m_%d_%H_%M_%S_%Z}"


def format_utc(moment: datetime | None) -> str:
    """ISO 8601 with milliseconds and a Z; an empty string for None."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else ""


def parse_utc(text: str) -> datetime | None:
    """The inverse of `format_utc`; any offset is converted. Raises InputError for a time without a zone, or no time."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text[:60]!r} is no ISO 8601 time") from error
    if moment.tzinfo is None:
        raise InputError(f"{text!r} names no time zone; write 2020-07-25T19:15:00Z")
    return _believed(moment, text).astimezone(UTC)


def parse_moment(text: str) -> datetime:
    """UTC of a time as a person writes it: "2020-07-25 19:15", with seconds, with an offset or Z, or with a zone's name.

    A time without a zone, or with PST, PDT or Pacific, is Pacific local time, as everywhere in Orcasound's names. Raises
    InputError for anything else.
    """
    words = text.split()
    zone = words.pop().upper() if words and words[-1].isalpha() else ""
    try:
        moment = datetime.fromisoformat(" ".join(words))
    except ValueError as error:
        raise InputError(f"{text!r} is no time; write 2020-07-25 19:15, and UTC behind it if it is not Pacific") from error
    if zone not in ("", "PST", "PDT", "PACIFIC", "UTC", "GMT") or (zone and moment.tzinfo):
        raise InputError(f"{text!r}: the zone must be UTC, Pacific, PDT or PST, or an offset such as -07:00")
    _believed(moment, text)
    if moment.tzinfo:
        return moment.astimezone(UTC)
    return moment.replace(tzinfo=UTC) if zone in ("UTC", "GMT") else pacific_to_utc(moment, second_pass=zone == "PST")
