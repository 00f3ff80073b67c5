"""The next round: a mix of uncertain, likely, unlike and random sessions of a pool, each chosen with a known probability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from planning.draw import HOURS, Flags, Quotas, Whole, chances, factors, systematic, thin
from planning.interest import PARTS, RANDOM, Kinds, find_kinds, weights
from planning.pool import Chunk, Numbers, Pool
from podcast.errors import InputError
from podcast.model import Planned

DEFAULT_GAP_S = 600.0
DEFAULT_BLIND = 0.1
DIGITS = 9
"""Of a probability in the plan."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a round shall be like. `shares` are those of `PARTS`; `nodes` and `hours` are shares of the round, by node and by hour
    of day at the hydrophones; what they do not name is as in the pool. With `even_nodes` and `even_hours` all get the same."""

    size: int
    shares: Numbers
    gap_s: float = DEFAULT_GAP_S
    nodes: Mapping[str, float] = field(default_factory=dict)
    hours: Mapping[int, float] = field(default_factory=dict)
    even_nodes: bool = False
    even_hours: bool = False
    blind: float = DEFAULT_BLIND
    seed: int = 0

    def quotas(self, nodes: list[str]) -> Quotas:
        """The same by the number of a node. Raises InputError for one that the pool does not have."""
        if unknown := sorted(self.nodes.keys() - set(nodes)):
            raise InputError(f"the pool has no session of {unknown[0]!r} that could be chosen; it has {', '.join(nodes)}")
        by_node = {nodes.index(name): share for name, share in self.nodes.items()}
        if self.even_nodes:
            by_node = dict.fromkeys(range(len(nodes)), 1 / len(nodes))
        return Quotas(by_node, dict.fromkeys(range(HOURS), 1 / HOURS) if self.even_hours else self.hours)


@dataclass(frozen=True, slots=True)
class Choice:
    """A session of the round; `chance` is the probability of a call that a detector gave it, None where none listened.

    `blind` sessions come without predictions (docs/adr/0129).
    """

    name: str
    node: str
    start: datetime | None
    duration_s: float
    source: str
    chance: float | None
    planned: Planned
    blind: bool = False


@dataclass(slots=True)
class _Survey:
    """What reading a pool once tells: sums of the parts by node and hour, shape (parts, nodes, 24); sizes by node and month."""

    nodes: list[str] = field(default_factory=list)
    sums: Numbers = field(default_factory=lambda: np.zeros((len(PARTS), 0, HOURS)))
    sizes: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Mixed:
    """The parts of the mix with their shares, and a balance by node and hour that makes the quotas hold in the whole pool."""

    pool: Pool
    kinds: Kinds
    survey: _Survey
    rates: Numbers
    balance: Numbers
    gap_s: float

    def thinned(self) -> Iterator[tuple[Chunk, Numbers, Flags, Numbers]]:
        """Each chunk with the worth of its sessions by part, which of them keep their distance, and the worth around each."""
        for chunk in self.pool.chunks(self.gap_s + max(map(self.pool.longest_s, self.survey.nodes))):
            cell = self.balance[self.survey.nodes.index(chunk.node)][chunk.hours()]
            parts = weights(chunk, self.kinds) * self.rates[:, None] * cell
            worth = parts.sum(axis=0)
            if chunk.month:
                apart_s = self.gap_s + self.pool.longest_s(chunk.node)
                yield chunk, parts, *thin(chunk.numbers("start_s"), apart_s, worth, chunk.numbers("luck"))
            else:
                yield chunk, parts, worth > 0, worth


@dataclass(slots=True)
class _Left:
    """The sessions that keep their distance: the worth around each, its cell of node and hour, and its number in the pool.

    By node and month: `faintest` has the least worth of a session of each hour, `crowded` the least share that one has of what is
    around it.
    """

    around: Numbers
    cells: Whole
    numbers: Whole
    faintest: dict[tuple[str, str], Numbers]
    crowded: dict[tuple[str, str], float]

    def least(self, nodes: list[str], factor: Numbers) -> dict[tuple[str, str], float]:
        """The least probability that a session had, by node and month."""
        found = {}
        for (node, month), worth in self.faintest.items():
            there = np.isfinite(worth)
            with np.errstate(invalid="ignore"):
                lowest = np.nan_to_num(worth[there] * factor[nodes.index(node)][there], nan=0.0).min()
            found[node, month] = min(float(lowest), self.crowded[node, month], 1.0)
        return found


def plan(pool: Pool, wishes: Wishes) -> tuple[list[Choice], list[str]]:
    """The sessions of the round in the order in which they are to be heard, and what could not be as it was wished, in words.

    The order is random, so that what is heard first is a smaller round of the same kind. Raises InputError for wishes that the
    pool cannot fulfil at all.
    """
    kinds = find_kinds(pool)
    survey = _survey(pool, kinds)
    if not survey.nodes:
        raise InputError("the pool holds no session that could be chosen: it is empty, or rounds and releases have all of it")
    rates, notes = _rates(survey, wishes)
    quotas = wishes.quotas(survey.nodes)
    mass: Numbers = np.tensordot(rates, survey.sums, axes=1).astype(float)
    balance = factors(mass, quotas, 1.0)
    mixed = _Mixed(pool, kinds, survey, rates, balance, wishes.gap_s)
    left = _left(mixed)
    drawn, factor = chances(left.around, left.cells, len(survey.nodes), quotas, wishes.size)
    at = systematic(drawn, pool.luck("", "draw"))
    if len(at) < wishes.size:
        notes.append(f"{wishes.size} sessions were asked for, and {len(at)} of the pool lie {wishes.gap_s:g} s apart: see --gap")
    picked = {int(left.numbers[place]): float(drawn[place]) for place in at}
    choices = list(_choices(mixed, picked, factor, left.least(survey.nodes, factor)))
    choices.sort(key=lambda choice: (pool.luck("order", choice.name), choice.name))
    return with_blind(choices, pool, wishes.blind), notes


def choice_of(chunk: Chunk, at: int, planned: Planned) -> Choice:
    """One session of a chunk, chosen."""
    name, start_s, duration_s, source, chance = (
        chunk.columns[column][at] for column in ("name", "start_s", "duration_s", "source", "chance")
    )
    start = None if start_s is None else datetime.fromtimestamp(start_s, UTC)
    return Choice(name, chunk.node, start, duration_s, source, chance, planned)


def with_blind(choices: list[Choice], pool: Pool, share: float) -> list[Choice]:
    """The same; a share of them, chosen by nothing else than luck, comes without predictions."""
    order = sorted(range(len(choices)), key=lambda at: (pool.luck("blind", choices[at].name), at))
    blind = set(order[: round(share * len(choices))])
    return [replace(choice, blind=at in blind) for at, choice in enumerate(choices)]


def _survey(pool: Pool, kinds: Kinds) -> _Survey:
    found, sums = _Survey(), list[Numbers]()
    for chunk in pool.chunks():
        if chunk.node not in found.nodes:
            found.nodes.append(chunk.node)
            sums.append(np.zeros((len(PARTS), HOURS)))
        hours = chunk.hours()
        for part, worth in enumerate(weights(chunk, kinds)):
            sums[-1][part] += np.bincount(hours, worth, HOURS)
        found.sizes[chunk.node, chunk.month] += len(chunk)
    if sums:
        found.sums = np.stack(sums, axis=1)
    return found


def _rates(survey: _Survey, wishes: Wishes) -> tuple[Numbers, list[str]]:
    """What a session's weight in each part counts, and which parts have nothing to choose from. Raises InputError if all have."""
    there = survey.sums.sum(axis=(1, 2))
    shares = np.where(there > 0, wishes.shares, 0.0)
    lost = [part for part, share, sum_ in zip(PARTS, wishes.shares, there, strict=True) if share and not sum_]
    words = f"nothing in the pool is known to be {' or '.join(lost)}"
    if not shares.sum():
        raise InputError(f"{words}, and no other part of the mix has a share")
    rates = np.divide(shares / shares.sum(), there, out=np.zeros_like(there), where=there > 0)
    return rates, [f"{words}: the other parts of the mix take that share"] if lost else []


def _left(mixed: _Mixed) -> _Left:
    around, cells, numbers = list[Numbers](), list[Whole](), list[Whole]()
    faintest: dict[tuple[str, str], Numbers] = {}
    crowded: dict[tuple[str, str], float] = {}
    before = 0
    for chunk, parts, stays, near in mixed.thinned():
        own, key = chunk.own, (chunk.node, chunk.month)
        worth, beside, hours, kept = parts.sum(axis=0)[own], near[own], chunk.hours()[own], stays[own]
        around.append(beside[kept])
        cells.append(mixed.survey.nodes.index(chunk.node) * HOURS + hours[kept])
        numbers.append(before + np.flatnonzero(kept))
        before += len(worth)
        np.minimum.at(faintest.setdefault(key, np.full(HOURS, np.inf)), hours, worth)
        share = np.divide(worth, beside, out=np.zeros(len(worth)), where=beside > 0).min()
        crowded[key] = min(crowded.get(key, 1.0), float(share))
    return _Left(np.concatenate(around), np.concatenate(cells), np.concatenate(numbers), faintest, crowded)


def _choices(
    mixed: _Mixed, picked: Mapping[int, float], factor: Numbers, least: Mapping[tuple[str, str], float]
) -> Iterator[Choice]:
    before, nodes = 0, mixed.survey.nodes
    for chunk, parts, _, near in mixed.thinned():
        own = np.flatnonzero(chunk.own)
        here = [(at, picked[number]) for number, at in enumerate(own.tolist(), before) if number in picked]
        before += len(own)
        hours, key = chunk.hours(), (chunk.node, chunk.month)
        for at, drawn in here:
            worth = parts[:, at]
            probability = min(float(worth.sum() / near[at]) * drawn, 1.0)
            luck = mixed.pool.luck("reason", chunk.columns["name"][at])
            reason = _reason(worth, float(factor[nodes.index(chunk.node)][hours[at]]) / probability, luck)
            told = Planned(reason, round(probability, DIGITS), round(least[key], DIGITS) or None, mixed.survey.sizes[key])
            yield choice_of(chunk, at, told)


def _reason(worth: Numbers, factor: float, luck: float) -> str:
    """The part that chose a session: at random, all of one node and hour have the same probability, however much the other parts
    want one of them; these share the rest by what it is worth to them."""
    at = PARTS.index(RANDOM)
    by_luck = min(worth[at] * factor, 1.0) if np.isfinite(factor) else worth[at] / worth.sum()
    others = np.delete(worth, at)
    if luck < by_luck or not others.sum():
        return RANDOM
    place = np.searchsorted(np.cumsum(others) / others.sum(), (luck - by_luck) / (1 - by_luck))
    return [part for part in PARTS if part != RANDOM][min(int(place), len(others) - 1)]
