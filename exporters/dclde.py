"""DCLDE 2026/2027 killer whale annotations: one CSV, a row a call, a row a session without calls. See docs/formats/dclde.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from exporters.base import WriteOptions
from exporters.folder import Folder
from exporters.wav import known_length
from podcast.errors import InputError, Refusal
from podcast.model import Annotation, Certainty, Review, Session
from podcast.report import Report
from podcast.spool import Spool
from podcast.times import format_utc

COLUMNS = (
    *("Soundfile", "Dataset", "LowFreqHz", "HighFreqHz", "FileBeginSec", "FileEndSec", "UTC", "ClassSpecies"),
    *("KW", "KW_certain", "Ecotype", "Provider", "AnnotationLevel", "FilePath", "FileOk"),
)
FILE = "dclde.csv"
PROVIDER = "OrcaSound"
SPECIES = {"Call": "KW", "Humpback": "HW"}
"""ClassSpecies of our labels; any other label is UndBio, a sound of some animal."""

SRKW_CALL = re.compile(r"S\d+")
"""Call types of the Southern Residents, after Ford's catalogue; no other ecotype is named by a label of this project."""


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One table `dclde.csv` below the folder `to`, sessions in order of their names.

    A session whose start (or, without calls, length) is unknown is refused: UTC and FileEndSec may not be left out.
    """
    with Folder(to, "dclde", options) as target, Spool() as spool:

        def put(folder: str, session: Session, review: Review) -> None:
            spool.add(folder, session.id, list(rows(session, review, options)))

        return target.run(sessions, put, lambda: target.add_tables(spool, FILE, COLUMNS, ","))


def rows(session: Session, review: Review, options: WriteOptions) -> Iterator[tuple[str, ...]]:
    """The rows of one review. Raises InputError for a session that the format cannot hold."""
    start = session.recording.start
    if start is None:
        raise InputError("its start is unknown, and DCLDE demands UTC")
    if not review.annotations:
        length_s = known_length(session, options, "DCLDE demands FileEndSec of a file without calls")
        yield _row(session, "NA", "NA", 0.0, length_s, format_utc(start), "AB", "0", "NA", "NA", "File")
    for item in review.annotations:
        utc = format_utc(start + timedelta(milliseconds=round(item.event.start_s * 1000)))
        low, high = ("NA" if hz is None else str(hz) for hz in (item.event.low_hz, item.event.high_hz))
        yield _row(session, low, high, item.event.start_s, item.event.end_s, utc, *_species(item), "Call")


def _species(item: Annotation) -> tuple[str, str, str, str]:
    """ClassSpecies, KW, KW_certain, Ecotype."""
    species = SPECIES.get(item.label, "UndBio")
    if species != "KW":
        return species, "0", "NA", "NA"
    return species, "1", str(int(item.certainty is Certainty.CERTAIN)), "SRKW" if SRKW_CALL.fullmatch(item.call_type) else "NA"


def _row(
    session: Session, low: str, high: str, begin_s: float, end_s: float, utc: str, *species_and_level: str
) -> tuple[str, ...]:
    *species, level = species_and_level
    name = f"{session.id}.wav"
    return (name, session.round, low, high, str(begin_s), str(end_s), utc, *species, PROVIDER, level, f"wav/{name}", "TRUE")
