"""Does the audit of blind sessions find people who only check boxes, in rounds of the size that it asks for, and nobody else?

A detector hides 10 % of the calls (each alone, or all calls of a tenth of the minutes that have any) from three people who hear
95 % of the calls in a blind minute; in the others they accept what is right, delete what is wrong and add nothing. Once more with
people who add what they hear: they must not be found. Prints one JSON object a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from evaluation.blind import BlindAudit, Design, needed
from podcast.model import (
    Annotation,
    Certainty,
    Detection,
    ModelRun,
    Outcome,
    Recording,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)

ROUNDS, SEED = 100, 12
WITH_CALLS, CALLS_MORE, HIDDEN, HEARD, FALSE_BOXES = 0.3, 3.0, 0.1, 0.95, 0.4
PEOPLE = ("ann", "ben", "cy")
RUN = ModelRun("hides", "1")


def simulated(design: Design, chance: np.random.Generator, *, together: bool, checks_only: bool) -> Iterator[Session]:
    """A reviewed round. The detector hides the calls of a minute `together`, or each by itself."""
    for number in range(design.blind + design.shown):
        blind = number < design.blind
        count = 1 + chance.poisson(CALLS_MORE) if chance.random() < design.with_calls else 0
        calls = [SoundEvent(start, start + 1.0) for start in np.sort(chance.choice(58, count, replace=False))]
        hidden = np.full(count, chance.random() < HIDDEN) if together else chance.random(count) < HIDDEN
        right = [_detection(call) for call, gone in zip(calls, hidden, strict=True) if not gone]
        wrong = [_detection(SoundEvent(start, start + 0.4)) for start in chance.uniform(0, 59, chance.poisson(FALSE_BOXES))]
        wrong = [item for item in wrong if not any(_touch(item.event, call) for call in calls)]
        heard = chance.random(count) < HEARD
        name = PEOPLE[chance.integers(len(PEOPLE))]
        if blind:
            boxes = [_added(call, name, chance) for call, told in zip(calls, heard, strict=True) if told]
            review = _review(name, boxes)
        else:
            boxes = [Annotation(item.event, "Call", Certainty.CERTAIN, name, Outcome.ACCEPTED, item) for item in right]
            if not checks_only:
                told = heard & hidden
                boxes += [_added(call, name, chance) for call, known in zip(calls, told, strict=True) if known]
            review = _review(name, boxes, wrong)
        detections = tuple(sorted([*right, *wrong]))
        yield Session(f"s{number}", Recording("", duration_s=60.0), "", "r", detections, (RUN,), (review,), blind=blind)


def _detection(event: SoundEvent) -> Detection:
    return Detection(event, "Call", 0.9, RUN)


def _touch(one: SoundEvent, other: SoundEvent) -> bool:
    return one.start_s < other.end_s and other.start_s < one.end_s


def _added(call: SoundEvent, name: str, chance: np.random.Generator) -> Annotation:
    early, late = chance.normal(0, 0.1, 2).clip(-0.3, 0.3)
    event = SoundEvent(max(0.0, call.start_s + early), call.end_s + late)
    return Annotation(event, "Call", Certainty.CERTAIN, name, Outcome.ADDED)


def _review(name: str, boxes: list[Annotation], rejected: list[Detection] | None = None) -> Review:
    return Review(name, ReviewState.CALLS if boxes else ReviewState.NO_CALLS, tuple(boxes), tuple(rejected or ()))


def found(rounds: int, seed: int, *, together: bool, checks_only: bool) -> int:
    """In how many of so many simulated rounds the audit says that people were led."""
    design, count = needed(HIDDEN, 0.1, WITH_CALLS), 0
    for number in range(rounds):
        audit, chance = BlindAudit(), np.random.default_rng([seed, number])
        for session in simulated(design, chance, together=together, checks_only=checks_only):
            audit.add(session)
        count += any(row.led for row in audit.report().rows if not row.annotator and row.measure == "added")
    return count


def main() -> None:
    """Print what was found."""
    size = needed(HIDDEN, 0.1, WITH_CALLS)
    asked = {"blind": size.blind, "sessions": size.blind + size.shown}
    for name, together in (("each call", False), ("all calls of a minute", True)):
        value = found(ROUNDS, SEED, together=together, checks_only=True)
        told = {"name": f"blind: led people found, 10 % hidden, {name}", "value": value, "bar": 80, "holds": value >= 80, **asked}
        print(json.dumps(told))
    value = found(ROUNDS, SEED, together=False, checks_only=False)
    print(json.dumps({"name": "blind: careful people accused", "value": value, "bar": 10, "holds": value <= 10, **asked}))


if __name__ == "__main__":
    main()
