"""pods-ai's table of samples: a row a sound whose maker people named. See docs/formats/pods-ai.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from urllib.parse import quote

from exporters.base import WriteOptions
from exporters.folder import Folder
from exporters.makers import maker, reports
from exporters.raven import one_line
from podcast.errors import InputError, Refusal
from podcast.model import Annotation, Certainty, Outcome, Review, Session
from podcast.nodes import slug_of
from podcast.overlap import overlap
from podcast.report import Report
from podcast.spool import Spool
from podcast.times import PACIFIC, format_utc
from podcast.vocabulary import Kind, source

COLUMNS = ("Category", "NodeName", "Timestamp", "URI", "Description", "Notes", "Confidence")
FILE = "training_samples.csv"
ADDRESS = "https://live.orcasound.net/bouts/new/{}?time={}"


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One table `training_samples.csv` below the folder `to`, sessions in order of their names.

    A session whose start or node is unknown is refused. What has no row, above all a session without a named sound, is in the
    sidecar, and a warning counts it.
    """
    samples = 0
    with Folder(to, "pods-ai", options) as target, Spool() as spool:

        def put(folder: str, session: Session, review: Review) -> None:
            nonlocal samples
            found = list(rows(session, review))
            samples += len(found)
            spool.add(folder, session.id, found)

        report = target.run(
            sessions, put, lambda: target.add_tables(spool, FILE, COLUMNS, ","), holds=is_whole, every_source=True
        )
    if samples:
        report.counts["samples"] = samples
    return report


def rows(session: Session, review: Review) -> Iterator[tuple[str, ...]]:
    """A row for each certain box of a source that pods-ai has a category for. Raises InputError for an unknown start or node."""
    recording = session.recording
    if recording.start is None:
        raise InputError("its start is unknown, and a sample of pods-ai is a moment")
    if not recording.source_guid:
        raise InputError("its node is unknown, and a sample of pods-ai names one")
    for item in review.annotations:
        if not (name := category(session, item)):
            continue
        moment = recording.start + timedelta(milliseconds=round(item.event.start_s * 1000))
        notes, confidence = _reported(session, review, item, name)
        yield (
            name,
            recording.source_guid,
            f"{moment.astimezone(PACIFIC):%Y_%m_%d_%H_%M_%S}_PST",
            ADDRESS.format(slug_of(recording.source_guid), quote(format_utc(moment), safe="")),
            one_line(" ".join(filter(None, (item.call_type, item.note or review.note)))),
            notes,
            "" if confidence is None else f"{100 * confidence:.10g}",
        )


def category(session: Session, item: Annotation) -> str:
    """pods-ai's name for what made the sound of a certain box; empty for one that it has no name for, or that is uncertain."""
    found = maker(session, item) if item.certainty is Certainty.CERTAIN else None
    return found.pods_ai if found else ""


def is_whole(session: Session, review: Review) -> bool:
    """Whether the rows of a review say all of it that they are meant to say."""
    return bool(review.annotations) and all(category(session, item) for item in review.annotations)


def _reported(session: Session, review: Review, item: Annotation, name: str) -> tuple[str, float | None]:
    """Notes (who reported the sound, and whether that was right) and Confidence."""
    for near in reports(session, item):
        if near.category == name and near.source:
            return near.source, near.confidence
    shown = item.detection if item.outcome is not Outcome.ADDED else None
    shown = shown or next((found for found in review.rejected if overlap(found.event, item.event) > 0), None)
    made_by = source(item.label)
    if made_by and made_by.kind is Kind.BIOPHONY:
        return ("tp_machine_only", shown.confidence) if shown else ("tp_human_only", None)
    return ("fp_machine_only", shown.confidence) if shown else ("", None)
