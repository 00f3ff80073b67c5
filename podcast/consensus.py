"""What several annotators of one session say together, with their votes kept. The rules, in words: docs/releases.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

from podcast.model import Annotation, Certainty, Review, ReviewState, Session
from podcast.overlap import overlap

DEFAULT_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class VotedBox:
    """One box as it is released, and who drew it: `annotation` is a box that one of the `voters` really drew."""

    annotation: Annotation
    voters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Consensus:
    """The state and the boxes of a session, and the reviewers whose word counted, by name."""

    state: ReviewState
    boxes: tuple[VotedBox, ...] = ()
    reviewers: tuple[str, ...] = ()


def reviews_by_annotator(session: Session) -> tuple[Review, ...]:
    """Of each annotator the last review that says something (skips and "not looked at" do not), sorted by annotator."""
    latest = {
        review.annotator: review
        for review in session.reviews
        if review.state not in (ReviewState.SKIPPED, ReviewState.UNREVIEWED)
    }
    return tuple(latest[name] for name in sorted(latest))


def counted_reviews(session: Session) -> tuple[Review, ...]:
    """The reviews that count: one an annotator; but a review marked as ground truth (the last of several) stands alone."""
    truths = [review for review in session.reviews if review.ground_truth and review.state is not ReviewState.SKIPPED]
    return (truths[-1],) if truths else reviews_by_annotator(session)


def consensus(session: Session, threshold: float = DEFAULT_OVERLAP) -> Consensus:
    """State and boxes of a session; boxes of different annotators that overlap by `threshold` or more are one.

    One reviewer's word is taken as it is. Of several, all must say "no calls" for `no_calls`; more than half must say "calls",
    and agree on a box, for `calls`; all else is `unsure`. No box is dropped: one that half of the reviewers or fewer drew is
    uncertain.
    """
    reviews = counted_reviews(session)
    if not reviews:
        skipped = any(review.state is ReviewState.SKIPPED for review in session.reviews)
        return Consensus(ReviewState.SKIPPED if skipped else ReviewState.UNREVIEWED)
    names = tuple(review.annotator for review in reviews)
    if len(reviews) == 1:
        boxes = tuple(VotedBox(annotation, names) for annotation in sorted(reviews[0].annotations, key=_order))
        empty_calls = reviews[0].state is ReviewState.CALLS and not boxes
        return Consensus(ReviewState.UNSURE if empty_calls else reviews[0].state, boxes, names)
    clusters = _clusters([annotation for review in reviews for annotation in _own(review)], threshold)
    boxes = tuple(sorted((_voted(cluster, len(reviews)) for cluster in clusters), key=lambda box: _order(box.annotation)))
    agreed = any(2 * len(box.voters) > len(reviews) for box in boxes)
    states = Counter(review.state for review in reviews)
    if states[ReviewState.NO_CALLS] == len(reviews) and not boxes:
        state = ReviewState.NO_CALLS
    elif 2 * states[ReviewState.CALLS] > len(reviews) and agreed:
        state = ReviewState.CALLS
    else:
        state = ReviewState.UNSURE
    return Consensus(state, boxes, names)


def _own(review: Review) -> Iterable[Annotation]:
    """A review's boxes under the reviewer's name, whatever name an importer left on a box."""
    return (replace(annotation, annotator=review.annotator) for annotation in review.annotations)


def _clusters(annotations: list[Annotation], threshold: float) -> list[list[Annotation]]:
    """Boxes that are one: every two of a cluster overlap by `threshold`, no two are of one annotator.

    Pairs join in the order of their overlap, so the order of annotators does not matter.
    """
    annotations = sorted(annotations, key=_order)
    pairs = sorted(
        (-overlap(annotations[one].event, annotations[other].event), one, other)
        for one, other in combinations(range(len(annotations)), 2)
        if annotations[one].annotator != annotations[other].annotator
        and annotations[other].event.start_s < annotations[one].event.end_s
    )
    cluster_of = [[index] for index in range(len(annotations))]
    for negative, one, other in pairs:
        left, right = cluster_of[one], cluster_of[other]
        if -negative < threshold or negative == 0:
            break
        if left is right or not all(
            annotations[a].annotator != annotations[b].annotator
            and overlap(annotations[a].event, annotations[b].event) >= threshold
            for a in left
            for b in right
        ):
            continue
        left.extend(right)
        for index in right:
            cluster_of[index] = left
    unique = {id(cluster): cluster for cluster in cluster_of}
    return [[annotations[index] for index in cluster] for cluster in unique.values()]


def _voted(cluster: list[Annotation], reviewers: int) -> VotedBox:
    """The box nearest to the medians of the cluster, with the label, call type and certainty that most gave it."""
    middle = (median(item.event.start_s for item in cluster), median(item.event.end_s for item in cluster))
    cluster = sorted(cluster, key=_order)
    nearest = min(cluster, key=lambda box: abs(box.event.start_s - middle[0]) + abs(box.event.end_s - middle[1]))
    certain = sum(item.certainty is Certainty.CERTAIN for item in cluster)
    certainty = Certainty.CERTAIN if 2 * certain > len(cluster) and 2 * len(cluster) > reviewers else Certainty.UNCERTAIN
    box = replace(
        nearest,
        label=_most((item.label for item in cluster), nearest.label),
        call_type=_most((item.call_type for item in cluster if item.call_type), nearest.call_type),
        certainty=certainty,
    )
    return VotedBox(box, tuple(sorted(item.annotator for item in cluster)))


def _most(words: Iterable[str], own: str) -> str:
    """The most frequent word; of several that are, `own` if it is among them, else the first in the alphabet."""
    counts = Counter(words)
    best = sorted(word for word, count in counts.items() if count == max(counts.values()))
    return own if own in best or not best else best[0]


def _order(item: Annotation) -> tuple[float, float, str, str, str, str, float, float]:
    event = item.event
    band = (event.low_hz or 0.0, event.high_hz or 0.0)
    return (event.start_s, event.end_s, item.annotator, item.label, item.call_type, item.note, *band)
