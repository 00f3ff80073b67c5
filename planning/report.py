"""What a coordinator wants to know of each round, gathered while its sessions pass by: only numbers of each are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from evaluation.agreement import Agreement
from evaluation.blind import BlindAudit
from evaluation.calibration import Calibration, Scored, calibration
from evaluation.edits import EditRow, ReviewEdits
from evaluation.estimate import MinutesWithCalls
from podcast.heard import answers, faster_than_sound
from podcast.model import Certainty, Review, ReviewState, Session
from podcast.reviews import COMPLETED, SILENT, consensus, counted, review_state
from podcast.times import PACIFIC
from podcast.vocabulary import is_call

PACE_DAYS = 7
"""The forecast goes by the last so many days on which anybody answered."""
MOST_AGAIN = 50
"""So many sessions of a round are listed to be looked at again."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """A session that deserves another look, and why; `score` says how much."""

    session_id: str
    address: str
    why: str
    score: float


@dataclass(slots=True)
class RoundFacts:
    """One round. Fill it with `add`, session by session.

    `days` counts answers by Pacific day; `listened_s` is what the page noted that was played, of all answers but the `not_noted`;
    `sounds` counts the boxes that stand at the end, by label; `refused` sessions could not be read.
    """

    name: str
    address: str
    states: Counter[ReviewState] = field(default_factory=Counter)
    days: Counter[date] = field(default_factory=Counter)
    listened_s: float = 0.0
    answers: int = 0
    not_noted: int = 0
    faster: int = 0
    refused: int = 0
    sounds: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    agreement: Agreement = field(default_factory=Agreement)
    blind: BlindAudit = field(default_factory=BlindAudit)
    sea: MinutesWithCalls = field(default_factory=MinutesWithCalls)
    edits: ReviewEdits = field(default_factory=ReviewEdits)
    edits_by_day: dict[date, ReviewEdits] = field(default_factory=dict)
    _scored: dict[str, list[Scored]] = field(default_factory=dict)
    _doubtful: list[LookAgain] = field(default_factory=list)
    _addresses: dict[str, str] = field(default_factory=dict)

    def add(self, session: Session, address: str = "") -> None:
        """Take one session, whose task has this address."""
        state = review_state(session)
        self.states[state] += 1
        self.blind.add(session)
        self.sea.add(session)
        if state in SILENT:
            return
        self._addresses[session.id] = address
        for review in answers(session):
            self._listened(session, review)
        for review in counted(session):
            if review.state in COMPLETED:
                self._changed(session, review)
        for box in consensus(session).annotations:
            self.sounds[box.label] += 1
        self.agreement.add(session)
        if state is ReviewState.UNSURE:
            self._doubtful.append(LookAgain(session.id, address, "nobody was sure", 0.0))

    @property
    def sessions(self) -> int:
        """All sessions."""
        return self.states.total()

    @property
    def done(self) -> int:
        """Sessions that somebody answered."""
        return self.sessions - self.left

    @property
    def left(self) -> int:
        """Sessions that nobody answered: skipped ones come again."""
        return sum(self.states[state] for state in SILENT)

    @property
    def pace(self) -> float | None:
        """Answers a day, over the last `PACE_DAYS` days on which anybody answered; None before the first."""
        last = sorted(self.days)[-PACE_DAYS:]
        return sum(self.days[day] for day in last) / len(last) if last else None

    def calibrations(self) -> Iterator[tuple[str, int, Calibration]]:
        """By model version: how many boxes people judged, and whether their confidences held."""
        for version in sorted(self._scored):
            scored = self._scored[version]
            yield version, sum(map(len, scored)), calibration(scored)

    def edit_rows(self) -> Iterator[tuple[date | None, EditRow]]:
        """Edits a minute by model version, over all (None) and by the day of the answer."""
        for row in self.edits.rows():
            yield None, row
        for day in sorted(self.edits_by_day):
            for row in self.edits_by_day[day].rows():
                yield day, row

    def look_again(self) -> list[LookAgain]:
        """The sessions on which people disagree most, then those of which nobody was sure; at most `MOST_AGAIN`."""
        found = [
            LookAgain(item.session_id, self._addresses[item.session_id], f"people disagree ({item.score:.2f})", item.score)
            for item in self.agreement.disagreements()
        ]
        named = {item.session_id for item in found}
        found += sorted((item for item in self._doubtful if item.session_id not in named), key=lambda item: item.session_id)
        return found[:MOST_AGAIN]

    def _listened(self, session: Session, review: Review) -> None:
        self.answers += 1
        self.people[review.annotator or "unknown"] += 1
        self.faster += bool(faster_than_sound(review, session.recording.duration_s))
        if review.heard.heard_s is None:
            self.not_noted += 1
        else:
            self.listened_s += review.heard.heard_s
        if review.submitted is not None:
            self.days[review.submitted.astimezone(PACIFIC).date()] += 1

    def _changed(self, session: Session, review: Review) -> None:
        alone = replace(session, reviews=(review,))
        self.edits.add(alone)
        if review.submitted is not None:
            self.edits_by_day.setdefault(review.submitted.astimezone(PACIFIC).date(), ReviewEdits()).add(alone)
        judged = [
            (item.detection, int(is_call(item.label)))
            for item in review.annotations
            if item.detection and item.certainty is Certainty.CERTAIN
        ]
        judged += [(detection, 0) for detection in review.rejected]
        scored: dict[str, list[tuple[float, int]]] = {}
        for detection, lie in judged:
            if is_call(detection.label):
                scored.setdefault(str(detection.model_run), []).append((detection.confidence, lie))
        for version, boxes in scored.items():
            self._scored.setdefault(version, []).append(boxes)
