"""From sessions of several rounds to one record a session, and names of annotators that say nothing about them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from exporters.selection import check_texts, refusal
from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import Detection, ReviewState, Session
from podcast.reading import Table
from podcast.report import Report
from podcast.reviews import COMPLETED, Consensus, consensus
from podcast.session_spool import SessionSpool
from podcast.times import parse_session_name

AUDIO_STATES = (*COMPLETED, ReviewState.UNSURE)
"""The states whose audio a release holds; nobody has said anything about the others."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Record:
    """One session with the reviews of all its rounds (`session.round` names them all), and what they say together."""

    session: Session
    consensus: Consensus

    @property
    def state(self) -> ReviewState:
        """The released state."""
        return self.consensus.state


def spooled(sessions: Iterable[Session | Refusal], spool: SessionSpool, report: Report) -> Iterator[Session]:
    """Keep a stream of sessions, and pass them on; refusals go to the report, and so does a session that no release can hold.

    Raises InputError if one round gives one session twice with different content: nobody can tell which is right.
    """
    for session in report.accepted(sessions):
        try:
            check_texts(session)
            parse_session_name(session.id)
        except InputError as error:
            report.refuse(refusal(session, error))
            continue
        if spool.add(session):
            yield session
        elif spool.get(session.id, session.round) != session:
            raise InputError(
                f"session {session.id} comes twice in round {session.round!r}, with different content; name each round once"
            )


def records(spool: SessionSpool, overlap: float, report: Report, *, shared: bool = False) -> Iterator[Record]:
    """One record a session id, in order of ids; sessions of one id with different audio are refused.

    `shared` gives only the sessions that several rounds have.
    """
    for same in spool.by_id(shared=shared):
        try:
            session = merged(same)
        except InputError as error:
            report.refuse(Refusal(f"session {same[0].id}", str(error)))
            continue
        yield Record(session, consensus(session, overlap))


def merged(sessions: list[Session]) -> Session:
    """Sessions of one id as one: reviews in order of time, detections of all. Raises InputError if the audio differs."""
    first, *others = sessions
    if not others:
        return first
    if len({session.recording.sha256 for session in sessions if session.recording.sha256}) > 1:
        rounds = ", ".join(session.round for session in sessions)
        raise InputError(f"rounds {rounds} have different audio under this name (sha256 differs)")
    recording = max((session.recording for session in sessions), key=lambda found: (bool(found.sha256), found.start is not None))
    detections: set[Detection] = set().union(*(session.detections for session in sessions))
    reviews = [review for session in sessions for review in session.reviews]
    return replace(
        first,
        recording=recording,
        round=" + ".join(session.round for session in sessions),
        detections=tuple(sorted(detections, key=detection_order)),
        model_runs=tuple(sorted(set().union(*(session.model_runs for session in sessions)))),
        reviews=tuple(sorted(reviews, key=lambda review: review.submitted or _NEVER)),
        blind=all(session.blind for session in sessions),
        planned=next((session.planned for session in sessions if session.planned), None),
    )


def detection_order(detection: Detection) -> tuple[str, float, float, str, float]:
    """Model, time, label, confidence: an order that frequencies left out do not upset."""
    event = detection.event
    return (str(detection.model_run), event.start_s, event.end_s, detection.label, detection.confidence)


def wav_filename(record: Record) -> str:
    """The name of the session's audio."""
    return f"{record.session.id}.wav"


class Pseudonyms:
    """Annotators by number. `known` (address to pseudonym) keeps the numbers of earlier releases; new ones follow by address.
    One who comes from a release goes by that pseudonym.

    Numbers are dealt in order of addresses, not hashed: a hash of an address can be guessed (docs/adr/0053).
    """

    def __init__(self, annotators: Iterable[str], known: dict[str, str] | None = None) -> None:
        annotators = set(annotators) - {""}
        released = {name: name for name in annotators if re.fullmatch(r"annotator-\d{3,}", name)}
        self.names = {**released, **(known or {})}
        taken, number = set(self.names.values()), 0
        for annotator in sorted(annotators - set(self.names)):
            while (pseudonym := f"annotator-{(number := number + 1):03d}") in taken:
                pass
            self.names[annotator] = pseudonym

    def __getitem__(self, annotator: str) -> str:
        """The pseudonym; an unknown annotator stays empty."""
        return self.names[annotator] if annotator else ""

    @classmethod
    def read(cls, uri: str) -> dict[str, str]:
        """A table `annotator,pseudonym`. Raises InputError for another header, or two annotators of one pseudonym."""
        known: dict[str, str] = {}
        with storage.open_read(uri) as file:
            for line in Table(file, uri, ",", ("annotator", "pseudonym"), multiline=True):
                if line.problem or not all(line.cells.values()):
                    raise InputError(f"{line.where}: {line.problem or 'expected an annotator and a pseudonym, both filled'}")
                if line.cells["annotator"] in known or line.cells["pseudonym"] in known.values():
                    raise InputError(f"{line.where}: this annotator or pseudonym stands there twice")
                known[line.cells["annotator"]] = line.cells["pseudonym"]
        return known

    def write(self, uri: str) -> None:
        """Keep the table, to be given to the next release. It names people: it is no part of a release."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("annotator", "pseudonym"))
        writer.writerows(sorted(self.names.items()))
        storage.write(uri, text.getvalue().encode(), private=True)
