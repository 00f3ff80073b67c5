"""Where a detector may have passed calls over: near what people reported, at the next hydrophones, and where it sounds alike.

How the three are weighed: docs/adr/0128.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from detectors.frames import FEATURES
from detectors.impression import Heard
from detectors.rules import BoxRules
from planning.plan import Choice, choice_of
from planning.pool import Chunk, Numbers, Pool
from podcast.model import Planned
from podcast.nodes import find_node

REPORTED, NEIGHBOUR, ALIKE = CLUES = ("reported", "neighbour", "alike")
BESIDE, PASSING = 0.8, 0.5
"""What a report says at most of a minute beside it, and of one at another hydrophone."""
FADES_S = 600.0
"""At this distance in time a report says e times less of a minute."""
LATER = 2.0
"""Minutes after a report are as if they were so much further away: people report what they have just heard."""
PASSAGE_S = 1800.0
"""The same for another hydrophone, which whales pass sooner or later."""
FADES_KM = 20.0
COMPARED = ("peak", "length", "roughness", "octaves", "spread", "bands", "top")
"""The features that tell one sound from another, and not how loud it is or what is around it."""
ANY_CALL = 0.5
"""What an event counts that is like a call, and like none of the examples."""
EARTH_KM = 6371.0


@dataclass(frozen=True, slots=True)
class Clue:
    """A call that people know of, at a node, from a moment to another (UTC)."""

    node: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Examples:
    """Sounds to look for, by their features (shape (examples, features)), in units of the spread that `rules` knows."""

    rules: BoxRules
    features: list[tuple[float, ...]] = field(default_factory=list)

    def alike(self, events: Iterable[Heard]) -> float:
        """How like one of the examples an event is at most, from 0 to 1; how much it is like any call counts too."""
        told = [event for event in events if event.features]
        if not told or not len(self.features):
            return 0.0
        at = [FEATURES.index(name) for name in COMPARED]
        scale = np.array(self.rules.score.scale)[at]
        found, known = (np.array(rows)[:, at] / scale for rows in ([event.features for event in told], self.features))
        distance = ((found[:, None] - known) ** 2).sum(axis=2).min(axis=1)
        likely = np.array([event.chance for event in told])
        return float((likely * (ANY_CALL + (1 - ANY_CALL) * np.exp(-distance / 2))).max())


def missed(pool: Pool, clues: Sequence[Clue], size: int) -> list[Choice]:
    """The sessions of the pool in which calls were most likely passed over, the most likely first, at most `size`.

    Nothing is left to chance here, so they have no probability. The reason is what speaks most for each.
    """
    found: list[tuple[float, str, Choice]] = []
    for chunk in pool.chunks():
        hints = np.stack([*_near(chunk, clues), chunk.numbers("alike")])
        scores = 1 - np.prod(1 - np.clip(hints, 0, 1), axis=0)
        reasons = hints.argmax(axis=0)
        found += [
            (-float(scores[at]), chunk.columns["name"][at], choice_of(chunk, int(at), Planned(CLUES[reasons[at]])))
            for at in np.flatnonzero(scores > 0)
        ]
        found = sorted(found, key=lambda item: item[:2])[:size]
    return [choice for *_, choice in found]


def _near(chunk: Chunk, clues: Sequence[Clue]) -> tuple[Numbers, Numbers]:
    """How much reports at the same node, and those at others, say of each session, from 0 to 1."""
    own, other = np.zeros(len(chunk)), np.zeros(len(chunk))
    if not chunk.month:
        return own, other
    middle_s = chunk.numbers("start_s") + chunk.numbers("duration_s") / 2
    for clue in clues:
        before, after = clue.start.timestamp() - middle_s, middle_s - clue.end.timestamp()
        if clue.node == chunk.node:
            np.maximum(own, BESIDE * np.exp(-np.maximum(np.maximum(before, LATER * after), 0) / FADES_S), out=own)
        elif (distance_km := apart_km(clue.node, chunk.node)) is not None:
            near = PASSING * np.exp(-np.maximum(np.maximum(before, after), 0) / PASSAGE_S) * math.exp(-distance_km / FADES_KM)
            np.maximum(other, near, out=other)
    return own, other


def apart_km(one: str, other: str) -> float | None:
    """The distance of two nodes, none of which is far; None where the table does not tell a place."""
    a, b = find_node(one), find_node(other)
    if a.latitude is None or b.latitude is None or a.longitude is None or b.longitude is None:
        return None
    north, east = math.radians(b.latitude - a.latitude), math.radians(b.longitude - a.longitude)
    return EARTH_KM * math.hypot(north, east * math.cos(math.radians(a.latitude + b.latitude) / 2))
