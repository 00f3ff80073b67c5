"""What the sea holds: minutes with calls by node and month, from sessions that a plan chose with known probabilities.

How the interval keeps its promise, with no call found at all too: docs/adr/0127.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scipy.special import gammaincinv

from podcast.model import ReviewState, Session
from podcast.reviews import COMPLETED, consensus

LEVEL = 0.95
MINUTE_S = 60.0
ANSWERED = (*COMPLETED, ReviewState.UNSURE)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An answered session: its length in minutes, the probability with which it was chosen, the least that any session beside it
    had, how many there were beside it, and what people said."""

    minutes: float
    probability: float
    least: float
    pool: int
    state: ReviewState


@dataclass(frozen=True, slots=True)
class Estimate:
    """Minutes with calls among the `pool` sessions of a node and month that a round was planned from.

    `answered` sessions were heard, `with_calls` of them have calls, and of `unsure` nobody knows. The interval from `low` to
    `high` holds the truth with a probability of at least 95 %.
    """

    round: str
    node: str
    month: str
    pool: int
    answered: int
    with_calls: int
    unsure: int
    minutes: float
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True)
class MinutesWithCalls:
    """Collects sessions as they pass by. Those that no plan chose, or one without a random part, say nothing of the sea."""

    _planned: Counter[str] = field(default_factory=Counter)
    _drawn: dict[tuple[str, str, str], list[Drawn]] = field(default_factory=dict)

    def add(self, session: Session) -> None:
        """Take one session of a round; those that nobody has answered count as left to do."""
        planned, recording = session.planned, session.recording
        if planned is None or planned.probability is None or planned.least is None or planned.pool is None:
            return
        self._planned[session.round] += 1
        state = consensus(session).state
        if state in ANSWERED:
            minutes = (recording.duration_s or MINUTE_S) / MINUTE_S
            month = f"{recording.start:%Y-%m}" if recording.start else ""
            item = Drawn(minutes, planned.probability, min(planned.least, planned.probability), planned.pool, state)
            self._drawn.setdefault((session.round, recording.source_guid, month), []).append(item)

    def rows(self, sizes: Mapping[str, int] | None = None) -> list[Estimate]:
        """By round, node and month. `sizes` says how many sessions a round has, where not all of them were added."""
        answered = Counter[str]()
        for (name, _, _), drawn in self._drawn.items():
            answered[name] += len(drawn)
        found = []
        for (name, node, month), drawn in sorted(self._drawn.items()):
            heard = answered[name] / max((sizes or {}).get(name, 0), self._planned[name])
            minutes, low, high = minutes_with_calls(drawn, heard)
            counts = Counter(item.state for item in drawn)
            pool = max(item.pool for item in drawn)
            told = (len(drawn), counts[ReviewState.CALLS], counts[ReviewState.UNSURE])
            found.append(Estimate(name, node, month, pool, *told, *(round(value, 1) for value in (minutes, low, high))))
        return found


def minutes_with_calls(drawn: Sequence[Drawn], heard: float = 1.0) -> tuple[float, float, float]:
    """The estimate for the pool that these were drawn from, and its interval.

    `heard` is the share of the round that people have answered: its order is random, so it is a factor of every probability.
    Sessions of which nobody was sure count as without calls for the lower end, and as with calls for the upper one.
    """
    sure = [item for item in drawn if item.state is ReviewState.CALLS]
    perhaps = [item for item in drawn if item.state in (ReviewState.CALLS, ReviewState.UNSURE)]
    longest = max(item.minutes for item in drawn)
    total, spread = _sums(sure, heard)
    low = _quantile(total, spread, (1 - LEVEL) / 2)
    # A call that the draw passed over could have been a session of the least probability: it weighs as much as it would take for
    # none of its kind to be drawn.
    least = min(item.least for item in drawn) * heard
    unseen = longest / -math.log1p(-least) if least < 1 else 0.0
    most, most_spread = _sums(perhaps, heard)
    high = _quantile(most + unseen, most_spread + unseen**2, (1 + LEVEL) / 2)
    pool = max(item.pool for item in drawn) * longest
    seen = sum(item.minutes for item in sure)
    answered = [item for item in drawn if item.state in COMPLETED]
    middle = total * len(drawn) / len(answered) if answered else total
    return min(middle, pool), min(max(low, seen), pool), min(max(high, seen), pool)


def _quantile(mean: float, variance: float, level: float) -> float:
    """Of the gamma distribution with this mean and variance; the mean itself without any."""
    return float(gammaincinv(mean**2 / variance, level)) * variance / mean if variance else mean


def _sums(drawn: Sequence[Drawn], heard: float) -> tuple[float, float]:
    """The weighted minutes, and their variance if each had been drawn by itself."""
    weights = [(item.minutes / (item.probability * heard), 1 - item.probability * heard) for item in drawn]
    return sum(weight for weight, _ in weights), sum(weight**2 * left for weight, left in weights)
