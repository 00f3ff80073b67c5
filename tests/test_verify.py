"""Which sessions a coordinator is shown, and what people's answers tell of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from planning.people import People
from planning.verify import MODEL, PEOPLE, SAMPLE, Wishes, pick
from podcast.model import Annotation, Certainty, Detection, ModelRun, Review, ReviewState, Session, SoundEvent
from tests.releases.sessions import RUN, box, review, session

CALLS, NO_CALLS, UNSURE, SKIPPED = ReviewState.CALLS, ReviewState.NO_CALLS, ReviewState.UNSURE, ReviewState.SKIPPED
WISHES = Wishes(str(RUN), sample=0.0)


def predicted(found: Session, *boxes: tuple[float, float, float], run: ModelRun = RUN) -> Session:
    """The session with a model's boxes: start, end, confidence."""
    detections = tuple(Detection(SoundEvent(start, end), "Call", confidence, run) for start, end, confidence in boxes)
    return replace(found, detections=detections, model_runs=(run,))


def told(annotator: str, boxes: Sequence[tuple[float, float, str]], certainty: Certainty = Certainty.CERTAIN) -> Review:
    """A review of boxes with labels."""
    drawn: tuple[Annotation, ...] = tuple(
        box(start, end, annotator, label=label, certainty=certainty) for start, end, label in boxes
    )
    state = CALLS if any(label in ("Call", "Southern Resident", "Bigg's") for *_, label in boxes) else NO_CALLS
    return Review(annotator, state, drawn)


@pytest.mark.parametrize(
    ("reviews", "words"),
    [
        ([review("ann", CALLS, [(1, 2)]), review("ben", NO_CALLS)], "ann: 1 call, ben: no calls"),
        ([review("ann", CALLS, [(1, 2), (5, 6)]), review("ben", UNSURE)], "ann: 2 calls, ben: not sure"),
        ([review("ann", CALLS, [(1, 2), (5, 6)]), review("ben", CALLS, [(1.8, 3)])], "1 of the calls only one has"),
        ([told("ann", [(1, 2, "Southern Resident")]), told("ben", [(1, 2, "Bigg's")])], "1 of the calls have two names"),
    ],
)
def test_where_people_disagree_the_coordinator_looks(reviews: list[Review], words: str) -> None:
    found = pick(session("s", *reviews), WISHES)
    assert found and (found.reason, found.detail, found.answers) == (PEOPLE, words, 2)


def test_people_who_agree_on_the_calls_are_left_alone() -> None:
    both = (review("ann", CALLS, [(1, 2), (5, 6)]), review("ben", CALLS, [(1.5, 2.5), (5.2, 5.9)]))
    assert pick(session("s", *both), WISHES) is None
    assert pick(session("s", review("ann", NO_CALLS), review("ben", NO_CALLS), review("cy", SKIPPED)), WISHES) is None


@pytest.mark.parametrize(
    ("said", "boxes", "words"),
    [
        (review("ann", NO_CALLS), [(1, 2, 0.95)], "ann: no calls; the model is sure of 1 more (1.0 s)"),
        (review("ann", CALLS, [(5, 6)]), [(5, 6, 0.95), (10, 11, 0.9)], "ann: 1 call; the model is sure of 1 more (10.0 s)"),
        (review("ann", UNSURE), [(1, 2, 0.95)], "ann: not sure; the model is sure of 1 more (1.0 s)"),
        (review("ann", CALLS, [(5, 6)]), [(10, 11, 0.3)], "ann: 1 call; the model has none of them"),
        (review("ann", CALLS, [(5, 6), (8, 9)]), [], "ann: 2 calls; the model has none of them"),
    ],
)
def test_where_one_person_and_a_strong_model_disagree(said: Review, boxes: list[tuple[float, float, float]], words: str) -> None:
    found = pick(predicted(session("s", said), *boxes), WISHES)
    assert found and (found.reason, found.detail, found.answers) == (MODEL, words, 1)
    assert pick(predicted(session("s", said), *boxes, run=ModelRun("weak", "1")), WISHES) is None
    assert pick(session("s", said), WISHES) is None  # no model has looked


def test_a_model_that_is_not_sure_and_two_people_of_one_mind_are_no_reason() -> None:
    assert pick(predicted(session("s", review("ann", NO_CALLS)), (1, 2, 0.89)), WISHES) is None
    assert pick(predicted(session("s", review("ann", NO_CALLS), review("ben", NO_CALLS)), (1, 2, 0.99)), WISHES) is None
    assert pick(predicted(session("s", review("ann", CALLS, [(1, 2), (5, 6)])), (1.5, 3, 0.95)), WISHES) is None


def test_what_is_decided_or_was_never_answered_is_not_picked() -> None:
    apart = [review("ann", CALLS, [(1, 2)]), review("ben", NO_CALLS)]
    assert pick(session("s", replace(apart[0], ground_truth=True), apart[1]), WISHES) is None
    assert pick(session("s"), Wishes(sample=1.0)) is None
    assert pick(session("s", review("ann", SKIPPED)), Wishes(sample=1.0)) is None


def test_the_rest_is_sampled_by_name() -> None:
    sessions = [session(f"s{number}", review("ann", NO_CALLS)) for number in range(2000)]
    found = [pick(item, Wishes(sample=0.1)) for item in sessions]
    assert {item.reason for item in found if item} == {SAMPLE}
    assert abs(sum(item is not None for item in found) - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5
    assert found == [pick(item, Wishes(sample=0.1)) for item in sessions]


def test_which_sounds_are_taken_for_which() -> None:
    people = People()
    one = told("ann", [(1, 2, "Call"), (5, 6, "Humpback"), (10, 11, "Call")])
    other = told("ben", [(1.5, 2.5, "Call"), (5.5, 7, "Call"), (20, 21, "Vessel")])
    people.add(session("a", one, other))
    expected = [("Call", "Call", 1), ("Call", "Humpback", 1), ("Call", "nothing", 1), ("Vessel", "nothing", 1)]
    assert people.sounds() == expected
    swapped = People()
    swapped.add(session("a", other, one))
    assert swapped.sounds() == expected  # between two people there is no right one


def test_a_ground_truth_is_the_right_one() -> None:
    people = People()
    truth = replace(told("cy", [(1, 2, "Call"), (5, 6, "Vessel")]), ground_truth=True)
    people.add(session("a", told("ann", [(1, 2, "Call"), (5, 6, "Call")]), told("ben", [(1, 2, "Humpback")]), truth))
    assert people.sounds() == [
        ("Call", "Call", 1),
        ("Call", "Vessel", 1),
        ("Humpback", "Call", 1),
        ("nothing", "Vessel", 1),
    ]


def test_what_certainty_is_worth() -> None:
    people = People()
    people.add(session("a", told("ann", [(1, 2, "Call"), (5, 6, "Call")]), told("ben", [(1, 2, "Call")], Certainty.UNCERTAIN)))
    people.add(session("b", told("ann", [(9, 10, "Call")], Certainty.UNCERTAIN), told("ben", [])))
    assert dict(people.certainty[Certainty.CERTAIN]) == {True: 1, False: 1}
    assert dict(people.certainty[Certainty.UNCERTAIN]) == {True: 1, False: 1}


def test_who_could_use_help_is_told_kindly_and_not_for_a_slip() -> None:
    people = People()
    heard = [(float(at), at + 1.0, "Call") for at in range(0, 20, 2)]
    people.add(session("a", told("ann", heard[:6]), told("ben", heard)))
    [found] = people.help()
    assert (found.annotator, found.what, found.count, found.of) == ("ann", "faint calls", 4, 10)
    assert found.words.startswith("ann passed over 4 of 10 calls that others heard")
    slip = People()
    slip.add(session("a", told("ann", heard[:8]), told("ben", heard)))
    assert list(slip.help()) == []
    ships = People()
    ships.add(
        session("a", told("ann", heard[:5]), told("ben", [(start, end, "Vessel") for start, end, _ in heard[:3]] + heard[3:5]))
    )
    assert [(item.annotator, item.what, item.count, item.of) for item in ships.help()] == [("ann", "Vessel", 3, 5)]
    nothing = People()
    truth = replace(told("cy", []), ground_truth=True)
    nothing.add(session("a", told("ann", heard[:4]), told("ben", []), truth))
    assert [(item.annotator, item.what, item.count, item.of) for item in nothing.help()] == [("ann", "nothing", 4, 4)]
