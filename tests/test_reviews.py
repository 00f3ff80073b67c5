"""What people said of a session: one policy, whoever asks, in whatever order the others came."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcast.errors import InputError
from podcast.model import Annotation, Certainty, Review, ReviewState, Session
from podcast.report import Report
from podcast.reviews import by_annotator, chosen, consensus, independent, latest, named, review_state
from podcast.session_spool import SessionSpool
from releases.records import records
from tests.releases.sessions import box, review, session

CALLS, NO_CALLS, UNSURE = ReviewState.CALLS, ReviewState.NO_CALLS, ReviewState.UNSURE
SKIPPED, UNREVIEWED = ReviewState.SKIPPED, ReviewState.UNREVIEWED
PEOPLE = ("ann", "bob", "cy", "di")
LABELS, TYPES = ("Call", "Bigg's", "Humpback"), ("", "S01", "S16")


@st.composite
def reviews(draw: st.DrawFn) -> list[Review]:
    found = []
    for _ in range(draw(st.integers(1, 7))):
        name, state = draw(st.sampled_from(PEOPLE)), draw(st.sampled_from(ReviewState))
        times = draw(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4)), max_size=3))
        words = {"label": st.sampled_from(LABELS), "call_type": st.sampled_from(TYPES), "certainty": st.sampled_from(Certainty)}
        boxes = tuple(box(start / 2, (start + length) / 2, name, **draw(st.fixed_dictionaries(words))) for start, length in times)
        found.append(Review(name, state, boxes))
    return found


def orcas(item: Review) -> list[Annotation]:
    """The boxes that are calls, told without the table."""
    return [found for found in item.annotations if found.label in ("Call", "Bigg's")]


def last_words(said: Sequence[Review]) -> dict[str, Review]:
    """Of each person the last review that says something."""
    return {item.annotator: item for item in said if item.state not in (SKIPPED, UNREVIEWED)}


def shuffled(said: list[Review], seed: int) -> list[Review]:
    """The reviews of different people in another order, those of one person in theirs."""
    order = [item.annotator for item in said]
    random.Random(seed).shuffle(order)
    own = {name: iter([item for item in said if item.annotator == name]) for name in order}
    return [next(own[name]) for name in order]


@given(reviews(), st.integers(0, 1000))
@settings(max_examples=300, deadline=None)
def test_the_order_in_which_others_came_does_not_matter(said: list[Review], seed: int) -> None:
    other = session("s", *shuffled(said, seed))
    assert consensus(session("s", *said)) == consensus(other)
    assert by_annotator(session("s", *said)) == by_annotator(other)
    assert dict(chosen(session("s", *said), "all")) == dict(chosen(other, "all"))
    for name in PEOPLE:
        assert list(chosen(session("s", *said), name)) == list(chosen(other, name))


@given(reviews())
@settings(max_examples=300, deadline=None)
def test_nobody_is_outvoted_into_silence(said: list[Review]) -> None:
    found, words = consensus(session("s", *said)), last_words(said)
    assert set(found.reviewers) == set(words)
    silent = words and all(item.state is NO_CALLS and not orcas(item) for item in words.values())
    assert (found.state is NO_CALLS) == bool(silent)
    if found.state is CALLS:
        assert 2 * sum(item.state is CALLS and bool(orcas(item)) for item in words.values()) > len(words)
    if not words:
        assert found.state is (SKIPPED if any(item.state is SKIPPED for item in said) else UNREVIEWED)


@given(reviews())
@settings(max_examples=300, deadline=None)
def test_no_box_is_lost_and_none_counts_twice(said: list[Review]) -> None:
    found, words = consensus(session("s", *said)), last_words(said)
    drawn = Counter(name for name, item in words.items() for _ in item.annotations)
    assert Counter(name for voted in found.boxes for name in voted.voters) == drawn
    for voted in found.boxes:
        assert len(set(voted.voters)) == len(voted.voters)
        assert any(voted.annotation.event == item.event for name in voted.voters for item in words[name].annotations)
        if voted in found.calls:
            assert all(orcas(words[name]) for name in voted.voters)
        if len(words) > 1 and 2 * len(voted.voters) <= len(words):
            assert voted.annotation.certainty is Certainty.UNCERTAIN


@given(reviews())
@settings(max_examples=200, deadline=None)
def test_the_latest_word_is_no_skip_if_anybody_said_anything(said: list[Review]) -> None:
    found = latest(said)
    assert found is not None
    spoken = [item for item in said if item.state not in (SKIPPED, UNREVIEWED)]
    if spoken:
        assert (found.annotator, found.annotations) == (spoken[-1].annotator, spoken[-1].annotations)
    assert found.state is not NO_CALLS or not orcas(found)
    assert found.state is not CALLS or orcas(found)
    assert review_state(session("s", *said)) is found.state


def agreed(*boxes: Annotation) -> Annotation:
    """The one box of a session on which each of several people drew one."""
    said = [Review(f"p{number}", CALLS, (replace(item, annotator=f"p{number}"),)) for number, item in enumerate(boxes)]
    (found,) = consensus(session("s", *said)).boxes
    return found.annotation


def drawn(label: str, call_type: str = "", start_s: float = 1.0, certainty: Certainty = Certainty.CERTAIN) -> Annotation:
    return box(start_s, start_s + 2, label=label, call_type=call_type, certainty=certainty)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["Call", "Call", "Call"], "Call"),
        (["Call", "Call", "Bigg's"], "Bigg's"),  # who does not say which orca does not say that it was another
        (["Bigg's", "Southern Resident", "Bigg's"], "Bigg's"),
        (["Bigg's", "Southern Resident"], "Call"),  # nobody can tell which orca
        (["Humpback", "Vessel", "Humpback"], "Humpback"),
        (["Something else", "Humpback"], "Humpback"),
        (["Humpback", "Vessel"], "Something else"),
        (["Zebra", "Ape", "Zebra"], "Zebra"),
    ],
)
def test_the_label_is_that_of_most_who_said_which(labels: list[str], expected: str) -> None:
    assert agreed(*(drawn(label) for label in labels)).label == expected


@pytest.mark.parametrize(
    ("labels", "state", "votes"),
    [
        (["Call", "Humpback"], UNSURE, {"Call": 1, "Humpback": 1}),
        (["Humpback", "Humpback"], NO_CALLS, {"Humpback": 2}),
        (["Humpback", "Vessel", "Call"], UNSURE, {"Something else": 2, "Call": 1}),
        (["Call", "Bigg's", "Vessel"], CALLS, {"Bigg's": 2, "Vessel": 1}),
        (["Humpback", "Zebra"], UNSURE, {"Something else": 2}),  # a label of nobody's table may have meant a call
    ],
)
def test_a_call_and_another_sound_are_never_one_box(labels: list[str], state: ReviewState, votes: dict[str, int]) -> None:
    said = []
    for number, label in enumerate(labels):
        own = CALLS if label in ("Call", "Bigg's") else NO_CALLS
        said.append(Review(f"p{number}", own, (replace(drawn(label), annotator=f"p{number}"),)))
    found = consensus(session("s", *said))
    assert found.state is state
    assert {item.annotation.label: len(item.voters) for item in found.boxes} == votes
    assert {item.annotation.label for item in found.calls} == set(votes) & {"Call", "Bigg's"}
    assert {*found.calls, *found.others} == set(found.boxes)


@pytest.mark.parametrize(
    ("state", "labels", "settles"),
    [
        (NO_CALLS, ["Humpback", "Vessel"], NO_CALLS),
        (NO_CALLS, ["Humpback", "Call"], UNSURE),
        (CALLS, ["Humpback"], UNSURE),
        (CALLS, ["Call", "Zebra"], CALLS),
        (NO_CALLS, ["Zebra"], UNSURE),
        (CALLS, ["Zebra"], UNSURE),
        (UNSURE, ["Call"], UNSURE),
    ],
)
def test_a_session_with_other_sounds_alone_has_no_calls(state: ReviewState, labels: list[str], settles: ReviewState) -> None:
    said = session("s", Review("ann", state, tuple(drawn(label, start_s=3.0 * n) for n, label in enumerate(labels))))
    assert review_state(said) is consensus(said).state is settles


@pytest.mark.parametrize(
    ("threshold", "other", "together"),
    [
        (0.5, (1.0, 4.0), True),
        (0.51, (1.0, 4.0), False),
        (0.5, (1.01, 4.0), False),
        (0.0, (2.9, 9.0), True),
        (0.0, (3.0, 4.0), False),
    ],
)
def test_boxes_that_share_as_much_as_asked_for_are_one(threshold: float, other: tuple[float, float], together: bool) -> None:
    said = session("s", review("ann", CALLS, [(0.0, 3.0)]), review("bob", CALLS, [other]))  # 0 to 3 and 1 to 4 s: 2 of 4 s
    assert len(consensus(said, threshold).boxes) == (1 if together else 2)


def test_two_boxes_of_one_person_stay_two() -> None:
    said = session("s", review("ann", CALLS, [(0, 3), (0, 3.1)]), review("bob", CALLS, [(0, 3.1)]))
    assert [item.voters for item in consensus(said).boxes] == [("ann",), ("ann", "bob")]


def test_of_several_boxes_the_one_nearest_to_the_medians_is_taken() -> None:
    def taken(*times: tuple[float, float]) -> tuple[float, float]:
        found = agreed(*(box(start, end) for start, end in times)).event
        return found.start_s, found.end_s

    assert taken((1.0, 3.0), (1.1, 3.0), (1.3, 3.0)) == (1.1, 3.0)
    assert taken((1.0, 3.0), (1.0, 3.1), (1.0, 3.3)) == (1.0, 3.1)
    assert taken((1.0, 3.3), (1.1, 3.0), (1.2, 2.9)) == (1.1, 3.0)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["S01", "S01", "S16"], "S01"),
        (["", "", "S16"], "S16"),  # who names no type does not say that there is none
        (["", "", ""], ""),
        (["S16", "S01", "S16"], "S16"),
        (["S16", "S01"], "S16"),
        (["", "S16", "S01"], "S01"),
    ],
)
def test_the_call_type_is_that_of_most_who_gave_one(types: list[str], expected: str) -> None:
    assert agreed(*(drawn("Call", call_type) for call_type in types)).call_type == expected


@pytest.mark.parametrize(
    ("sure", "reviewers", "certainty"),
    [
        ([True, True, False], 3, Certainty.CERTAIN),
        ([True, False], 2, Certainty.UNCERTAIN),  # half is not most
        ([True, True], 4, Certainty.UNCERTAIN),  # half of the reviewers drew it
        ([True, True, True], 5, Certainty.CERTAIN),
        ([True, False, False], 3, Certainty.UNCERTAIN),
    ],
)
def test_a_box_is_certain_if_most_say_so_and_most_drew_it(sure: list[bool], reviewers: int, certainty: Certainty) -> None:
    said = [
        Review(
            f"p{number}",
            CALLS,
            (replace(drawn("Call", certainty=Certainty.CERTAIN if one else Certainty.UNCERTAIN), annotator=f"p{number}"),),
        )
        for number, one in enumerate(sure)
    ]
    said += [review(f"q{number}", CALLS, [(30.0 + number, 31.0 + number)]) for number in range(reviewers - len(sure))]
    (found,) = [item for item in consensus(session("s", *said)).boxes if item.annotation.event.start_s == 1.0]
    assert found.annotation.certainty is certainty


@pytest.mark.parametrize(
    ("annotators", "words"),
    [
        (["bob", "", "ann"], "ann, bob"),  # who gave no name has none to be asked for by
        ([""], "nobody"),
        ([], "nobody"),
        ([f"p{n:02}" for n in range(20)], ", ".join(f"p{n:02}" for n in range(20))),
        ([f"p{n:02}" for n in range(21)], ", ".join([*(f"p{n:02}" for n in range(20)), "1 more"])),
    ],
)
def test_an_annotator_who_is_not_there_is_told_who_is(annotators: list[str], words: str) -> None:
    given = [session(f"s{number}", review(name, NO_CALLS)) for number, name in enumerate(annotators)]
    with pytest.raises(InputError) as caught:
        list(named(given, "Ann"))
    assert str(caught.value) == f"there is no review by 'Ann'; reviews are by {words}"
    for who in ("latest", "ground-truth", "all", *annotators):
        assert list(named(given, who)) == given


def test_a_tie_of_labels_among_many_is_nobodys_word() -> None:
    assert agreed(*(drawn(label) for label in ("Humpback", "Vessel", "Humpback", "Vessel", "Water"))).label == "Something else"
    assert agreed(*(drawn(label) for label in ("Water", "Vessel", "Humpback", "Vessel"))).label == "Vessel"


def test_reviews_of_the_same_instant_come_in_a_stable_order() -> None:
    """Two rounds with one session, and people who submitted in the same second, some at no known time."""
    moment = datetime(2021, 1, 1, tzinfo=UTC)
    given: list[Session] = [
        session("s", review("ann", CALLS, [(1, 2)], submitted=moment), review("bob", NO_CALLS), round="round1"),
        session("s", review("bob", CALLS, [(3, 4)], submitted=moment), review("ann", NO_CALLS, submitted=moment), round="round2"),
    ]
    found = []
    for order in (given, given[::-1]):
        with SessionSpool() as spool:
            for item in order:
                spool.add(item)
            (record,) = records(spool, 0.5, Report())
            found.append([(item.annotator, item.state) for item in record.session.reviews])
    assert found[0] == found[1] == [("bob", NO_CALLS), ("ann", CALLS), ("bob", CALLS), ("ann", NO_CALLS)]


def test_a_ground_truth_wins_whoever_answered_later() -> None:
    truth = review("ann", CALLS, [(1, 2)], ground_truth=True)
    decided = session("s", truth, review("bob", NO_CALLS), review("cy", UNSURE))
    assert review_state(decided) is CALLS
    assert [item for _, item in chosen(decided, "latest")] == [item for _, item in chosen(decided, "ground-truth")] == [truth]
    assert consensus(decided).reviewers == ("ann",)
    assert [item.annotator for _, item in chosen(decided, "bob")] == ["bob"]
    assert {name for name, _ in chosen(decided, "all")} == {"ann", "bob", "cy"}
    # A skip decides nothing.
    assert review_state(session("s", review("bob", NO_CALLS), review("ann", SKIPPED, ground_truth=True))) is NO_CALLS


def test_who_decided_between_two_did_not_answer_alone() -> None:
    two = (review("ann", CALLS, [(1, 2)]), review("bob", NO_CALLS))
    decision = review("cy", CALLS, [(1, 2)], ground_truth=True)
    assert [item.annotator for item in independent(session("s", *two, decision))] == ["ann", "bob"]
    marked = replace(two[0], ground_truth=True)
    assert [item.annotator for item in independent(session("s", marked, two[1]))] == ["ann", "bob"]
    assert [item.annotator for item in independent(session("s", decision))] == ["cy"]
