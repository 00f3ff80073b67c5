"""Which sessions of a round a coordinator should look at: a third look, for which docs/adr/0132 says why.

Boxes agree if they touch in time: where exactly a call begins is nothing to call a coordinator for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from podcast.draw import drawn
from podcast.model import Annotation, Detection, Review, ReviewState, Session
from podcast.overlap import touches
from podcast.reviews import calls_of, independent
from podcast.vocabulary import is_call

PEOPLE, MODEL, SAMPLE = "people disagree", "a person and the model disagree", "sample"
"""Why a session is picked, the strongest reason first."""
LEAST, SHARE = 0.9, 0.05
STATES = {
    ReviewState.CALLS: "calls",
    ReviewState.NO_CALLS: "no calls",
    ReviewState.UNSURE: "not sure",
}


@dataclass(frozen=True, slots=True)
class Pick:
    """A session for the coordinator, why, in short and in words, and how many people have answered it alone."""

    session_id: str
    reason: str
    detail: str
    answers: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is picked: `strong` is the model version whose boxes of a confidence of `least` or more count as a second opinion,
    empty for none; `sample` is the share of the rest."""

    strong: str = ""
    least: float = LEAST
    sample: float = SHARE


def pick(session: Session, wishes: Wishes) -> Pick | None:
    """Whether and why a session deserves a look; None for one that nobody answered, or that is decided."""
    reviews = independent(session)
    if not reviews or any(review.ground_truth for review in session.reviews):
        return None
    if words := _apart(reviews):
        return Pick(session.id, PEOPLE, words, len(reviews))
    if len(reviews) == 1 and (words := _against_model(session, reviews[0], wishes)):
        return Pick(session.id, MODEL, words, 1)
    if drawn("verify", session.round, session.id, wishes.sample):
        return Pick(session.id, SAMPLE, _said(reviews), len(reviews))
    return None


def _apart(reviews: Sequence[Review]) -> str:
    """In what people differ: in the answer, in a call that another has not, or in which orca it was. Empty where in nothing."""
    if len({review.state for review in reviews}) > 1:
        return _said(reviews)
    pairs = list(combinations([calls_of(review.annotations) for review in reviews], 2))
    alone = sum(not touches(box.event, [other.event for other in others]) for pair in pairs for box, others in _both(pair))
    named = sum(_is_named_otherwise(box, other) for ones, others in pairs for box in ones for other in others)
    told = [f"{alone} of the calls only one has"] if alone else []
    return ", ".join(told + ([f"{named} of the calls have two names"] if named else []))


def _both(pair: tuple[Sequence[Annotation], Sequence[Annotation]]) -> list[tuple[Annotation, Sequence[Annotation]]]:
    """Every box of either side, with all of the other."""
    ones, others = pair
    return [*((box, others) for box in ones), *((box, ones) for box in others)]


def _is_named_otherwise(one: Annotation, other: Annotation) -> bool:
    return one.label != other.label and touches(one.event, [other.event])


def _said(reviews: Sequence[Review]) -> str:
    """Each one's answer: "ann: 2 calls, ben: no calls"."""
    told = []
    for review in reviews:
        calls = len(calls_of(review.annotations))
        words = f"{calls} call{'s' if calls != 1 else ''}" if review.state is ReviewState.CALLS else STATES[review.state]
        told.append(f"{review.annotator or 'somebody'}: {words}")
    return ", ".join(told)


def _against_model(session: Session, review: Review, wishes: Wishes) -> str:
    """In what one person and the model differ: a sure box without a call, or calls of which the model heard none."""
    if wishes.strong not in map(str, session.model_runs):
        return ""
    boxes = [item for item in session.detections if str(item.model_run) == wishes.strong and is_call(item.label)]
    calls = [item.event for item in calls_of(review.annotations)]
    sure = [item for item in boxes if item.confidence >= wishes.least and not touches(item.event, calls)]
    if sure:
        return f"{_said([review])}; the model is sure of {len(sure)} more ({_times(sure)})"
    if calls and not any(touches(item.event, calls) for item in boxes):
        return f"{_said([review])}; the model has none of them"
    return ""


def _times(detections: Sequence[Detection]) -> str:
    return ", ".join(f"{item.event.start_s:.1f} s" for item in detections[:5]) + (", …" if len(detections) > 5 else "")
