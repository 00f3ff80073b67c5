"""How far annotators agree: event F1 at several overlaps and per-second kappa for each pair, Krippendorff's alpha for a round.

Every measure is a function of sums over sessions, so sessions pass by once and only a few numbers of each are kept. Intervals
come from drawing sessions, not seconds, with replacement: seconds of one minute are not independent. The formulas are checked
against scikit-learn and the `krippendorff` package in the tests (docs/adr/0054).
"""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import numpy.typing as npt

from podcast.model import Review, Session
from podcast.overlap import match
from podcast.reviews import COMPLETED, calls_of, independent

OVERLAPS = (0.3, 0.5, 0.7)
DRAWS = 1000
WORST = 100

Sums = npt.NDArray[np.float64]
Formula = Callable[[Sums], Sums]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number with its 95 % interval; `value` is None where it is undefined (nobody drew a box, or all seconds are alike).

    `annotators` is a pair, or empty for a whole round. `sessions` were seen by both, or by two annotators at least.
    """

    round: str
    annotators: tuple[str, ...]
    name: str
    sessions: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, order=True)
class Disagreement:
    """A session to be looked at again; `score` is 1 less the mean F1 of its pairs at overlap 0.5."""

    score: float
    session_id: str
    round: str
    annotators: tuple[str, ...]


class Agreement:
    """Fill it with `add`, session by session, then read `measures` and `disagreements`.

    Reviews that are `unsure` say neither call nor no call, and are left out.
    """

    def __init__(self) -> None:
        self._pairs: defaultdict[tuple[str, str, str], array[float]] = defaultdict(lambda: array("d"))
        self._rounds: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._worst: list[Disagreement] = []

    def add(self, session: Session) -> None:
        """Take one session; one with less than two sure reviews tells nothing."""
        reviews = [item for item in independent(session) if item.state in COMPLETED]
        if len(reviews) < 2:
            return
        seconds = np.array([seconds_with_calls(review, session.recording.duration_s) for review in reviews])
        scores = []
        for one, other in combinations(range(len(reviews)), 2):
            first, second = reviews[one], reviews[other]
            ones, others = [[item.event for item in calls_of(review.annotations)] for review in (first, second)]
            hits = [len(match(ones, others, threshold)) for threshold in OVERLAPS]
            scores.append(2 * hits[1] / (len(ones) + len(others)) if ones or others else 1.0)
            table = np.bincount(2 * seconds[one] + seconds[other], minlength=4)
            self._pairs[session.round, first.annotator, second.annotator].extend([*hits, len(ones) + len(others), *table])
        yes = seconds.sum(axis=0)
        no = len(reviews) - yes
        self._rounds[session.round].extend([float((yes * no).sum()) / (len(reviews) - 1), float(no.sum()), float(yes.sum())])
        if score := round(1 - sum(scores) / len(scores), 6):
            item = Disagreement(score, session.id, session.round, tuple(review.annotator for review in reviews))
            heapq.heappush(self._worst, item)
            if len(self._worst) > WORST:
                heapq.heappop(self._worst)

    def disagreements(self) -> list[Disagreement]:
        """The sessions with the most disagreement, worst first, at most `WORST`."""
        return sorted(self._worst, key=lambda item: (-item.score, item.session_id))

    def measures(self) -> Iterator[Measure]:
        """All measures, by round, pair and name."""
        for round_name in sorted(self._rounds):
            yield from _measures(round_name, (), _rows(self._rounds[round_name], 3), {"krippendorff_alpha": alpha})
            for (name, one, other), values in sorted(self._pairs.items()):
                if name == round_name:
                    yield from _measures(name, (one, other), _rows(values, len(OVERLAPS) + 5), PAIR_FORMULAS)


def _rows(values: array[float], columns: int) -> Sums:
    return np.array(values).reshape(len(values) // columns, columns)


def seconds_with_calls(review: Review, duration_s: float | None) -> npt.NDArray[np.int64]:
    """1 for each second [k, k+1) of the session that a call touches, else 0; length ceil(duration), 0 if it is unknown."""
    seconds = np.zeros(int(np.ceil(duration_s or 0)), np.int64)
    for item in calls_of(review.annotations):
        seconds[int(item.event.start_s) : int(np.ceil(item.event.end_s))] = 1
    return seconds


def event_f1(sums: Sums) -> Sums:
    """F1 from (matched pairs, boxes of both), along the last axis."""
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * sums[..., 0] / sums[..., 1])


def _columns(formula: Formula, columns: list[int], sums: Sums) -> Sums:
    return formula(sums[..., columns])


def kappa(sums: Sums) -> Sums:
    """Cohen's kappa from the seconds (neither, only the second, only the first, both), along the last axis."""
    neither, second, first, both = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore"):
        total = neither + second + first + both
        observed = (neither + both) / total
        chance = ((both + first) * (both + second) + (neither + first) * (neither + second)) / total**2
        return np.asarray((observed - chance) / (1 - chance))


def alpha(sums: Sums) -> Sums:
    """Krippendorff's alpha (nominal) from the sums over seconds of no·yes/(m-1), no and yes, for m annotators a second.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C, written for two values.
    """
    split, no, yes = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore"):  # where all say the same, split is 0 too, and alpha is undefined
        return np.asarray(1 - (no + yes - 1) * split / (no * yes))


PAIR_FORMULAS: dict[str, Formula] = {
    **{f"event_f1_{overlap}": partial(_columns, event_f1, [column, len(OVERLAPS)]) for column, overlap in enumerate(OVERLAPS)},
    "second_kappa": partial(_columns, kappa, list(range(len(OVERLAPS) + 1, len(OVERLAPS) + 5))),
}


def _measures(round_name: str, annotators: tuple[str, ...], rows: Sums, formulas: dict[str, Formula]) -> Iterator[Measure]:
    """Each formula of the sums over `rows` (one a session), with the spread that drawing other sessions would give."""
    generator = np.random.default_rng(0)
    picks = (generator.integers(0, len(rows), len(rows)) for _ in range(DRAWS))
    drawn = np.array([np.bincount(pick, minlength=len(rows)) @ rows for pick in picks])
    for name, formula in formulas.items():
        value = float(formula(rows.sum(axis=0)))
        if np.isnan(value):
            yield Measure(round_name, annotators, name, len(rows), None, None, None)
            continue
        low, high = np.nanpercentile(formula(drawn), (2.5, 97.5))
        yield Measure(round_name, annotators, name, len(rows), *(round(float(number), 4) for number in (value, low, high)))
