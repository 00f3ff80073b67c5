"""DCLDE 2026/2027 killer whale annotations: one CSV, a row a call, a row a session without any. See docs/formats/dclde.md."""

from __future__ import annotations

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
from podcast.vocabulary import dclde_ecotype, source

COLUMNS = (
    *("Soundfile", "Dataset", "LowFreqHz", "HighFreqHz", "FileBeginSec", "FileEndSec", "UTC", "ClassSpecies"),
    *("KW", "KW_certain", "Ecotype", "Provider", "AnnotationLevel", "FilePath", "FileOk"),
)
FILE = "dclde.csv"
PROVIDER = "OrcaSound"
BACKGROUND = "AB"
"""The class of a whole file without an animal's sound; DCLDE has no rows for single sounds of ships and waves."""


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One table `dclde.csv` below the folder `to`, sessions in order of their names.

    A session whose start (or, without calls, length) is unknown is refused: UTC and FileEndSec may not be left out.
    """
    with Folder(to, "dclde", options) as target, Spool() as spool:

        def put(folder: str, session: Session, review: Review) -> None:
            spool.add(folder, session.id, list(rows(session, review, options)))

        return target.run(sessions, put, lambda: target.add_tables(spool, FILE, COLUMNS, ","), every_source=True)


def rows(session: Session, review: Review, options: WriteOptions) -> Iterator[tuple[str, ...]]:
    """The rows of one review. Raises InputError for a session that the format cannot hold."""
    start = session.recording.start
    if start is None:
        raise InputError("its start is unknown, and DCLDE demands UTC")
    named = [(item, species) for item in review.annotations if (species := _species(item))]
    if not named:
        length_s = known_length(session, options, "DCLDE demands FileEndSec of a file without calls")
        yield _row(session, "NA", "NA", 0.0, length_s, format_utc(start), BACKGROUND, "0", "NA", "NA", "File")
    for item, species in named:
        utc = format_utc(start + timedelta(milliseconds=round(item.event.start_s * 1000)))
        low, high = ("NA" if hz is None else str(hz) for hz in (item.event.low_hz, item.event.high_hz))
        yield _row(session, low, high, item.event.start_s, item.event.end_s, utc, *species, "Call")


def _species(item: Annotation) -> tuple[str, str, str, str] | None:
    """ClassSpecies, KW, KW_certain, Ecotype; None for a sound that DCLDE has no row for."""
    found = source(item.label)
    if found is None or found.dclde_class in ("", BACKGROUND):
        return None
    if not found.is_orca:
        return found.dclde_class, "0", "NA", "NA"
    return found.dclde_class, "1", str(int(item.certainty is Certainty.CERTAIN)), dclde_ecotype(item.label, item.call_type)


def _row(
    session: Session, low: str, high: str, begin_s: float, end_s: float, utc: str, *species_and_level: str
) -> tuple[str, ...]:
    *species, level = species_and_level
    name = f"{session.id}.wav"
    return (name, session.round, low, high, str(begin_s), str(end_s), utc, *species, PROVIDER, level, f"wav/{name}", "TRUE")
