"""A round with a session in every state, and what an export of it must give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporters import EXPORTERS
from exporters.base import WriteOptions
from podcast.model import Annotation, Certainty, Outcome, Recording, Review, ReviewState, Session, Sighting, SoundEvent
from podcast.report import Report

FORMATS = sorted(EXPORTERS)
every_format = pytest.mark.parametrize("name", FORMATS)
LISTS = {"pods-ai", "bouts"}
"""Formats that list named sounds by node and time: no session is in them by name, and one without a named sound not at all.

The sessions here are reported as residents, so that these formats have something to name."""
every_format_of_sessions = pytest.mark.parametrize("name", sorted(set(FORMATS) - LISTS))
OUTCOMES = ("written", "unsure", "skipped", "unreviewed", "refused")


def boxes(*times: tuple[float, float], certainty: Certainty = Certainty.CERTAIN, call_type: str = "") -> tuple[Annotation, ...]:
    return tuple(
        Annotation(SoundEvent(start, end), "Call", certainty, "v@x.org", Outcome.ADDED, call_type=call_type)
        for start, end in times
    )


def session(name: str, *reviews: Review, start: datetime | None = datetime(2017, 9, 27, 15, 26, tzinfo=UTC)) -> Session:
    recording = Recording(f"https://x/{name}.wav", "rpi_orcasound_lab", start, 60.0)
    minute = (start, start, start + timedelta(minutes=1)) if start else None
    told = (Sighting("rpi_orcasound_lab", *minute, "tp_machine_only", "resident", 0.5),) if minute else ()
    return Session(name, recording, "OS_9_27_2017_08_25_00_", "round3", reviews=reviews, sightings=told)


def calls(*times: tuple[float, float], annotator: str = "v@x.org", **more: object) -> Review:
    return Review(annotator, ReviewState.CALLS, boxes(*times), **more)  # type: ignore[arg-type]


NO_CALLS = Review("v@x.org", ReviewState.NO_CALLS)
SESSIONS = [
    session("s_calls", calls((24.5, 26.95), (39.2, 41.65))),
    session("s_empty", NO_CALLS),
    session("s_unsure", Review("v@x.org", ReviewState.UNSURE, boxes((1, 2)), note="ship?")),
    session("s_skipped", Review("v@x.org", ReviewState.SKIPPED)),
    session("s_unreviewed"),
    session("s_answer", Review("v@x.org", ReviewState.UNREVIEWED)),
    session("s_uncertain", Review("v@x.org", ReviewState.CALLS, boxes((3, 4), certainty=Certainty.UNCERTAIN, call_type="S01"))),
    session("s_torn", Review("v@x.org", ReviewState.CALLS)),  # calls without a box: nobody can tell what was meant
]
BOXES = {"s_calls": [24.5, 39.2], "s_empty": [], "s_uncertain": [3.0]}
COUNTS = {"written": 3, "no_calls": 1, "other_sounds": 0, "unsure": 2, "skipped": 1, "unreviewed": 2, "refused": 0}


def export(
    to: Path, name: str, sessions: list[Session], wavs: str | None = None, annotator: str = "latest"
) -> tuple[Report, dict[str, bytes]]:
    """The report, and every file but the list of them."""
    report = EXPORTERS[name](sessions, str(to), WriteOptions(annotator, audio=wavs))
    return report, files_of(to)


def files_of(to: Path, manifest: bool = False) -> dict[str, bytes]:
    found = {path.relative_to(to).as_posix(): path.read_bytes() for path in to.rglob("*") if path.is_file()}
    if not manifest:
        found.pop("export.jsonl", None)
    return found
