"""What an exporter is, and which of a session's reviews it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from podcast.errors import Refusal
from podcast.model import Review, Session
from podcast.report import Report


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """`annotator` chooses among several reviews of a session: `latest`, `ground-truth`, `all`, or one annotator's name."""

    annotator: str = "latest"


Write = Callable[[Iterable[Session | Refusal], str, WriteOptions], Report]
"""Writes a stream of sessions below a folder (a URI). The same sessions in any order give the same bytes. Counts what was
written and what was left out by review state; what the format cannot hold goes to a sidecar and a warning."""


def chosen_reviews(session: Session, annotator: str) -> Iterator[tuple[str, Review]]:
    """The reviews that an export takes of one session, each with the folder it belongs into ("" but for `all`).

    Gives nothing for a session that nobody, or not the annotator asked for, has reviewed. A skip counts only where there is
    no completed review by the same rule.
    """
    if annotator == "all":
        for name in sorted({review.annotator for review in session.reviews}):
            yield from ((name, review) for _, review in chosen_reviews(session, name))
        return
    reviews = session.reviews
    if annotator == "ground-truth":
        reviews = tuple(review for review in reviews if review.ground_truth)
    elif annotator != "latest":
        reviews = tuple(review for review in reviews if review.annotator == annotator)
    if review := replace(session, reviews=reviews).latest_review:
        yield "", review
