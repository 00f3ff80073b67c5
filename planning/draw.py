"""Drawing with probabilities that are known: thinning to sessions that keep their distance, quotas, and a draw of fixed size.

How the probabilities stay right in spite of distance and quotas: docs/adr/0126.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from planning.pool import Numbers

Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
ROUNDS = 200
CLOSE = 1e-9
HOURS = 24


def thin(start_s: Numbers, apart_s: float, worth: Numbers, luck: Numbers) -> tuple[Flags, Numbers]:
    """Which sessions of one node, in order of time, are left so that no two begin less than `apart_s` apart.

    Each session runs for an exponential time of a rate of its `worth`, and stays if it is the first of all around it: the
    probability is exactly its share of the worth there. Gives that worth, shape (sessions,), as well.
    """
    low = np.searchsorted(start_s, start_s - apart_s, side="right")
    high = np.searchsorted(start_s, start_s + apart_s, side="left")
    low, high = np.minimum(low, np.arange(len(low))), np.maximum(high, np.arange(len(high)) + 1)
    with np.errstate(divide="ignore"):
        times = -np.log(luck) / worth
    stays = (times <= window_minima(times, low, high)) & np.isfinite(times)
    sums = np.concatenate([[0.0], np.cumsum(worth)])
    return stays, np.maximum(sums[high] - sums[low], worth)


def window_minima(values: Numbers, low: Whole, high: Whole) -> Numbers:
    """The least of `values[low:high]` for each pair, none of them empty."""
    found = np.empty(len(values))
    level, width = values, 1
    size = high - low
    while len(values):
        here = (size >= width) & (size < 2 * width)
        found[here] = np.minimum(level[low[here]], level[high[here] - width])
        if not (size >= 2 * width).any():
            break
        level, width = np.minimum(level[:-width], level[width:]), 2 * width
    return found


@dataclass(frozen=True, slots=True)
class Quotas:
    """Shares of the sessions by the number of their node, and by the hour of day; other nodes and hours share what is left."""

    nodes: Mapping[int, float] = field(default_factory=dict)
    hours: Mapping[int, float] = field(default_factory=dict)


def factors(table: Numbers, quotas: Quotas, total: float) -> Numbers:
    """What to multiply the cells of a table with, shape (nodes, 24), so that the quotas hold and all cells sum to `total`."""
    factor = np.ones_like(table)
    for _ in range(ROUNDS):
        before = factor.copy()
        for axis, given in ((0, quotas.nodes), (1, quotas.hours)):
            sums = (table * factor).sum(axis=1 - axis)
            wanted = _wanted(sums, given, total)
            change = np.divide(wanted, sums, out=np.zeros_like(sums), where=sums > 0)
            factor *= change[:, None] if axis == 0 else change[None, :]
        if np.allclose(factor, before, rtol=1e-6, atol=0):
            break
    return factor


def _wanted(sums: Numbers, given: Mapping[int, float], total: float) -> Numbers:
    wanted = sums.copy()
    named = [at for at in given if sums[at] > 0]
    rest = np.ones(len(sums), bool)
    rest[list(given)] = False
    told = sum(given[at] for at in named) * total
    others = sums[rest].sum()
    # Where nothing but quotas is left, they share all of it; where they are too much, they share it too.
    scale = total / told if told > total or (told and not others) else 1.0
    for at in given:
        wanted[at] = given[at] * total * scale if sums[at] > 0 else 0.0
    wanted[rest] *= max(total - min(told * scale, total), 0.0) / others if others else 0.0
    return wanted


def chances(around: Numbers, cells: Whole, nodes: int, quotas: Quotas, size: int) -> tuple[Numbers, Numbers]:
    """The probability of drawing each session that was left: in proportion to the worth around it, at most 1, in sum `size`.

    Gives the factor of each node and hour, shape (nodes, 24), too. `cells` are the sessions' places in that table, row by row;
    the quotas hold in it as far as they can. All sessions are certain if there are no more than `size`.
    """
    if len(around) <= size:
        return np.ones(len(around)), np.full((nodes, HOURS), np.inf)
    factor: Numbers = np.full(nodes * HOURS, size / around.sum())
    found = np.minimum(factor[cells] * around, 1.0)
    for _ in range(ROUNDS):
        table: Numbers = np.bincount(cells, found, nodes * HOURS).astype(float).reshape(nodes, HOURS)
        factor = factor * factors(table, quotas, float(size)).ravel()
        found = np.minimum(factor[cells] * around, 1.0)
        if abs(size - found.sum()) < CLOSE * size:
            break
    for _ in range(ROUNDS):  # quotas that cannot be filled leave room to the others
        free = (found < 1) & (found > 0)
        if abs(short := size - found.sum()) < CLOSE * size or not free.any():
            break
        factor *= max(1 + short / found[free].sum(), 0.5)
        found = np.minimum(factor[cells] * around, 1.0)
    return found, factor.reshape(nodes, HOURS)


def systematic(probabilities: Numbers, luck: float) -> Whole:
    """The places that are drawn: each with its probability, as many as these sum to, spread evenly over their order."""
    sums = np.cumsum(probabilities)
    count = round(float(sums[-1])) if len(sums) else 0
    if count:
        sums *= count / sums[-1]  # what rounding left
        sums[-1] = count
    before = np.concatenate([[0.0], sums[:-1]])
    return np.flatnonzero(np.floor(sums - luck + 1) > np.floor(before - luck + 1))
