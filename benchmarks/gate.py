"""The gate against 20 poisoned rounds, 5 of each kind, and 20 good ones: how many are promoted. Prints one JSON object a line.

Every round has 20 minutes of two made nodes with real calls, reviewed by one of two people who err, beside the boxes of `energy`.
Before it stand three good rounds: what these hold out is what others said, and the candidate learns from all four. The same
sounds are judged twice, with good and with poisoned labels. The gate's bounds were chosen on other rounds. Needs the real data.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._campaign import ACCEPTS_ALL, ANN, BOB, DATA, MINUTE_S, NODES, Ear, Heard, listen, minutes
from detectors import load_detector, use_threads
from detectors.base import Framed
from detectors.registry import Verdict
from podcast.audio import Samples
from podcast.errors import InputError
from podcast.model import Annotation, Review, ReviewState, Session, SoundEvent
from podcast.report import Report
from training.corpus import read_manifest
from training.gate import judge
from training.reviewed import Reviewed, lessons, reviewed
from training.rules import Example, fit

DETECTOR = "energy"
SEED, ROUNDS, SESSIONS, EARLIER, WORKERS = 1, 20, 20, 3, 2
Poison = Callable[[Sequence[Heard], np.random.Generator], list[Session]]


def as_it_is(round_: Sequence[Heard], rng: np.random.Generator) -> list[Session]:
    """A good round."""
    del rng
    return [one.session for one in round_]


def shifted(round_: Sequence[Heard], rng: np.random.Generator) -> list[Session]:
    """All labels lie 0.4 to 10 s beside their sounds, all by the same."""
    by_s = float(rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(0.4), np.log(10))))

    def moved(item: Annotation) -> Annotation | None:
        start_s, end_s = max(item.event.start_s + by_s, 0.0), min(item.event.end_s + by_s, MINUTE_S)
        return replace(item, event=SoundEvent(start_s, end_s)) if end_s - start_s > 0.05 else None

    return [said(one, [new for item in one.session.reviews[0].annotations if (new := moved(item))]) for one in round_]


def swapped(round_: Sequence[Heard], rng: np.random.Generator) -> list[Session]:
    """Every session has the labels of another."""
    by = int(rng.integers(1, len(round_)))
    return [said(one, round_[(number + by) % len(round_)].session.reviews[0].annotations) for number, one in enumerate(round_)]


def emptied(round_: Sequence[Heard], rng: np.random.Generator) -> list[Session]:
    """No session has a call."""
    del rng
    return [said(one, ()) for one in round_]


def accepted(round_: Sequence[Heard], rng: np.random.Generator) -> list[Session]:
    """One annotator accepted every box and added none, in all sessions or in every second."""
    every = int(rng.integers(1, 3))
    return [
        replace(one.session, reviews=(ACCEPTS_ALL.review(rng, one.calls, one.session.detections),))
        if number % every == 0
        else one.session
        for number, one in enumerate(round_)
    ]


POISONS: dict[str, Poison] = {"shifted": shifted, "swapped": swapped, "emptied": emptied, "accepted": accepted}


def said(one: Heard, annotations: Sequence[Annotation]) -> Session:
    """The session with other labels, by the same person."""
    review: Review = one.session.reviews[0]
    state = ReviewState.CALLS if annotations else ReviewState.NO_CALLS
    return replace(one.session, reviews=(replace(review, annotations=tuple(annotations), state=state),))


def listened(number: int) -> list[Heard]:
    """One round, reviewed; numbered from the first of the earlier ones on."""
    ear = energy()
    sounds, _ = read_manifest(str(DATA / "manifest.tsv"))
    pool = minutes(f"round{number}", NODES[:2], SESSIONS, when=1 + number % 4, seed=SEED, sounds=sounds)
    return [listen(minute, ear, (ANN, BOB), SEED) for minute in pool]


def energy() -> Ear:
    """The model in service."""
    use_threads(1)
    detector = load_detector(f"{DETECTOR},rules=fixed")
    assert isinstance(detector, Framed)
    return Ear(detector)


def judged(name: str, number: int, rounds: Sequence[Sequence[Heard]]) -> Verdict:
    """The verdict on what the last of these rounds, after this poison, and the rounds before it teach."""
    *earlier, last = rounds
    by_name = {one.session.id: one for round_ in rounds for one in round_}
    ear = energy()
    ear.remember(by_name.values())
    before = reviewed((one.session for round_ in earlier for one in round_), Report())
    new = reviewed((POISONS | {"good": as_it_is})[name](last, np.random.default_rng([SEED, number])), Report())
    taught = lessons([*before, *new], lessons(before, {}).splits)

    def read(session: Reviewed) -> tuple[Samples, int]:
        return by_name[session.name].audio

    examples = [Example(one.name, by_name[one.name].frames, one.calls, one.unsure) for one in taught.learned]
    try:
        rules = fit(examples, DETECTOR, ear.strengths, ear.fixed_cut)
    except InputError as error:
        return Verdict(False, f"nothing was learned: {error}", {})
    return judge(ear.with_rules(rules), ear, taught.tested, read, new)


def main() -> None:
    """Both bars, and what was said of each round."""
    if not (DATA / "manifest.tsv").exists():
        print(f"no real data at {DATA}; set PODCAST_DATA", file=sys.stderr)
        return
    kinds = [*("good" for _ in range(ROUNDS)), *(kind for kind in POISONS for _ in range(ROUNDS // len(POISONS)))]
    os.environ["OMP_NUM_THREADS"] = "1"  # two processes for two cores
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        rounds = list(pool.map(listened, range(ROUNDS + EARLIER)))
        numbers = [*range(ROUNDS)] * 2
        verdicts = list(pool.map(judged, kinds, numbers, [rounds[number : number + EARLIER + 1] for number in numbers]))
    for kind in ("good", *POISONS):
        said = Counter(_kind(verdict) for name, verdict in zip(kinds, verdicts, strict=True) if name == kind)
        print(json.dumps({"name": f"gate, {kind} rounds", "said": dict(said.most_common())}), flush=True)
    good, poisoned = (sum(verdict.promoted for verdict in part) for part in (verdicts[:ROUNDS], verdicts[ROUNDS:]))
    print(json.dumps({"name": "good_rounds_of_20_promoted", "value": good, "bar": 16, "holds": good >= 16}))
    print(json.dumps({"name": "poisoned_rounds_of_20_promoted", "value": poisoned, "bar": 0, "holds": poisoned == 0}))


def _kind(verdict: Verdict) -> str:
    """The sentence without the round, the person and the numbers."""
    return re.sub(r"[-+]?\d[\d.]*", "#", verdict.reason.split(": ", 1)[-1] if not verdict.promoted else "promoted")


if __name__ == "__main__":
    main()
