"""What planning costs and what it is worth: a year's plan, intervals, missed calls, and planned rounds against random ones.

    python benchmarks/planning.py [year] [intervals] [missed] [rounds]      # all of them without a word

Minutes are made (`benchmarks/_campaign.py`): real calls of the licensed recordings in made seas. Prints one JSON object a line.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._campaign import ANN, BOB, DATA, NODES, Minute, dealt, minutes
from detectors import load_detector, use_threads
from detectors.base import Framed
from detectors.frames import Frames
from detectors.impression import example, impression_of
from detectors.rules import BoxRules, rules_for
from evaluation.edits import edit_row, edits
from evaluation.estimate import Drawn, minutes_with_calls
from planning.interest import PARTS, shares_of
from planning.missed import Clue, Examples, missed
from planning.plan import Wishes, plan
from planning.pool import Candidate, Numbers, Pool
from planning.predictions import predicted
from podcast.dataset_table import DETECTION_COLUMNS
from podcast.model import CALL, Certainty, Detection, ModelRun, Recording, ReviewState, SoundEvent
from podcast.times import node_name
from tests.evaluation.test_estimate import MINUTES, a_month, draw
from training.corpus import read_manifest
from training.loop import Sounds
from training.rules import Example, fit

NODE = "rpi_orcasound_lab"
YEAR = 365 * 24 * 60
SEEDS = 5
MONTHS = 250
SIZE = 20
POOL, HELD, BANK = 100, 30, 60
"""Minutes that are made for each seed: two thirds of a second each."""
RUN = ModelRun("energy", "made")
MB = 2**20


def report(name: str, value: float, bar: float, *, holds: bool, **more: object) -> None:
    """One JSON object on one line."""
    print(json.dumps({"name": name, "value": round(float(value), 4), "bar": bar, "holds": bool(holds), **more}), flush=True)


def year() -> None:
    """A plan over every minute of a year, given its predictions."""
    rng = np.random.default_rng(0)
    begin = datetime(2020, 1, 1, 8, tzinfo=UTC)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file, Pool() as pool:
        file.write("\t".join(DETECTION_COLUMNS) + "\n")
        for at, boxes in enumerate(rng.poisson(0.3, YEAR)):
            name = node_name(NODE, begin + timedelta(minutes=at))
            for number in range(boxes):
                file.write(f"{name}.wav\t{number * 5}.0\t1.0\t{rng.beta(1, 3):.4f}\tenergy:1\n")
            if not boxes:
                file.write(f"{name}.wav\t0.0\t0.0\t0.0\tenergy:1\n")
        file.flush()
        pool.add(item for item in predicted(file.name) if isinstance(item, Candidate))
        before, started = _peak(), time.perf_counter()
        choices, _ = plan(pool, Wishes(200, shares_of({})))
        took = time.perf_counter() - started
        assert len(choices) == 200
        report("plan_of_a_year_seconds", took, 60.0, holds=took < 60, minutes=pool.size())
    grown = (_peak() - before) / MB
    report("plan_of_a_year_megabytes_beyond_reading", grown, 1000.0, holds=grown < 1000)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def intervals() -> None:
    """How often the interval for minutes with calls holds the truth, at the share of the mix at which it does least; how wide it
    is, and how many sessions of a round have calls."""
    held: dict[float, float] = {}
    widths, found = {}, {}
    for share in (0.05, 0.1, 0.25, 0.5, 0.75, 1.0):
        rng, count, wide, calling, heard = np.random.default_rng(round(1000 * share)), 0, [], 0, 0
        for _ in range(MONTHS):
            calls, chance = a_month(rng)
            drawn = [
                Drawn(1.0, chosen, least, MINUTES, ReviewState.CALLS if calls[at] else ReviewState.NO_CALLS)
                for at, chosen, least in draw(rng, chance, share, float(rng.choice([0, 300])))
            ]
            _, low, high = minutes_with_calls(drawn)
            count += bool(low <= calls.sum() <= high)
            wide.append(high - low)
            calling, heard = calling + sum(item.state is ReviewState.CALLS for item in drawn), heard + len(drawn)
        held[share], widths[share] = count / MONTHS, round(float(np.median(wide)) / MINUTES, 3)
        found[share] = round(calling / heard, 3)
    least = min(held.values())
    report(
        "interval_holds_share_of_months", least, 0.93, holds=least >= 0.93,
        by_random_share=held, width_as_share_of_pool=widths, sessions_with_calls=found,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listened:
    """A minute that was made and listened to; its sound is not kept."""

    minute: Minute
    frames: Frames
    calls: tuple[SoundEvent, ...]


def listened(wanted: Sequence[Minute], detector: Framed) -> list[Listened]:
    """Make minutes and listen to them, one after the other."""
    found = []
    for minute in wanted:
        made = minute.made()
        found.append(Listened(minute, detector.frames(*made.audio), made.calls))
    return found


def energy() -> Framed:
    """The default detector with its fixed rules, which have learned nothing."""
    detector = load_detector("energy,rules=fixed")
    assert isinstance(detector, Framed)
    return detector


def missed_calls(seeds: Sequence[int], corpus: Sounds) -> None:
    """Faint calls in minutes that the detector passes over: how many of these are in the first 5 % of the list.

    Two hydrophones a kilometre apart for a day. Whales pass for six minutes, and both hear them; people report one of these, and
    drew a box in it. Six minutes more, at any hour, hold the same calls, and nobody reported them. Quiet minutes are drawn from a
    few that were made.
    """
    detector, shares = energy(), []
    rules = rules_for("energy", detector.strengths, "learned", "")
    assert rules is not None
    quiet = replace(NODES[3], calls=0.0, ships=0.1, clicks=0.5, humpbacks=0.05)
    faint = replace(quiet, calls=1.0, loud_db=-4.0, humpbacks=0.0)
    begin, nodes = datetime(2025, 6, 1, 8, tzinfo=UTC), (NODE, "rpi_andrews_bay")
    for seed in seeds:
        taught, _ = dealt(corpus, seed)
        rng = np.random.default_rng(seed)
        more: dict[str, Any] = {"when": 1, "seed": seed, "sounds": taught}
        bank = [impression_of(one.frames, rules).faint for one in listened(minutes("quiet", (quiet,), BANK, **more), detector)]
        tried = (one for item in minutes("faint", (faint,), 600, **more) for one in listened([item], detector))
        passed_over = (one for one in tried if one.calls and not rules.boxes(one.frames))
        first = int(rng.integers(60, 1380))
        elsewhere = [at for at in range(1440) if abs(at - first) > 120]
        lone = {(number % 2, int(at)) for number, at in enumerate(rng.choice(elsewhere, 6, replace=False))}
        places = {*((node, at) for node in (0, 1) for at in range(first, first + 6)), *lone}
        planted = {place: next(passed_over) for place in sorted(places)}
        told = planted.pop((0, first + 5))
        examples = Examples(rules, [example(told.frames, call.start_s, call.end_s) for call in told.calls[:1]])
        with Pool(seed) as pool:
            for node, at in ((node, at) for node in (0, 1) for at in range(1440) if (node, at) != (0, first + 5)):
                known = planted.get((node, at))
                events = impression_of(known.frames, rules).faint if known else bank[int(rng.integers(len(bank)))]
                start = begin + timedelta(minutes=at)
                pool.add([Candidate(f"{node} {at}", nodes[node], start, "made", chances=(0.0,), alike=examples.alike(events))])
            reported = begin + timedelta(minutes=first + 5)
            listed = missed(pool, [Clue(NODE, reported, reported + timedelta(minutes=1))], round(0.05 * pool.size()))
        found = {choice.name for choice in listed}
        shares.append([sum(f"{node} {at}" in found for node, at in some) / len(some) for some in (planted, lone)])
    both, alone = np.mean(shares, axis=0)
    report(
        "missed_calls_in_first_5_percent",
        float(both),
        0.8,
        holds=both >= 0.8,
        of_those_nobody_reported=float(alone),
        seeds=shares,
    )


def rounds(seeds: Sequence[int], corpus: Sounds) -> None:
    """Edits a minute on held-out nodes and recordings after one planned round, against a random round of twice as many sessions.

    Both come after the same first random round. Without one part of the mix each: which part pays.
    """
    detector = energy()
    won, table = 0, []
    mixes = {"planned": shares_of({}), **{f"without {part}": shares_of({part: 0.0}) for part in PARTS}}
    for seed in seeds:
        taught, held = dealt(corpus, seed)
        sparse = [replace(node, calls=0.35) for node in NODES]
        pool = listened(minutes("pool", sparse[:2], POOL, when=1, seed=seed, sounds=taught), detector)
        tests = listened(
            minutes("held", [replace(node, calls=0.5) for node in NODES[2:]], HELD, when=2, seed=seed, sounds=held), detector
        )
        order = np.random.default_rng(seed).permutation(len(pool)).tolist()
        begun = [pool[at] for at in order[:SIZE]]
        rules = _taught(begun, None, detector, seed)
        rest = [pool[at] for at in order[SIZE:]]
        found = {"begun": _left_to_do(tests, rules)}
        for sessions in (SIZE, 2 * SIZE):
            found[f"random {sessions}"] = _left_to_do(tests, _taught([*begun, *rest[:sessions]], rules, detector, seed))
        for name, mix in mixes.items():
            found[name] = _left_to_do(tests, _taught([*begun, *_planned(begun, rest, rules, mix, seed)], rules, detector, seed))
        won += found["planned"] <= found[f"random {2 * SIZE}"]
        table.append({name: round(value, 2) for name, value in found.items()})
    means = {name: round(float(np.mean([row[name] for row in table])), 2) for name in table[0]}
    report("planned_rounds_of_5_with_half_the_sessions", won, 4, holds=won >= 4, edits_a_minute=means, seeds=table)


def _planned(begun: Sequence[Listened], rest: Sequence[Listened], rules: BoxRules, mix: Numbers, seed: int) -> list[Listened]:
    by_name = {one.minute.name: one for one in (*begun, *rest)}
    with Pool(seed) as pool:
        for one in by_name.values():
            heard = impression_of(one.frames, rules)
            chances = tuple(event.chance for event in heard.events)
            pool.add([Candidate(one.minute.name, one.minute.node.name, one.minute.start, "made", 60.0, chances, heard.vector)])
        for one in begun:
            pool.hold(one.minute.name, Recording(""))
        choices, _ = plan(pool, Wishes(SIZE, mix, seed=seed))
    return [by_name[choice.name] for choice in choices]


def _taught(answered: Sequence[Listened], shown: BoxRules | None, detector: Framed, seed: int) -> BoxRules:
    """The rules that people's answers to these minutes teach; they err as `_campaign` has them err."""
    lessons = []
    for at, one in enumerate(answered):
        boxes = shown.boxes(one.frames) if shown else [(event, 0.5) for event in detector.fixed_cut.events(one.frames)[1]]
        seen = [Detection(event, CALL, chance, RUN) for event, chance in boxes]
        said = (ANN, BOB)[at % 2].review(np.random.default_rng([seed, at]), one.calls, seen)
        sure, unsure = (
            tuple(item.event for item in said.annotations if (item.certainty is Certainty.CERTAIN) is certain)
            for certain in (True, False)
        )
        lessons.append(Example(one.minute.name, one.frames, sure, unsure))
    return fit(lessons, "energy", detector.strengths, detector.fixed_cut)


def _left_to_do(tests: Sequence[Listened], rules: BoxRules) -> float:
    row = edit_row("held", [edits([event for event, _ in rules.boxes(one.frames)], one.calls, 60.0) for one in tests])
    return row.edits.a_minute or 0.0


def main(words: Sequence[str]) -> None:
    """The parts that are named, or all."""
    use_threads(1)
    parts: dict[str, Callable[[], None]] = {"year": year, "intervals": intervals}
    if (DATA / "manifest.tsv").exists():
        corpus, _ = read_manifest(str(DATA / "manifest.tsv"))
        parts |= {"missed": lambda: missed_calls(range(SEEDS), corpus), "rounds": lambda: rounds(range(SEEDS), corpus)}
    else:
        print(f"no real data at {DATA}; set PODCAST_DATA", file=sys.stderr)
    for word in words or parts:
        parts[word]()


if __name__ == "__main__":
    main(sys.argv[1:])
