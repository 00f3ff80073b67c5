"""The next round: its probabilities are true, its sessions keep their distance, quotas and what is held are heeded."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from planning.draw import HOURS, Quotas, chances, factors, systematic, thin, window_minima
from planning.interest import DEFAULT_SHARES, LIKELY, PARTS, RANDOM, UNCERTAIN, UNLIKE, shares_of
from planning.plan import Choice, Wishes, plan
from planning.pool import Candidate, Pool
from podcast.errors import InputError
from podcast.model import Recording
from podcast.times import PACIFIC

START = datetime(2020, 9, 29, 7, tzinfo=UTC)  # midnight at the hydrophones; a pool of days goes on into another month
WISHES = Wishes(12, shares_of({}), gap_s=300.0)
LAB, BUSH = "rpi_orcasound_lab", "rpi_bush_point"


def minutes(node: str, count: int = 300) -> list[Candidate]:
    """A bout of 20 minutes in every 100, half of whose minutes are sure; all else is nearly silent."""
    return [
        Candidate(
            f"{node} {at:04d}", node, START + timedelta(minutes=at), "pool", 60.0,
            ((0.95 if at % 2 else 0.5) if at % 100 >= 80 else 0.05,),
        )
        for at in range(count)
    ]  # fmt: skip


def planned(candidates: Iterable[Candidate], wishes: Wishes = WISHES, held: Iterable[tuple[str, Recording]] = ()) -> list[Choice]:
    with Pool(wishes.seed) as pool:
        pool.add(candidates)
        for name, recording in held:
            pool.hold(name, recording)
        return plan(pool, wishes)[0]


@pytest.mark.parametrize(("gap_s", "even"), [(300.0, False), (0.0, False), (300.0, True)])
def test_every_minute_is_chosen_as_often_as_its_probability_says(gap_s: float, even: bool) -> None:
    """By Horvitz and Thompson each session counts one over its probability: over many plans each must count 1, on average."""
    candidates = [*minutes(LAB, 100), *minutes(BUSH, 60)]
    plans, counted = 150, Counter[str]()
    totals = []
    for seed in range(plans):
        choices = planned(candidates, replace(WISHES, size=6, gap_s=gap_s, even_nodes=even, seed=seed))
        weights = {choice.name: 1 / (choice.planned.probability or 0) for choice in choices}
        counted.update(weights)
        totals.append(sum(weights.values()))
        assert all((choice.planned.least or 0) <= (choice.planned.probability or 0) for choice in choices)
    error = np.std(totals) / plans**0.5
    assert abs(np.mean(totals) - len(candidates)) < 4 * error
    hot = [counted[item.name] / plans for item in candidates if item.chances and item.chances[0] > 0.1]
    assert np.mean(hot) == pytest.approx(1, abs=0.25)
    sides = [np.mean([counted[item.name] for item in candidates if item.node == node]) / plans for node in (LAB, BUSH)]
    assert sides == pytest.approx([1, 1], abs=0.2)


def test_a_round_is_as_it_was_asked_for() -> None:
    candidates = [*minutes(LAB), *minutes(BUSH)]
    wishes = replace(WISHES, nodes={BUSH: 0.75}, blind=0.25)
    choices = planned(candidates, wishes)
    assert len(choices) == len({choice.name for choice in choices}) == 12
    assert Counter(choice.node for choice in choices) == {BUSH: 9, LAB: 3}
    assert sum(choice.blind for choice in choices) == 3
    assert {choice.planned.reason for choice in choices} <= set(PARTS)
    for node in (LAB, BUSH):
        starts = sorted(choice.start for choice in choices if choice.node == node and choice.start)
        assert all(later - earlier >= timedelta(seconds=360) for earlier, later in pairwise(starts))
    # In the order of the plan, not of time: what is heard first is a small round of the same kind.
    assert [choice.name for choice in choices] != sorted(choice.name for choice in choices)
    assert {choice.planned.pool for choice in choices} == {300}


def test_the_same_pool_and_seed_give_the_same_plan_in_whatever_order_they_come() -> None:
    candidates = [*minutes(LAB), *minutes(BUSH)]
    shuffled = random.Random(1).sample(candidates, len(candidates))
    assert planned(shuffled) == planned(candidates)
    assert planned(candidates, replace(WISHES, seed=1)) != planned(candidates)


def test_nothing_that_is_held_is_chosen() -> None:
    candidates = minutes(LAB, 40)
    by_time = Recording("", LAB, START + timedelta(minutes=9, seconds=30), 60.0)  # parts of two minutes
    touching = Recording("", LAB, START + timedelta(minutes=5), 61.25)  # a minute, and a second of the next
    elsewhere = Recording("", BUSH, START, 2400.0)
    held = [(f"{LAB} 0000", Recording("")), ("x", by_time), ("y", touching), ("z", elsewhere)]
    found = {choice.name for choice in planned(candidates, replace(WISHES, size=40, gap_s=0.0), held)}
    assert {item.name for item in candidates} - found == {f"{LAB} {at:04d}" for at in (0, 5, 9, 10)}
    with pytest.raises(InputError, match="rounds and releases have all of it"):
        planned(candidates, held=[("all", Recording("", LAB, START, 2400.0))])


def test_the_random_part_leads_nowhere() -> None:
    """A bout holds a fifth of the minutes: of the sessions that chance chose, a fifth, and not the most."""
    candidates = minutes(LAB, 500)
    reasons: Counter[tuple[str, bool]] = Counter()
    for seed in range(25):
        for choice in planned(candidates, replace(WISHES, size=20, gap_s=0.0, seed=seed)):
            reasons[choice.planned.reason, int(choice.name[-4:]) % 100 >= 80] += 1
    chance = reasons[RANDOM, True] + reasons[RANDOM, False]
    assert reasons[RANDOM, True] / chance == pytest.approx(0.2, abs=0.12)
    assert reasons[LIKELY, False] == reasons[UNCERTAIN, False] == 0
    total = sum(reasons.values())
    lost = 1 - DEFAULT_SHARES[UNLIKE]  # nobody listened, so nothing is known to be unlike
    for part in (LIKELY, UNCERTAIN, RANDOM):
        here = reasons[part, True] + reasons[part, False]
        assert here / total == pytest.approx(DEFAULT_SHARES[part] / lost, abs=0.08)


def test_what_sounds_unlike_the_rest_or_was_not_heard_yet_is_found() -> None:
    """Three kinds of sound, of which the rarest has 5 % of the minutes: a third of the round, and less once it was heard."""
    rng = np.random.default_rng(0)
    places = {0: (0.0, 0.0), 1: (9.0, 0.0), 2: (0.0, 9.0)}
    kinds = [0] * 350 + [1] * 220 + [2] * 30
    candidates = [
        replace(item, vector=tuple(rng.normal(places[kind], 0.05).tolist()))
        for item, kind in zip(minutes(LAB, 600), kinds, strict=True)
    ]
    wishes = replace(WISHES, size=15, gap_s=0.0, shares=shares_of({UNLIKE: 1.0}))
    rare = sum(int(choice.name[-4:]) >= 570 for choice in planned(candidates, wishes))
    assert rare >= 3  # in proportion it would be one or none
    heard = [(f"{LAB} {at:04d}", Recording("")) for at in range(570, 599)]
    assert sum(int(choice.name[-4:]) >= 570 for choice in planned(candidates, wishes, heard)) <= 1


def test_hours_of_day_are_those_at_the_hydrophones() -> None:
    night = dict.fromkeys((22, 23, 0, 1), 0.25)
    choices = planned(minutes(LAB, 3000), replace(WISHES, hours=night))
    assert {choice.start.astimezone(PACIFIC).hour for choice in choices if choice.start} == {22, 23, 0, 1}
    even = planned(minutes(LAB, 3 * 1440), replace(WISHES, size=48, even_hours=True))
    by_hour = Counter(choice.start.astimezone(PACIFIC).hour for choice in even if choice.start)
    assert len(by_hour) >= 20 and max(by_hour.values()) <= 4


def test_a_pool_that_is_too_small_gives_what_it_has_and_says_so() -> None:
    with Pool() as pool:
        pool.add(minutes(LAB, 30))
        choices, notes = plan(pool, WISHES)
    assert 3 <= len(choices) <= 5 and any("12 sessions were asked for" in note for note in notes)


def test_names_without_a_time_are_chosen_too() -> None:
    tapes = [Candidate(f"tape {at}", "", None, "pool", chances=(0.9 if at < 5 else 0.0,)) for at in range(200)]
    choices = planned(tapes, replace(WISHES, shares=shares_of({LIKELY: 0.5, RANDOM: 0.5})))
    assert len(choices) == 12 and sum(int(choice.name[5:]) < 5 for choice in choices) == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"likley": 0.5}, "no part 'likley'"),
        ({LIKELY: 0.7, RANDOM: 0.7}, "sum to 1.4"),
        (dict.fromkeys(PARTS, 0.1), "sum to 0.4"),
    ],
)
def test_a_mix_that_is_none_is_refused(given: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        shares_of(given)


def test_shares_that_are_not_given_share_the_rest() -> None:
    assert shares_of({RANDOM: 1.0}).tolist() == [0, 0, 0, 1]
    found = dict(zip(PARTS, shares_of({RANDOM: 0.5}).tolist(), strict=True))
    assert sum(found.values()) == pytest.approx(1) and found[UNCERTAIN] / found[LIKELY] == pytest.approx(35 / 25)


def test_the_race_leaves_the_share_of_worth_around() -> None:
    """Three minutes within reach of each other, worth 1, 2 and 5: the middle one stays in 2 of 8 races."""
    start_s, worth = np.array([0.0, 60.0, 120.0]), np.array([1.0, 2.0, 5.0])
    rng, stayed = np.random.default_rng(0), np.zeros(3)
    for _ in range(4000):
        stays, around = thin(start_s, 130.0, worth, rng.uniform(size=3))
        assert around.tolist() == [8, 8, 8] and stays.sum() == 1
        stayed += stays
    assert (stayed / 4000).tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.03)


def test_minima_of_windows_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(size=97)
    low = np.sort(rng.integers(0, 90, 97))
    high = np.minimum(low + rng.integers(1, 30, 97), 97)
    assert window_minima(values, low, high).tolist() == [values[a:b].min() for a, b in zip(low, high, strict=True)]


def test_a_draw_has_its_size_and_quotas_hold_in_the_table() -> None:
    rng = np.random.default_rng(5)
    around, cells = rng.uniform(0.1, 5, 500), rng.integers(0, 3 * HOURS, 500)
    found, _ = chances(around, cells, 3, Quotas({1: 0.5}, {4: 0.2}), 40)
    assert found.sum() == pytest.approx(40) and found.max() <= 1
    assert found[cells // HOURS == 1].sum() == pytest.approx(20, rel=1e-3)
    assert found[cells % HOURS == 4].sum() == pytest.approx(8, rel=1e-3)
    drawn = np.zeros(500)
    for luck in np.linspace(0.0005, 0.9995, 1000):
        at = systematic(found, float(luck))
        assert len(at) == 40 == len(set(at.tolist()))
        drawn[at] += 1
    assert drawn / 1000 == pytest.approx(found, abs=0.003)
    table = np.ones((2, HOURS))
    assert (table * factors(table, Quotas({0: 0.9}), 1.0)).sum(axis=1).tolist() == pytest.approx([0.9, 0.1])
