"""Scores against hand-made cases and an independent second reading of the published rules."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.scoring import (
    EventCounts,
    Protocol,
    Span,
    average_precision,
    bootstrap_interval,
    boxes,
    confidence_per_second,
    match_events,
    truth_per_second,
)


@pytest.mark.parametrize(
    ("start", "duration", "length", "published", "strict"),
    [
        (1.0, 1.0, 10.0, [1, 2], [1]),
        (0.0, 0.0, 10.0, [0], []),
        (2.3, 0.4, 10.0, [2, 3], [2]),
        (2.3, 0.0, 10.0, [2, 3], []),  # a row that is no call
        (2.3, 1.0, 10.0, [2, 3, 4], [2, 3]),
        (8.5, 1.5, 10.0, [8, 9], [8, 9]),
        (8.5, 1.2, 9.6, [8, 9], [8, 9]),
        (9.0, 5.0, 9.6, [9], [9]),
        (12.0, 1.0, 9.6, [], []),
    ],
)
def test_the_seconds_of_an_interval(
    start: float, duration: float, length: float, published: list[int], strict: list[int]
) -> None:
    for protocol, expected in ((Protocol.ORCAHELLO, published), (Protocol.STRICT, strict)):
        truth = truth_per_second([Span(start, duration)], length, protocol)
        assert len(truth) == math.ceil(length)
        assert np.flatnonzero(truth).tolist() == expected


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 6), st.floats(0, 1)), max_size=12), st.floats(1, 25))
def test_of_overlapping_predictions_the_last_of_the_sorted_pairs_wins(
    rows: list[tuple[float, float, float]], length: float
) -> None:
    pairs = []
    for start, duration, confidence in rows:
        last = min(math.ceil(start + duration), math.floor(length))
        pairs += [(second, confidence) for second in range(math.floor(start), last + 1)]
    expected = {second: confidence for second, confidence in sorted(pairs) if second < math.ceil(length)}
    scored = confidence_per_second([Span(*row) for row in rows], length, Protocol.ORCAHELLO)
    assert scored.tolist() == [expected.get(second, 0.0) for second in range(math.ceil(length))]


def test_average_precision_of_a_ranking_done_by_hand() -> None:
    truth, confidence = np.array([1, 0, 1, 0], bool), np.array([0.9, 0.8, 0.7, 0.1])
    assert average_precision(truth, confidence) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision(np.zeros(4, bool), confidence) is None


def test_windows_that_touch_are_one_box() -> None:
    windows = [Span(2, 1, 0.9), Span(0, 1, 0.6), Span(1, 1, 0.7), Span(5, 1, 0.4), Span(7, 2, 0.5), Span(9, 0, 1.0)]
    assert boxes(windows, 0.5) == [Span(0, 3, 0.9), Span(7, 2, 0.5)]


def test_events_pair_one_to_one() -> None:
    truth = [Span(0, 1), Span(2, 1), Span(4, 1)]
    assert match_events(truth, [Span(0, 5)], 0.1) == EventCounts(1, 0, 2)
    assert match_events(truth, [Span(0.1, 1), Span(0.4, 1), Span(9, 1)], 0.3) == EventCounts(1, 2, 2)
    assert match_events(truth, [Span(2.5, 1)], 0.5) == EventCounts(0, 1, 3)
    assert match_events(truth, [Span(1, 1)], 0.0) == EventCounts(0, 1, 3)
    assert match_events(truth, [], 0.5) == EventCounts(0, 0, 3)
    assert match_events([], truth, 0.5).precision == 0


def test_pairing_finds_the_most_hits_where_greed_would_not() -> None:
    truth = [Span(0, 2), Span(1, 2)]
    assert match_events(truth, [Span(0.8, 2), Span(2, 1)], 0.3).hits == 2


def test_the_bootstrap_holds_the_mean_and_needs_two_recordings() -> None:
    values = np.random.default_rng(3).normal(5, 1, 200)
    low, high = bootstrap_interval(lambda draw: float(values[list(draw)].mean()), len(values)) or (0, 0)
    assert low == pytest.approx(values.mean() - 1.96 * values.std() / math.sqrt(200), abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * values.std() / math.sqrt(200), abs=0.03)
    assert bootstrap_interval(lambda _: 1.0, 1) is None


def test_the_bootstrap_draws_every_recording_and_passes_over_what_is_undefined() -> None:
    drawn: list[list[int]] = []

    def first(draw: Sequence[int]) -> float | None:
        drawn.append(list(draw))
        return None if draw[0] == 0 else 3.0

    assert bootstrap_interval(first, 2, rounds=40) == (3.0, 3.0)
    assert len(drawn) == 40 and {len(draw) for draw in drawn} == {2}
    assert {number for draw in drawn for number in draw} == {0, 1}
    assert bootstrap_interval(lambda _: None, 2) is None
    drawn.clear()
    bootstrap_interval(first, 2)
    assert len(drawn) == 1000  # unless another number is asked for


def test_shares_of_events_and_boxes() -> None:
    counts = EventCounts(hits=3, false_boxes=1, missed=2) + EventCounts(missed=1)
    assert (counts.precision, counts.recall) == (0.75, 0.5)
    assert (EventCounts().precision, EventCounts().recall) == (None, None)
