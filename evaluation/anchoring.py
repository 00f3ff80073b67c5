"""Does the model lead its annotators? What became of the boxes that it showed them, and what it did not find.

A share of untouched predictions near 1 says that the model is perfect, or that nobody checks; the recall against boxes that
people added tells which, for those owe nothing to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from podcast.model import Annotation, Detection, ModelRun, Outcome, Review, Session, SoundEvent
from podcast.overlap import match
from podcast.reviews import by_annotator, calls_of
from podcast.vocabulary import is_call


@dataclass(slots=True)
class Anchoring:
    """Counts of one annotator with one model version.

    `shown` = `accepted` + `moved` + `deleted` boxes of the model; one that was said to be no orca counts as deleted. `boxes` are
    all calls that the annotator submitted, `added` those that came from no prediction; `found` and `added_found` are how many of
    these a call of the model overlaps enough.
    """

    annotator: str
    model_version: str
    reviews: int = 0
    accepted: int = 0
    moved: int = 0
    deleted: int = 0
    boxes: int = 0
    found: int = 0
    added: int = 0
    added_found: int = 0

    @property
    def shown(self) -> int:
        """Boxes of the model that the annotator started from."""
        return self.accepted + self.moved + self.deleted


class AnchoringAudit:
    """Fill it with `add`, session by session; `threshold` is the overlap from which a prediction has found a box."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._rows: dict[tuple[str, str], Anchoring] = {}

    def add(self, session: Session) -> None:
        """Take one session; one that was heard without boxes tells nothing of them."""
        if session.blind:
            return
        for review in by_annotator(session):
            for run in sorted({*session.model_runs, *(item.model_run for item in _detections(session, review))}):
                self._add(session, review, run)

    def rows(self) -> Iterator[Anchoring]:
        """By annotator, then model version."""
        for key in sorted(self._rows):
            yield self._rows[key]

    def _add(self, session: Session, review: Review, run: ModelRun) -> None:
        row = self._rows.setdefault((review.annotator, str(run)), Anchoring(review.annotator, str(run)))
        row.reviews += 1
        for item in review.annotations:
            if item.detection and item.detection.model_run == run:
                denied = is_call(item.detection.label) and not is_call(item.label)
                row.accepted += item.outcome is Outcome.ACCEPTED and not denied
                row.moved += item.outcome is Outcome.MOVED and not denied
                row.deleted += denied
        row.deleted += sum(detection.model_run == run for detection in review.rejected)
        shown = [item for item in _detections(session, review) if item.model_run == run]
        events = {item.event for item in shown if is_call(item.label)}
        predicted = sorted(events, key=lambda event: (event.start_s, event.end_s))
        calls = calls_of(review.annotations)
        added = [item for item in calls if item.outcome is Outcome.ADDED]
        row.boxes += len(calls)
        row.added += len(added)
        row.found += len(match(_events(calls), predicted, self._threshold))
        row.added_found += len(match(_events(added), predicted, self._threshold))


def _detections(session: Session, review: Review) -> list[Detection]:
    """Every prediction that the session or the review knows of."""
    shown = [item.detection for item in review.annotations if item.detection]
    return [*session.detections, *shown, *review.rejected]


def _events(annotations: Iterable[Annotation]) -> list[SoundEvent]:
    return [item.event for item in annotations]
