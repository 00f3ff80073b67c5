"""From a strength per frame to boxes: the rules that every detector with frames shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from podcast.model import SoundEvent

Strength = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EventRules:
    """Times in seconds; strengths in the detector's own unit.

    An event reaches `on_strength` and goes on while frames reach `off_strength` and `share` of its peak, over gaps up to `gap_s`.
    Its box begins and ends `margin_s` outside.
    """

    on_strength: float
    off_strength: float
    share: float
    hop_s: float
    gap_s: float = 0.15
    shortest_s: float = 0.18
    longest_s: float = 5.0
    margin_s: float = 0.06


def events(strength: Strength, rules: EventRules) -> list[tuple[int, int]]:
    """First and last frame of each event, in time order, none overlapping.

    The strongest frame left makes an event with the frames around it; then the next strongest, until none reaches `on_strength`.
    A strong call thus does not swallow the weak ones beside it.
    """
    gap, shortest, longest = (round(s / rules.hop_s) for s in (rules.gap_s, rules.shortest_s, rules.longest_s))
    free = strength.copy()
    found = []
    while len(free) and (peak := float(free[centre := int(free.argmax())])) >= rules.on_strength:
        above = free >= max(rules.off_strength, rules.share * peak)
        first = centre - _reach(above[: centre + 1][::-1][: longest // 2], gap)
        last = centre + _reach(above[centre:][: longest // 2], gap)
        free[first : last + 1] = 0
        if last - first + 1 >= shortest:
            found.append((first, last))
    return sorted(found)


def placed(found: list[tuple[int, int]], rules: EventRules, length_s: float) -> Iterator[SoundEvent]:
    """The events with their margins, cut where they would overlap or leave the recording of `length_s` seconds."""
    return bounded(found, rules.hop_s, rules.margin_s, rules.margin_s, length_s)


def bounded(
    found: list[tuple[int, int]], hop_s: float, before_s: float, after_s: float, length_s: float, first_s: float = 0.0
) -> Iterator[SoundEvent]:
    """The same with a margin of `before_s` and one of `after_s`, for frames of which the first is centred on `first_s`."""
    middles_s = [(last + following) / 2 * hop_s + first_s for (_, last), (following, _) in pairwise(found)]
    borders_s = [0.0, *middles_s, length_s]
    for (first, last), (left_s, right_s) in zip(found, pairwise(borders_s), strict=False):
        yield SoundEvent(max(first * hop_s + first_s - before_s, left_s), min(last * hop_s + first_s + after_s, right_s))


def _reach(above: npt.NDArray[np.bool_], gap: int) -> int:
    """How many frames one can go from the first, which is True, to a True without crossing more than `gap` False ones."""
    hits = np.flatnonzero(above)
    breaks = np.flatnonzero(np.diff(hits) > gap + 1)
    return int(hits[breaks[0]] if len(breaks) else hits[-1])
