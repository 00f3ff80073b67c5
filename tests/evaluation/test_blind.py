"""Blind against shown sessions: what is compared, how often chance does the same, and what a round can show."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from benchmarks.blind import found as found_in_rounds
from evaluation.blind import BlindAudit, Compared, Design, needed
from podcast.model import Detection, ModelRun, Outcome, Review, ReviewState, Session, SoundEvent
from tests.releases.sessions import RUN, box, review, session

CALLS, NO_CALLS = ReviewState.CALLS, ReviewState.NO_CALLS


def heard(name: str, *reviews: Review, boxes: tuple[tuple[float, float], ...] = (), blind: bool, run: ModelRun = RUN) -> Session:
    """A minute with a model's boxes, whether they were shown or not."""
    detections = tuple(Detection(SoundEvent(*times), "Call", 0.9, run) for times in boxes)
    return replace(session(name, *reviews), detections=detections, model_runs=(run,), blind=blind)


def kept(annotator: str, *boxes: tuple[float, float], added: tuple[tuple[float, float], ...] = ()) -> Review:
    """The answer of somebody who kept a model's boxes and added some."""
    accepted = [
        box(*times, annotator, outcome=Outcome.ACCEPTED, detection=Detection(SoundEvent(*times), "Call", 0.9, RUN))
        for times in boxes
    ]
    return Review(annotator, CALLS, (*accepted, *(box(*times, annotator) for times in added)))


def compared(audit: BlindAudit) -> dict[tuple[str, str], Compared]:
    return {(row.annotator, row.measure): row for row in audit.report().rows}


def test_both_kinds_are_measured_by_what_touches() -> None:
    audit = BlindAudit()
    audit.add(heard("a", review("ann", CALLS, [(1.4, 3), (20, 21), (40, 41)]), boxes=((1, 2), (10, 11)), blind=True))
    audit.add(heard("b", review("ann", NO_CALLS), blind=True))
    audit.add(heard("c", kept("ann", (1, 2), added=((30, 31),)), boxes=((1, 2),), blind=False))
    audit.add(heard("d", kept("bob", (5, 6), (7, 8)), boxes=((5, 6), (7, 8)), blind=False))  # bob heard nothing blind
    rows = compared(audit)
    assert {name for name, _ in rows} == {"", "ann"}
    values = {measure: (rows["ann", measure].blind, rows["ann", measure].shown) for measure in ("found", "added", "confirmed")}
    assert values == {"found": (1.5, 2.0), "added": (1.0, 1.0), "confirmed": (0.5, 1.0)}
    assert {(row.blind_sessions, row.shown_sessions) for row in rows.values()} == {(2, 1)}
    assert not any(row.led for row in rows.values())


def test_chance_is_that_of_dealing_the_sessions_anew() -> None:
    """Of 20 sessions two have a call that no box touches, and both are among the four blind ones."""
    audit = BlindAudit()
    for number in range(20):
        blind = number < 4
        said = review("ann", CALLS, [(20, 21)]) if number < 2 else review("ann", NO_CALLS)
        audit.add(heard(f"s{number}", said, blind=blind))
    row = compared(audit)["ann", "added"]
    exact = comb(18, 2) / comb(20, 4)
    assert row.chance == pytest.approx(exact, abs=4 * (exact / 1000) ** 0.5)
    assert (row.blind, row.shown, row.led) == (0.5, 0.0, True)


def test_a_difference_to_be_seen_is_so_many_standard_errors() -> None:
    audit, generator = BlindAudit(), np.random.default_rng(3)
    counts = generator.integers(0, 4, 200)
    for number, count in enumerate(counts):
        boxes = [(2.0 * at, 2.0 * at + 1) for at in range(count)]
        audit.add(heard(f"s{number}", review("ann", CALLS if count else NO_CALLS, boxes), blind=number < 50))
    row = compared(audit)["ann", "found"]
    error = counts.std() * (1 / 50 + 1 / 150) ** 0.5
    assert row.detectable == pytest.approx((1.96 + 1.2816) * error, rel=0.1)


def test_boxes_that_were_not_on_the_page_lead_nobody() -> None:
    audit, late = BlindAudit(), ModelRun("late", "1")
    audit.add(heard("a", review("ann", NO_CALLS), boxes=((1, 2),), blind=True, run=late))
    audit.add(heard("b", review("ann", NO_CALLS), boxes=((1, 2),), blind=False, run=late))  # neither kept nor deleted
    assert audit.report().rows == ()
    deleted = Review("ann", NO_CALLS, (), (Detection(SoundEvent(1, 2), "Call", 0.9, late),))
    audit.add(heard("c", deleted, boxes=((1, 2),), blind=True, run=late))  # had them all the same: the round was changed by hand
    [row] = [row for row in audit.report().rows if row.measure == "found" and row.annotator]
    assert (row.blind_sessions, row.shown_sessions) == (1, 1)


def test_an_answer_that_says_nothing_and_a_session_without_a_model_are_not_compared() -> None:
    audit = BlindAudit()
    audit.add(replace(session("a", review("ann", NO_CALLS)), blind=True))
    audit.add(heard("b", review("ann", ReviewState.UNSURE), blind=False))
    audit.add(heard("c", review("ann", ReviewState.SKIPPED), blind=True))
    report = audit.report()
    assert (report.rows, report.without_model, report.design.blind, report.design.shown) == ((), 1, 2, 1)


@pytest.mark.parametrize(("blind", "shown", "with_calls"), [(128, 1152, 0.3), (40, 360, 0.6), (100, 100, 0.3), (500, 4500, 0.05)])
def test_what_a_round_can_show_is_said_beforehand(blind: int, shown: int, with_calls: float) -> None:
    design = Design(blind, shown, with_calls)
    least, share = design.least, design.detectable
    assert least is not None and share is not None
    for count, enough in ((least, True), (least - 1, False)):
        chance = 2 * hypergeom.pmf(count, blind + shown, count, blind)  # all of `count` sessions fall among the blind ones
        assert (chance <= 0.05) == enough
    power = [binom.sf(least - 1, blind, with_calls * missed) for missed in (share, share - 0.002)]
    assert power[0] == pytest.approx(0.9, abs=0.01) and power[1] < power[0]


def test_too_few_sessions_show_nothing_and_it_says_how_many_would() -> None:
    assert Design(0, 100).detectable is None
    assert Design(2, 18, 0.3).detectable is None
    assert "too few to show people who only check boxes" in Design(2, 18, 0.3).sentence
    size = needed(missed=0.1, share=0.1, with_calls=0.3)
    assert (size.blind, size.blind + size.shown) == (128, 1280)
    assert "128 of 1280 would be enough" in Design(2, 18, 0.3).sentence
    smaller = Design(size.blind - 1, size.shown, 0.3)
    assert (size.detectable or 1) <= 0.1 < (smaller.detectable or 1)


def test_people_who_only_check_boxes_are_found_and_careful_ones_are_not() -> None:
    """A short version of benchmarks/blind.py."""
    assert found_in_rounds(5, 12, together=False, checks_only=True) >= 4
    assert found_in_rounds(5, 12, together=False, checks_only=False) <= 1
