"""A whole campaign, with and without learning: edits a minute by round on held-out recordings. Prints one JSON object a line.

Rounds of 20 minutes with real calls, from two made nodes whose noise drifts; two people who err mend the boxes of the model in
service, which is `energy` at first. After each round rules and scores are learned from all rounds so far, and the gate decides.
What is measured are minutes with calls of recordings, and with humpbacks, that are in no round, at the nodes of the rounds and at
one that is in none. They are the same minutes in every round but for the noise. Needs the real data.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._campaign import ANN, BOB, DATA, NODES, Ear, Heard, dealt, listen, minutes
from detectors import load_detector, use_threads
from detectors.base import Framed
from detectors.frames import Frames
from evaluation.edits import EditRow, Edits, edit_row, edits
from podcast.audio import Samples
from podcast.model import SoundEvent
from podcast.report import Report
from training.corpus import read_manifest
from training.gate import judge
from training.loop import Sounds
from training.reviewed import Lessons, Reviewed, lessons, reviewed
from training.rules import Example, fit

DETECTOR = "energy"
SEEDS, ROUNDS, SESSIONS, HELD_MINUTES, WORKERS = (0, 1), 3, 20, 5, 2
TAUGHT, UNTAUGHT = NODES[:2], NODES[2:3]


@dataclass(frozen=True, slots=True)
class Stage:
    """After so many rounds: what the model in service leaves to do in the held-out minutes of the next one, and so does the first
    model; and what the gate said last."""

    seed: int
    rounds: int
    learned: EditRow
    fixed: EditRow
    said: str


def campaign(seed: int) -> list[Stage]:
    """Before the first round and after each."""
    return list(_stages(seed))


def _stages(seed: int) -> Iterator[Stage]:
    use_threads(1)
    detector = load_detector(f"{DETECTOR},rules=fixed")
    assert isinstance(detector, Framed)
    taught, held = dealt(read_manifest(str(DATA / "manifest.tsv"))[0], seed)
    first = serving = Ear(detector)
    rounds: list[Heard] = []
    unlearned: list[Heard] = []
    splits: dict[str, str] = {}
    said = "nothing is learned yet"

    def read(one: Reviewed) -> tuple[Samples, int]:
        return next(heard.audio for heard in rounds if heard.session.id == one.name)

    for done in range(ROUNDS + 1):
        left = [(_left(one, serving), _left(one, first)) for one in _held_out(held, seed, done + 1, first)]
        learned, fixed = (edit_row("held out", side) for side in zip(*left, strict=True))
        yield Stage(seed, done, learned, fixed, said)
        if done == ROUNDS:
            return
        pool = minutes("round", TAUGHT, SESSIONS, when=done + 1, seed=seed, sounds=taught)
        unlearned += [listen(minute, serving, (ANN, BOB), seed) for minute in pool]
        rounds += unlearned[-SESSIONS:]
        candidate, lesson = _learned(rounds, splits, first)
        splits = dict(lesson.splits)
        verdict = judge(candidate, serving, lesson.tested, read, _reviewed(unlearned))
        said = verdict.reason
        if verdict.promoted:
            serving, unlearned = candidate, []


def _learned(rounds: Sequence[Heard], splits: Mapping[str, str], first: Ear) -> tuple[Ear, Lessons]:
    """What all rounds so far teach."""
    by_name = {one.session.id: one.frames for one in rounds}
    lesson = lessons(_reviewed(rounds), splits)
    examples = [Example(one.name, by_name[one.name], one.calls, one.unsure) for one in lesson.learned]
    return first.with_rules(fit(examples, DETECTOR, first.strengths, first.fixed_cut)), lesson


def _reviewed(rounds: Sequence[Heard]) -> list[Reviewed]:
    return reviewed((one.session for one in rounds), Report())


def _held_out(held: Sounds, seed: int, when: int, ear: Ear) -> Iterator[tuple[Frames, tuple[SoundEvent, ...]]]:
    for node in (*TAUGHT, *UNTAUGHT):
        for minute in minutes(f"held out {node.name}", [node], HELD_MINUTES, when=when, seed=seed, sounds=held):
            made = minute.made()
            yield ear.detector.frames(*made.audio), made.calls


def _left(one: tuple[Frames, tuple[SoundEvent, ...]], ear: Ear) -> Edits:
    frames, calls = one
    return edits([box.event for box in ear.boxes(frames)], calls, frames.length_s)


def main() -> None:
    """Both bars, and the course of each campaign."""
    if not (DATA / "manifest.tsv").exists():
        print(f"no real data at {DATA}; set PODCAST_DATA", file=sys.stderr)
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # two processes for two cores
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        stages = [stage for found in pool.map(campaign, SEEDS) for stage in found]
    for stage in stages:
        row = {"learning": stage.learned.as_dict(), "without": stage.fixed.as_dict()}
        print(json.dumps({"name": f"campaign {stage.seed}, round {stage.rounds + 1}", "gate": stage.said, **row}), flush=True)
    first, last = ([stage for stage in stages if stage.rounds == rounds] for rounds in (0, ROUNDS))
    before = _edits([stage.fixed for stage in first])
    learned, fixed = _edits([stage.learned for stage in last]) / before, _edits([stage.fixed for stage in last]) / before
    report("edits_after_three_rounds_of_round_ones", learned, 0.6, holds=learned <= 0.6)
    report("without_learning", fixed, 0.9, holds=fixed >= 0.9)


def _edits(rows: Sequence[EditRow]) -> float:
    return sum((row.edits for row in rows), Edits()).count


def report(name: str, value: float, bar: float, *, holds: bool) -> None:
    """One JSON object on one line."""
    print(json.dumps({"name": name, "value": round(value, 3), "bar": bar, "holds": holds}), flush=True)


if __name__ == "__main__":
    main()
