"""Several annotators: consensus with votes, agreement against two other libraries, the model's pull on people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import patch

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import cohen_kappa_score

from evaluation.agreement import Agreement, Measure, alpha, event_f1, kappa, seconds_with_calls
from evaluation.anchoring import AnchoringAudit
from podcast.model import Certainty, Detection, ModelRun, Outcome, Review, ReviewState, SoundEvent
from podcast.overlap import match, overlap
from podcast.reviews import consensus
from tests.releases.sessions import RUN, box, review, session

CALLS, NO_CALLS, UNSURE = ReviewState.CALLS, ReviewState.NO_CALLS, ReviewState.UNSURE


def test_boxes_that_overlap_are_one_and_keep_their_votes() -> None:
    said = consensus(
        session(
            "s",
            review("ann", CALLS, [(1, 2), (10, 11)]),
            review("bob", CALLS, [(1.1, 2.1)]),
            review("cy", CALLS, [(1.2, 2.2), (1.9, 3)]),
        )
    )
    found = [(item.annotation.event.start_s, item.voters, item.annotation.certainty) for item in said.boxes]
    assert said.state is CALLS
    assert found == [
        (1.1, ("ann", "bob", "cy"), Certainty.CERTAIN),  # bob's box: nearest to the medians
        (1.9, ("cy",), Certainty.UNCERTAIN),
        (10.0, ("ann",), Certainty.UNCERTAIN),
    ]


@pytest.mark.parametrize(
    ("reviews", "state"),
    [
        ([review("a", NO_CALLS), review("b", NO_CALLS)], NO_CALLS),
        ([review("a", NO_CALLS), review("b", NO_CALLS), review("c", CALLS, [(1, 2)])], UNSURE),
        ([review("a", NO_CALLS), review("b", UNSURE)], UNSURE),
        ([review("a", CALLS, [(1, 2)]), review("b", CALLS, [(1, 2)]), review("c", NO_CALLS)], CALLS),
        ([review("a", CALLS, [(1, 2)]), review("b", CALLS, [(5, 6)])], UNSURE),
        ([review("a", CALLS, [(1, 2)]), review("b", NO_CALLS)], UNSURE),
        ([review("a", CALLS, [(1, 2)]), review("b", UNSURE, [(1, 2)])], UNSURE),  # half is not most
        ([review("a", UNSURE, [(1, 2)])], UNSURE),
        ([review("a", CALLS)], UNSURE),
        ([review("a", NO_CALLS), review("b", ReviewState.SKIPPED)], NO_CALLS),
        ([review("a", CALLS, [(1, 2)]), review("a", NO_CALLS)], NO_CALLS),
        ([review("a", CALLS, [(1, 2)], ground_truth=True), review("b", NO_CALLS), review("c", NO_CALLS)], CALLS),
        ([review("a", ReviewState.SKIPPED), review("b", ReviewState.UNREVIEWED)], ReviewState.SKIPPED),
    ],
)
def test_nobody_overrules_a_call_into_a_negative(reviews: list[Review], state: ReviewState) -> None:
    assert consensus(session("s", *reviews)).state is state


TIMES = st.lists(st.tuples(st.integers(0, 80), st.integers(1, 30)).map(lambda t: (t[0] / 10, (t[0] + t[1]) / 10)), max_size=5)


@given(st.lists(TIMES, min_size=2, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_consensus_drops_no_box_and_ignores_order(drawn: list[list[tuple[float, float]]], shuffle: object) -> None:
    reviews = [review(f"p{number}", CALLS if times else NO_CALLS, times) for number, times in enumerate(drawn)]
    said = consensus(session("s", *reviews))
    assert sum(len(item.voters) for item in said.boxes) == sum(len(times) for times in drawn)
    assert all(len(set(item.voters)) == len(item.voters) for item in said.boxes)
    shuffled = list(reviews)
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]
    assert consensus(session("s", *shuffled)) == said


def test_matching_takes_as_many_pairs_as_there_can_be() -> None:
    wide, narrow = SoundEvent(0, 10), SoundEvent(2, 9)
    assert overlap(wide, narrow) == 0.7
    assert match([wide, narrow], [SoundEvent(0, 9), SoundEvent(0, 3)], 0.1) == [(0, 1), (1, 0)]
    assert match([wide], [SoundEvent(10, 11)], 0.0) == []


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
@settings(max_examples=150, deadline=None)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    one, other = np.array(pairs).T.astype(int)
    ours = float(kappa(np.bincount(2 * one + other, minlength=4).astype(float)))
    theirs = cohen_kappa_score(one, other) if len({*one, *other}) > 1 else float("nan")
    assert ours == pytest.approx(theirs, nan_ok=True)


@given(st.lists(st.lists(st.sampled_from([0, 1, 1, None]), min_size=3, max_size=3), min_size=2, max_size=40))
@settings(max_examples=150, deadline=None)
def test_alpha_is_that_of_the_krippendorff_package(seconds: list[list[int | None]]) -> None:
    table = np.array([[np.nan if value is None else value for value in second] for second in seconds]).T
    sums = np.zeros(3)
    for second in seconds:
        said = [value for value in second if value is not None]
        if len(said) > 1:
            yes, no = sum(said), len(said) - sum(said)
            sums += (yes * no / (len(said) - 1), no, yes)
    if sums[1] and sums[2]:
        assert float(alpha(sums)) == pytest.approx(krippendorff.alpha(reliability_data=table, level_of_measurement="nominal"))
    else:
        assert np.isnan(alpha(sums))


def _measures(agreement: Agreement) -> dict[tuple[tuple[str, ...], str], Measure]:
    return {(item.annotators, item.name): item for item in agreement.measures()}


def test_agreement_of_a_round_by_hand() -> None:
    agreement = Agreement()
    agreement.add(session("a", review("ann", CALLS, [(0, 2), (4, 5)]), review("bob", CALLS, [(1, 2)]), duration_s=10.0))
    agreement.add(session("b", review("ann", NO_CALLS), review("bob", NO_CALLS), duration_s=10.0))
    agreement.add(session("c", review("ann", UNSURE), review("bob", CALLS, [(1, 2)])))
    agreement.add(session("d", review("ann", NO_CALLS)))
    found = _measures(agreement)
    pair = ("ann", "bob")
    assert found[pair, "event_f1_0.5"].value == pytest.approx(2 * 1 / 3, abs=1e-4)  # one hit of 2 + 1 boxes, overlap 0.5
    assert found[pair, "event_f1_0.7"].value == 0
    ann = [1, 1, 0, 0, 1, 0, 0, 0, 0, 0] + [0] * 10
    bob = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0] + [0] * 10
    assert found[pair, "second_kappa"].value == pytest.approx(cohen_kappa_score(ann, bob), abs=1e-4)
    theirs = krippendorff.alpha(reliability_data=[ann, bob], level_of_measurement="nominal")
    assert found[(), "krippendorff_alpha"].value == pytest.approx(theirs, abs=1e-4)
    assert {item.sessions for item in found.values()} == {2}
    (worst,) = agreement.disagreements()
    assert (worst.session_id, round(worst.score, 4)) == ("a", 0.3333)


PEOPLE = ["ann", "bob", "cy", "di", "eve"]


@st.composite
def seen_by_some(draw: st.DrawFn) -> list[tuple[int, dict[str, list[tuple[int, int]]]]]:
    """Sessions with their length in seconds, and by annotator the boxes that they drew: whole seconds [first, last)."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        length = draw(st.integers(3, 12))
        people = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=5, unique=True))
        box_times = st.lists(st.tuples(st.integers(0, length - 1), st.integers(1, 3)), max_size=2)
        drawn = {name: [(first, min(length, first + more)) for first, more in draw(box_times)] for name in people}
        found.append((length, drawn))
    return found


@given(seen_by_some())
@settings(max_examples=100, deadline=None)
def test_alpha_of_a_round_is_krippendorffs_whoever_saw_which_session(
    round_: list[tuple[int, dict[str, list[tuple[int, int]]]]],
) -> None:
    """One to five annotators a session; a row an annotator, a column a second, empty where somebody did not look."""
    agreement, columns = Agreement(), list[list[float]]()
    for number, (length, drawn) in enumerate(round_):
        reviews = [review(name, CALLS if boxes else NO_CALLS, boxes) for name, boxes in drawn.items()]
        agreement.add(session(f"s{number}", *reviews, duration_s=float(length)))
        columns += [
            [any(first <= second < last for first, last in drawn[name]) if name in drawn else np.nan for name in PEOPLE]
            for second in range(length)
        ]
    with patch("evaluation.agreement.DRAWS", 2):  # the intervals take their time, and are not looked at
        found = _measures(agreement).get(((), "krippendorff_alpha"))
    pairable = [column for column in columns if sum(value == value for value in column) > 1]
    values = {value for column in pairable for value in column if value == value}
    if len(values) < 2:
        assert found is None or found.value is None
    else:
        theirs = krippendorff.alpha(reliability_data=np.array(columns, float).T, level_of_measurement="nominal")
        assert found is not None and found.value == pytest.approx(theirs, abs=1e-4)


def test_intervals_cover_what_a_bootstrap_over_sessions_covers() -> None:
    agreement, generator = Agreement(), np.random.default_rng(7)
    hits = generator.random(80) < 0.7
    for number, hit in enumerate(hits):
        other = [(1.0, 2.0)] if hit else [(5.0, 6.0)]
        agreement.add(session(f"s{number}", review("ann", CALLS, [(1, 2)]), review("bob", CALLS, other)))
    found = _measures(agreement)[("ann", "bob"), "event_f1_0.5"]
    share, error = hits.mean(), np.sqrt(hits.mean() * (1 - hits.mean()) / 80)  # each session counts alike: a plain share
    assert found.value == pytest.approx(share, abs=1e-4)
    assert found.low == pytest.approx(share - 1.96 * error, abs=0.02)
    assert found.high == pytest.approx(share + 1.96 * error, abs=0.02)
    assert np.isnan(event_f1(np.zeros(2)))


def test_intervals_are_the_percentiles_of_drawing_sessions() -> None:
    """Of 400 sessions that count alike, so many drawn again hit as a binomial says."""
    agreement, hits = Agreement(), 280
    for number in range(400):
        agreement.add(
            session(f"s{number}", review("ann", CALLS, [(1, 2)]), review("bob", CALLS, [(1, 2) if number < hits else (5, 6)]))
        )
    with patch("evaluation.agreement.DRAWS", 10_000):
        found = _measures(agreement)[("ann", "bob"), "event_f1_0.5"]
    low, high = binom.ppf((0.025, 0.975), 400, hits / 400) / 400
    assert (found.value, found.sessions) == (0.7, 400)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1 / 400 + 1e-9)  # one session more or less


def test_every_round_and_every_pair_is_measured() -> None:
    agreement = Agreement()
    agreement.add(session("a", review("ann", CALLS, [(1, 2)]), review("bob", CALLS, [(1, 2), (5, 6)]), round="r2"))
    agreement.add(session("b", *(review(name, CALLS, [(1, 2)]) for name in ("ann", "bob", "cy")), round="r1"))
    agreement.add(session("c", review("bob", CALLS, [(1, 2)]), review("cy", NO_CALLS), round="r1"))
    agreement.add(session("d", review("ann", CALLS, [(1, 2)]), round="r3"))
    names = ["event_f1_0.3", "event_f1_0.5", "event_f1_0.7", "second_kappa"]
    pairs = [("r1", ("ann", "bob"), 1), ("r1", ("ann", "cy"), 1), ("r1", ("bob", "cy"), 2), ("r2", ("ann", "bob"), 1)]
    expected: list[tuple[str, tuple[str, ...], int, str]] = [(*pair, name) for pair in pairs for name in names]
    expected = [("r1", (), 2, "krippendorff_alpha"), *expected[:12], ("r2", (), 1, "krippendorff_alpha"), *expected[12:]]
    found = list(agreement.measures())
    assert [(item.round, item.annotators, item.sessions, item.name) for item in found] == expected
    values = {(item.round, item.annotators, item.name): (item.value, item.low, item.high) for item in found}
    assert values["r2", ("ann", "bob"), "event_f1_0.5"] == (0.6667,) * 3  # one session: whatever is drawn is that one
    assert values["r1", ("bob", "cy"), "event_f1_0.7"][0] == 0.6667  # one pair of three boxes


def test_an_overlap_decides_what_is_a_hit() -> None:
    agreement = Agreement()
    agreement.add(session("a", review("ann", CALLS, [(0, 10)]), review("bob", CALLS, [(0, 6)])))
    found = _measures(agreement)
    assert [found[("ann", "bob"), f"event_f1_{least}"].value for least in (0.3, 0.5, 0.7)] == [1, 1, 0]
    assert agreement.disagreements() == []  # half of both is one call
    for number in range(101):
        agreement.add(session(f"s{number}", review("ann", CALLS, [(0, 1)]), review("bob", NO_CALLS), duration_s=1.0))
    assert len(agreement.disagreements()) == 100


def test_the_worst_disagreements_come_first_and_no_more_than_asked_for() -> None:
    agreement = Agreement()
    one, other = [(1.0, 2.0)], [(5.0, 6.0)]
    with patch("evaluation.agreement.WORST", 4):
        agreement.add(session("half", review("ann", CALLS, one), review("bob", CALLS, one + other)))
        agreement.add(session("none-b", review("ann", CALLS, one), review("bob", CALLS, other)))
        agreement.add(session("same", review("ann", CALLS, one), review("bob", CALLS, one)))
        agreement.add(session("three", review("ann", CALLS, one), review("bob", CALLS, one), review("cy", NO_CALLS)))
        agreement.add(session("loose", review("ann", CALLS, [(0, 10)]), review("bob", CALLS, [(0, 4)])))
        agreement.add(session("none-a", review("ann", CALLS, one), review("bob", CALLS, other), round="r2"))
        agreement.add(session("quiet", review("ann", NO_CALLS), review("bob", NO_CALLS)))
    found = [(item.score, item.session_id, item.round, item.annotators) for item in agreement.disagreements()]
    assert found == [
        (1.0, "loose", "round1", ("ann", "bob")),
        (1.0, "none-a", "r2", ("ann", "bob")),
        (1.0, "none-b", "round1", ("ann", "bob")),
        (0.666667, "three", "round1", ("ann", "bob", "cy")),
    ]


def test_a_box_counts_for_every_second_that_it_touches() -> None:
    said = review("ann", CALLS, [(0.5, 1.2), (3.0, 4.0)])
    assert seconds_with_calls(said, 4.5).tolist() == [1, 1, 0, 1, 0]
    assert seconds_with_calls(said, None).tolist() == []


def test_anchoring_by_hand() -> None:
    shown = [Detection(SoundEvent(start, start + 1), "Call", 0.9, RUN) for start in (0, 10, 20)]
    unshown = Detection(SoundEvent(30.1, 31), "Call", 0.4, ModelRun("other", "2"))
    said = Review(
        "ann",
        CALLS,
        (
            box(0, 1, outcome=Outcome.ACCEPTED, detection=shown[0]),
            box(10.2, 11, outcome=Outcome.MOVED, detection=shown[1]),
            box(30, 31),
            box(40, 41),
        ),
        (shown[2],),
        datetime(2020, 7, 1, tzinfo=UTC),
    )
    item = replace(session("s", said), detections=(*shown, unshown), model_runs=(ModelRun("other", "2"), RUN))
    audit = AnchoringAudit(0.5)
    audit.add(item)
    other, own = audit.rows()
    assert (own.shown, own.accepted, own.moved, own.deleted, own.added, own.added_found, own.boxes, own.found) == (
        3,
        1,
        1,
        1,
        2,
        0,
        4,
        2,
    )
    assert (other.shown, other.added, other.added_found, other.found) == (0, 2, 1, 1)
