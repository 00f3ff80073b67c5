"""The mix of a round: what makes a session worth a volunteer's minute, each part by itself (docs/adr/0125)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from sklearn.neighbors import NearestNeighbors

from planning.pool import PART, Chunk, Numbers, Pool
from podcast.errors import InputError

UNCERTAIN, LIKELY, UNLIKE, RANDOM = PARTS = ("uncertain", "likely", "unlike", "random")
DEFAULT_SHARES = {UNCERTAIN: 0.35, LIKELY: 0.25, UNLIKE: 0.05, RANDOM: 0.35}
SHARPNESS = 4
"""The power of a probability by which likely sessions are preferred: else a year of faint chances outweighs its few calls."""
KINDS = 32
SAMPLE = 5000
"""Sessions among which the examples of the kinds are looked for."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """How many sessions of the pool sound like each other, by kind, and how many of each kind were heard already."""

    sizes: Numbers
    heard: Numbers

    def unlike(self, kind: Numbers, known: Numbers) -> Numbers:
        """Of sessions by their kind: each kind has the same weight in all, less by those of it that were heard."""
        if not self.sizes.any():
            return np.zeros(len(kind))
        weights = 1 / (np.maximum(self.sizes, 1) * (1 + self.heard))
        return np.where(known, weights[kind.astype(int)], 0.0)


def find_kinds(pool: Pool) -> Kinds:
    """Sort the sessions whose sound is known into kinds, and note each one's kind in the pool.

    The example of each kind is the session that is least like the examples before it: so a kind is a region of sounds, however
    many sessions it has, and a rare sound is one of its own.
    """
    sample = np.concatenate([sounds for _, sounds, _ in islice(pool.vectors(), SAMPLE // PART)] or [np.zeros((0, 1))])
    if len(sample) < 2 * KINDS:
        return Kinds(np.zeros(0), np.zeros(0))
    mean, scale = sample.mean(axis=0), np.maximum(sample.std(axis=0), 1e-6)
    model = NearestNeighbors(n_neighbors=1).fit(_apart((sample - mean) / scale, KINDS))
    sizes, heard = np.zeros(KINDS), np.zeros(KINDS)
    for names, sounds, known in pool.vectors():
        found = model.kneighbors((sounds - mean) / scale, return_distance=False)[:, 0]
        pool.put_kinds(names, found)
        sizes += np.bincount(found[~known], minlength=KINDS)
        heard += np.bincount(found[known], minlength=KINDS)
    return Kinds(sizes, heard)


def _apart(points: Numbers, count: int) -> Numbers:
    """So many of the points, the first one and then always the one that lies furthest from all before it."""
    chosen, distance = [0], np.full(len(points), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(distance.argmax()))
    return points[chosen]


def weights(chunk: Chunk, kinds: Kinds) -> Numbers:
    """What each part of the mix makes of each session, 0 and up, shape (parts, sessions)."""
    known = np.array([kind is not None for kind in chunk.columns["kind"]], bool)
    return np.stack(
        [
            chunk.numbers("doubt"),
            chunk.numbers("chance") ** SHARPNESS,
            kinds.unlike(chunk.numbers("kind"), known),
            np.ones(len(chunk)),
        ]
    )


def shares_of(given: Mapping[str, float]) -> Numbers:
    """The share of each part, in the order of `PARTS`: those that were given, the defaults for the others, in sum 1.

    Raises InputError if what was given sums to more than 1, or to nothing.
    """
    if unknown := sorted(given.keys() - set(PARTS)):
        raise InputError(f"the mix has no part {unknown[0]!r}; it has {', '.join(PARTS)}")
    told = sum(given.values())
    rest = sum(share for part, share in DEFAULT_SHARES.items() if part not in given)
    if told > 1 + 1e-9 or (not rest and abs(told - 1) > 1e-9):
        raise InputError(f"the shares of {', '.join(PARTS)} sum to {told:g}, expected 1")
    left = max(1 - told, 0.0)
    return np.array([given.get(part, left * DEFAULT_SHARES[part] / rest if rest else 0.0) for part in PARTS])
