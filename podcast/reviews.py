"""What people said of a session: the one policy that exports, releases, training and evaluation ask.

A skip and the answer "not looked at" say nothing, so they count only where nobody said anything. A review that contradicts itself
(calls without a box, boxes without calls) is unsure: nobody can tell what was meant. Only an orca's sound is a call: a session in
which people marked other sounds alone has no calls. The rules of a consensus, in words: docs/releases.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

from podcast.errors import InputError, Refusal
from podcast.model import CALL, Annotation, Certainty, Review, ReviewState, Session
from podcast.overlap import overlap
from podcast.vocabulary import SOMETHING_ELSE, is_call, unknown_labels

DEFAULT_OVERLAP = 0.5
COMPLETED = (ReviewState.CALLS, ReviewState.NO_CALLS)
"""The states that tell what is in a session, and that training, scoring and tables of labels may use."""

WAYS_TO_CHOOSE = ("latest", "ground-truth", "all")
"""What `chosen` takes beside an annotator's name."""

MOST_NAMES = 20
"""So many annotators are named in an error."""

SILENT = (ReviewState.SKIPPED, ReviewState.UNREVIEWED)
"""The states of a review that says nothing."""


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

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The boxes without their votes."""
        return tuple(box.annotation for box in self.boxes)

    @property
    def calls(self) -> tuple[VotedBox, ...]:
        """The boxes of orcas."""
        return tuple(box for box in self.boxes if is_call(box.annotation.label))

    @property
    def others(self) -> tuple[VotedBox, ...]:
        """The boxes of other sounds."""
        return tuple(box for box in self.boxes if not is_call(box.annotation.label))


def calls_of(annotations: Iterable[Annotation]) -> tuple[Annotation, ...]:
    """The boxes of orcas."""
    return tuple(item for item in annotations if is_call(item.label))


def others_of(annotations: Iterable[Annotation]) -> tuple[Annotation, ...]:
    """The boxes of other sounds."""
    return tuple(item for item in annotations if not is_call(item.label))


def state_of(annotations: Iterable[Annotation]) -> ReviewState:
    """What boxes say by themselves. One with a label that nobody knows may be a call, so without a call it is `unsure`."""
    labels = [item.label for item in annotations]
    if any(map(is_call, labels)):
        return ReviewState.CALLS
    return ReviewState.UNSURE if unknown_labels(labels) else ReviewState.NO_CALLS


def settled(review: Review) -> Review:
    """The review, as unsure if its state and its boxes contradict each other."""
    if review.state in COMPLETED and review.state is not state_of(review.annotations):
        return replace(review, state=ReviewState.UNSURE)
    return review


def latest(reviews: Sequence[Review]) -> Review | None:
    """The ground truth, where one is marked; else the last review that says something; else the last skip, or the last of all."""
    truths = [review for review in reviews if review.ground_truth and review.state not in SILENT]
    return settled(truths[-1]) if truths else _last_word(reviews)


def _last_word(reviews: Sequence[Review]) -> Review | None:
    for candidates in (
        [review for review in reviews if review.state not in SILENT],
        [review for review in reviews if review.state is ReviewState.SKIPPED],
        reviews,
    ):
        if candidates:
            return settled(candidates[-1])
    return None


def review_state(session: Session) -> ReviewState:
    """The state of the latest review; `unreviewed` without one."""
    review = latest(session.reviews)
    return review.state if review else ReviewState.UNREVIEWED


def chosen(session: Session, who: str) -> Iterator[tuple[str, Review]]:
    """The reviews that an export takes of one session, each with the folder it belongs into ("" but for `all`).

    `who` is `latest` (a ground truth before the latest), `ground-truth`, `all`, or one annotator's name: their last word. Gives
    nothing for a session that nobody, or not the annotator asked for, has reviewed.
    """
    if who == "all":
        for name in sorted({review.annotator for review in session.reviews}):
            yield from ((name, review) for _, review in chosen(session, name))
        return
    reviews = session.reviews
    if who == "ground-truth":
        reviews = tuple(review for review in reviews if review.ground_truth)
    elif who != "latest":
        reviews = tuple(review for review in reviews if review.annotator == who)
    if review := latest(reviews) if who == "latest" else _last_word(reviews):
        yield "", review


def named(sessions: Iterable[Session | Refusal], who: str) -> Iterator[Session | Refusal]:
    """The sessions as they come, for `chosen` by the same `who`.

    Raises InputError at their end, naming those whose reviews there are, if `who` is an annotator's name and no review is theirs.
    """
    names: set[str] = set()
    for session in sessions:
        if isinstance(session, Session):
            names.update(review.annotator for review in session.reviews)
        yield session
    if who not in (*WAYS_TO_CHOOSE, *names):
        there = sorted(names - {""})
        more = [f"{len(there) - MOST_NAMES} more"] if len(there) > MOST_NAMES else []
        raise InputError(f"there is no review by {who!r}; reviews are by {', '.join(there[:MOST_NAMES] + more) or 'nobody'}")


def by_annotator(session: Session) -> tuple[Review, ...]:
    """Of each annotator the last review that says something, sorted by annotator."""
    last = {review.annotator: settled(review) for review in session.reviews if review.state not in SILENT}
    return tuple(last[name] for name in sorted(last))


def independent(session: Session) -> tuple[Review, ...]:
    """The same, of those who did not see what others said: a ground truth beside two others was decided by comparing them."""
    reviews = by_annotator(session)
    others = tuple(review for review in reviews if not review.ground_truth)
    return others if len(others) >= 2 else reviews


def counted(session: Session) -> tuple[Review, ...]:
    """The reviews that count: one an annotator; but a review marked as ground truth (the last of several) stands alone."""
    truths = [settled(review) for review in session.reviews if review.ground_truth and review.state not in SILENT]
    return (truths[-1],) if truths else by_annotator(session)


def consensus(session: Session, threshold: float = DEFAULT_OVERLAP) -> Consensus:
    """State and boxes of a session; boxes of different annotators that overlap by `threshold` or more are one, but never a call
    and another sound.

    One reviewer's word is taken as it is. Of several, all must say "no calls" for `no_calls`; more than half must say "calls",
    and agree on a box, for `calls`; all else is `unsure`. No box is dropped: one that half of the reviewers or fewer drew is
    uncertain.
    """
    reviews = counted(session)
    if not reviews:
        return Consensus(review_state(session))
    names = tuple(review.annotator for review in reviews)
    if len(reviews) == 1:
        boxes = tuple(VotedBox(annotation, names) for annotation in sorted(reviews[0].annotations, key=_order))
        return Consensus(reviews[0].state, boxes, names)
    own = [annotation for review in reviews for annotation in _own(review)]
    clusters = [cluster for kind in (calls_of(own), others_of(own)) for cluster in _clusters(kind, threshold)]
    boxes = tuple(sorted((_voted(cluster, len(reviews)) for cluster in clusters), key=lambda box: _order(box.annotation)))
    agreed = any(2 * len(box.voters) > len(reviews) for box in boxes if is_call(box.annotation.label))
    states = Counter(review.state for review in reviews)
    if states[ReviewState.NO_CALLS] == len(reviews):
        state = ReviewState.NO_CALLS
    elif 2 * states[ReviewState.CALLS] > len(reviews) and agreed:
        state = ReviewState.CALLS
    else:
        state = ReviewState.UNSURE
    return Consensus(state, boxes, names)


def _own(review: Review) -> Iterable[Annotation]:
    """A review's boxes under the reviewer's name, whatever name an importer left on a box."""
    return (replace(annotation, annotator=review.annotator) for annotation in review.annotations)


def _clusters(annotations: Iterable[Annotation], threshold: float) -> list[list[Annotation]]:
    """Boxes that are one: every two of a cluster overlap by `threshold`, no two are of one annotator.

    Pairs join in the order of their overlap, so the order of annotators does not matter.
    """
    annotations = sorted(annotations, key=_order)
    pairs = sorted(
        (-shared, one, other)
        for one, other in combinations(range(len(annotations)), 2)
        if (shared := overlap(annotations[one].event, annotations[other].event)) >= threshold and shared
    )
    cluster_of = [[index] for index in range(len(annotations))]
    for _, one, other in pairs:
        left, right = cluster_of[one], cluster_of[other]
        if not all(  # boxes that are together already are, among others, of one annotator
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
        label=_label([item.label for item in cluster]),
        call_type=_most((item.call_type for item in cluster if item.call_type), nearest.call_type),
        certainty=certainty,
    )
    return VotedBox(box, tuple(sorted(item.annotator for item in cluster)))


def _label(labels: list[str]) -> str:
    """The label that most gave of those who said which orca, or which other sound; where no one label leads, nobody said it."""
    unsaid = CALL if is_call(labels[0]) else SOMETHING_ELSE
    (first, count), *others = [*Counter(label for label in labels if label != unsaid).most_common(), (unsaid, 0)]
    return unsaid if others and others[0][1] == count else first


def _most(words: Iterable[str], own: str) -> str:
    """The most frequent word; of several that are, `own` if it is among them, else the first in the alphabet."""
    counts = Counter(words)
    best = sorted(word for word, count in counts.items() if count == max(counts.values()))
    return own if own in best or not best else best[0]


def _order(item: Annotation) -> tuple[float, float, str, str, str, str, str, str]:
    event = item.event
    band = (str(event.low_hz), str(event.high_hz))  # any order will do, but it must be one
    return (event.start_s, event.end_s, item.annotator, item.label, item.call_type, item.note, *band)
