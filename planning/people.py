"""What people's answers tell of each other: which sounds are taken for which, what certainty is worth, who could use help.

A person is compared with the ground truth where there is one, else with each other person who answered alone. Boxes are compared
if they touch in time. The words are for the coordinator alone, who will talk to a volunteer: they name what would help.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from podcast.model import Annotation, Certainty, Review, Session
from podcast.overlap import overlap, touches
from podcast.reviews import COMPLETED, calls_of, counted, independent

NOTHING, FAINT = "nothing", "faint calls"
FEWEST, SHARE = 3, 0.2
"""Help is suggested from so many cases on that are this share of all: anybody is mistaken now and then."""


@dataclass(frozen=True, slots=True)
class Help:
    """What somebody could use help with: `count` of `of` cases, and in words."""

    annotator: str
    what: str
    count: int
    of: int
    words: str


@dataclass(slots=True)
class _Person:
    """Calls that the others have and this person passed over, and own calls that the others do not have, by what they have."""

    theirs: int = 0
    missed: int = 0
    own: int = 0
    instead: Counter[str] = field(default_factory=Counter)


class People:
    """Fill it with `add`, session by session. Answers count that say "calls" or "no calls"."""

    def __init__(self) -> None:
        self.confusion: Counter[tuple[str, str]] = Counter()
        self.certainty: dict[Certainty, Counter[bool]] = {item: Counter() for item in Certainty}
        self._people: defaultdict[str, _Person] = defaultdict(_Person)

    def add(self, session: Session) -> None:
        """Take one session; one that a single person answered tells nothing."""
        truths = [review for review in counted(session) if review.ground_truth]
        reviews = [review for review in independent(session) if review.state in COMPLETED]
        others = [review for review in reviews if truths and review.annotator != truths[0].annotator]
        for one, other in [(review, truths[0]) for review in others] if truths else combinations(reviews, 2):
            if other.state not in COMPLETED:
                continue
            self._confused(one, other, is_truth=bool(truths))
            self._compare(one, other, is_truth=bool(truths))
            if not truths:
                self._compare(other, one, is_truth=False)

    def sounds(self) -> list[tuple[str, str, int]]:
        """What one said, what the truth or another said of the same stretch, and how often, most often first."""
        return sorted(((one, other, count) for (one, other), count in self.confusion.items()), key=lambda row: (-row[2], row[:2]))

    def help(self) -> Iterator[Help]:
        """Who could use help with what, by name."""
        for name, person in sorted(self._people.items()):
            if _matters(person.missed, person.theirs):
                words = f"{name} passed over {person.missed} of {person.theirs} calls that others heard"
                yield Help(
                    name, FAINT, person.missed, person.theirs, f"{words}: headphones, and half speed (H), make faint ones easier"
                )
            for label, count in sorted(person.instead.items()):
                if not _matters(count, person.own):
                    continue
                if label == NOTHING:
                    words = (
                        f"marked {count} of {person.own} calls where nothing turned out to be: key 2 is there for uncertain ones"
                    )
                else:
                    words = (
                        f"took {count} sounds for calls that others call {label}: listening to some of them together would help"
                    )
                yield Help(name, label, count, person.own, f"{name} {words}")

    def _compare(self, one: Review, other: Review, *, is_truth: bool) -> None:
        """What the first has of the second's calls. Where only one of two heard anything, that one may be right."""
        person = self._people[one.annotator]
        calls, theirs = (calls_of(review.annotations) for review in (one, other))
        person.theirs += len(theirs)
        person.missed += sum(not _has(one.annotations, box) for box in theirs)
        person.own += len(calls)
        for box in calls:
            self.certainty[box.certainty][_has(theirs, box)] += 1
            label = _label(box, other.annotations)
            if not _has(theirs, box) and (is_truth or label != NOTHING):
                person.instead[label] += 1

    def _confused(self, one: Review, other: Review, *, is_truth: bool) -> None:
        """Count the labels of both; between two people neither is the right one, so theirs stand in one order."""
        pairs = [(box.label, _label(box, other.annotations)) for box in one.annotations]
        pairs += [(NOTHING, box.label) for box in other.annotations if not _has(one.annotations, box)]
        self.confusion.update(pairs if is_truth else [(min(pair), max(pair)) for pair in pairs])


def _matters(count: int, of: int) -> bool:
    return count >= FEWEST and count >= SHARE * of


def _has(boxes: Sequence[Annotation], box: Annotation) -> bool:
    return touches(box.event, [other.event for other in boxes])


def _label(box: Annotation, others: Sequence[Annotation]) -> str:
    """What others say of the stretch of a box: the label of the one that overlaps it most, or nothing."""
    best = max(others, key=lambda other: (overlap(box.event, other.event), other.label), default=None)
    return best.label if best and touches(box.event, [best.event]) else NOTHING
