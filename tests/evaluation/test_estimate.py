"""Minutes with calls: the interval keeps its promise, at every share of the mix and with no call found at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest

from evaluation.estimate import Drawn, MinutesWithCalls, minutes_with_calls
from planning.draw import Quotas, chances, systematic, thin
from planning.pool import Numbers
from podcast.model import Planned, Recording, Review, ReviewState, Session

MINUTES, SIZE = 3000, 50
CALLS, NONE, UNSURE = ReviewState.CALLS, ReviewState.NO_CALLS, ReviewState.UNSURE


def a_month(rng: np.random.Generator) -> tuple[npt.NDArray[np.bool_], Numbers]:
    """Which minutes hold calls (a few bouts, and lone ones), and what a detector that misses a third of them thinks of each."""
    calls = rng.uniform(size=MINUTES) < rng.choice([0, 0.002, 0.02])
    for begin in rng.integers(0, MINUTES, rng.integers(0, 5)):
        calls[begin : begin + rng.integers(5, 60)] = True
    heard = calls & (rng.uniform(size=MINUTES) < 0.66)
    return calls, np.where(heard, rng.beta(5, 2, MINUTES), rng.beta(1, 6, MINUTES))


def draw(rng: np.random.Generator, chance: Numbers, random_share: float, gap_s: float) -> list[tuple[int, float, float]]:
    """A round as `planning.plan` draws it, in arrays: places, probabilities, and the least of all."""
    likely = chance**4
    worth: Numbers = random_share / MINUTES + (1 - random_share) * likely / float(likely.sum())
    stays, around = thin(np.arange(MINUTES).astype(float) * 60, gap_s + 60, worth, rng.uniform(size=MINUTES))
    left = np.flatnonzero(stays)
    drawn, factor = chances(around[left], np.zeros(len(left), np.int64), 1, Quotas(), SIZE)
    every = np.minimum(worth / around, factor[0, 0] * worth)
    at = systematic(drawn, rng.uniform())
    return [
        (int(left[place]), float(worth[left[place]] / around[left[place]] * drawn[place]), float(every.min())) for place in at
    ]


@pytest.mark.parametrize("random_share", [0.1, 0.25, 0.5, 1.0])
def test_the_interval_holds_the_truth_at_every_share_of_the_mix(random_share: float) -> None:
    """250 months at each of four shares: at least 93 of 100 intervals hold what there is, and not by being endless."""
    rng = np.random.default_rng(round(100 * random_share))
    held, errors, widths = 0, [], []
    for _ in range(250):
        calls, chance = a_month(rng)
        found = draw(rng, chance, random_share, float(rng.choice([0, 300])))
        drawn = [Drawn(1.0, chosen, least, MINUTES, CALLS if calls[at] else NONE) for at, chosen, least in found]
        middle, low, high = minutes_with_calls(drawn)
        held += low <= calls.sum() <= high
        errors.append(middle - calls.sum())
        widths.append(high - low)
    assert held >= 0.93 * 250
    assert abs(np.mean(errors)) < 4 * np.std(errors) / 250**0.5 + 1
    assert np.median(widths) < MINUTES * {0.1: 0.9, 0.25: 0.45, 0.5: 0.3, 1.0: 0.25}[random_share]


def test_a_round_that_is_half_done_and_answers_that_nobody_was_sure_of() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        calls, chance = a_month(rng)
        found = draw(rng, chance, 0.5, 0.0)
        unsure = rng.uniform(size=MINUTES) < 0.1
        heard = rng.permutation(found)[: SIZE // 2]
        drawn = [
            Drawn(1.0, p, least, MINUTES, UNSURE if unsure[int(at)] else CALLS if calls[int(at)] else NONE)
            for at, p, least in heard
        ]
        _, low, high = minutes_with_calls(drawn, 0.5)
        held += low <= calls.sum() <= high
    assert held >= 0.93 * 200


def test_small_counts_by_hand() -> None:
    """Of 1000 minutes 100 were drawn evenly and none has a call: by the rule of three, up to 3.7 in 100 may have."""
    quiet = [Drawn(1.0, 0.1, 0.1, 1000, NONE)] * 100
    middle, low, high = minutes_with_calls(quiet)
    assert (middle, low) == (0, 0)
    assert high == pytest.approx(-np.log(0.025) / -np.log(0.9), rel=1e-6)  # so many would be missed once in forty times
    ten = [replace(item, state=CALLS) for item in quiet[:10]] + quiet[10:]
    middle, low, high = minutes_with_calls(ten)
    assert middle == pytest.approx(100)
    assert low < 49 + 5 and high > 176  # Clopper and Pearson's interval for 10 of 100: .049 to .176
    # Who heard all knows all; and of a pool no more can have calls than there are.
    assert minutes_with_calls([Drawn(1.0, 1.0, 1.0, 3, CALLS), Drawn(1.0, 1.0, 1.0, 3, NONE)]) == (1, 1, 1)
    assert minutes_with_calls([Drawn(1.0, 0.01, 0.01, 3, CALLS)])[2] == 3


def test_sessions_are_counted_by_round_node_and_month() -> None:
    start = datetime(2020, 9, 30, 23, 59, tzinfo=UTC)
    plan = Planned("random", 0.5, 0.5, 40)
    one = Session("a", Recording("", "lab", start, 60.0), round="r", planned=plan, reviews=(Review("ann", CALLS),))
    two = replace(one, id="b", recording=replace(one.recording, start=datetime(2020, 10, 1, tzinfo=UTC)), reviews=())
    others = [replace(one, id="c", planned=None), replace(one, id="d", planned=Planned("missed")), two]
    found = MinutesWithCalls()
    for session in [replace(one, reviews=(Review("ann", NONE),)), *others]:
        found.add(session)
    [row] = found.rows()
    assert (row.round, row.node, row.month, row.pool, row.answered, row.with_calls, row.low) == (
        "r",
        "lab",
        "2020-09",
        40,
        1,
        0,
        0,
    )
    [smaller] = found.rows({"r": 20})  # the round has more sessions than were handed over: each stands for more
    assert smaller.high > row.high
