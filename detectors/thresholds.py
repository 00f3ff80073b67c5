"""The probability from which boxes are shown, asked for as "precision:0.9" or "recall:0.95": an answer with its interval, or no.

Everything is measured on boxes of recordings that the scores had not learned from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from podcast.errors import InputError

HeldOut = Sequence[tuple[int, Sequence[tuple[float, int]]]]
"""Of each recording the calls that it holds, and the probability of each box with 1 if it lies on a call, else 0."""

FEWEST_RECORDINGS, FEWEST_BOXES, FEWEST_CALLS = 5, 30, 30
WIDEST = 0.2
"""An interval of precision or recall that is wider says nothing."""
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Threshold:
    """A least probability, and what precision or recall it has, with a 95 % interval (bootstrap over recordings)."""

    least: float
    value: float
    interval: tuple[float, float]


def least_probability(words: str, held_out: HeldOut) -> float:
    """The least probability that `words` ask for: a number from 0 to 1, `precision:0.9` or `recall:0.95`.

    Raises InputError for other words, and where `find` refuses.
    """
    if asked := re.fullmatch(r"(precision|recall):(0?\.\d+|1)", words):
        return find(asked[1], float(asked[2]), held_out).least
    try:
        number = float(words)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise InputError(f"threshold: expected a number from 0 to 1, precision:0.9 or recall:0.95, not {words!r}")
    return number


def find(measure: str, wanted: float, held_out: HeldOut) -> Threshold:
    """The least threshold with at least this precision, or the highest with at least this recall.

    Raises InputError where no threshold reaches it, and where the recordings are too few to know.
    """
    chances = np.array([chance for _, boxes in held_out for chance, _ in boxes])
    right = np.array([lies for _, boxes in held_out for _, lies in boxes], float)
    origin = np.array([number for number, (_, boxes) in enumerate(held_out) for _ in boxes], int)
    calls = np.array([count for count, _ in held_out], float)
    if np.count_nonzero(calls) < FEWEST_RECORDINGS or calls.sum() < FEWEST_CALLS:
        raise InputError(
            f"threshold: {measure} cannot be told from {np.count_nonzero(calls)} recordings with {calls.sum():.0f} calls; "
            f"at least {FEWEST_RECORDINGS} with {FEWEST_CALLS} are needed"
        )

    def counts(least: float) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Of each recording the boxes on calls from `least` on, and all that they are to be divided by."""
        shown = chances >= least
        hits = np.bincount(origin[shown], right[shown], minlength=len(held_out))
        return hits, np.bincount(origin[shown], minlength=len(held_out)) if measure == "precision" else calls

    levels = np.unique(chances)
    for least in levels if measure == "precision" else levels[::-1]:
        hits, of = counts(least)
        if of.sum() and hits.sum() / of.sum() >= wanted:
            break
    else:
        raise InputError(f"threshold: no threshold reaches a {measure} of {wanted:g} on the recordings held out")
    draws = np.random.default_rng(0).integers(0, len(held_out), (DRAWS, len(held_out)))
    low, high = np.quantile(hits[draws].sum(axis=1) / np.maximum(of[draws].sum(axis=1), 1), [0.025, 0.975])
    if of.sum() < FEWEST_BOXES or high - low > WIDEST:
        raise InputError(
            f"threshold: a {measure} of {wanted:g} would lie between {low:.2f} and {high:.2f} at {least:.2f}, too wide to "
            "promise: more recordings are needed"
        )
    return Threshold(float(least), float(hits.sum() / of.sum()), (float(low), float(high)))
