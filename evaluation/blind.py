"""Do boxes lead people? Sessions that were heard blind against sessions that were heard with a model's boxes (docs/adr/0130).

Both are measured alike, by which calls of a person and which boxes of a model touch in time; where a box came from does not
matter. Whether a difference is more than chance is told by dealing each person's sessions anew into blind and shown ones. What so
many sessions can show is known before anybody has answered.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from podcast.model import ModelRun, Review, Session
from podcast.overlap import touches
from podcast.reviews import COMPLETED, calls_of, independent
from podcast.vocabulary import is_call


@dataclass(frozen=True, slots=True)
class Measure:
    """What is compared: in words, and as the ratio of two columns of a table."""

    words: str
    part: int
    whole: int


CALLS, ADDED, CONFIRMED, BOXES, MINUTES, BLIND = range(6)
"""The columns of a table: a row is one review of a session."""
MEASURES = {
    "found": Measure("calls a minute", CALLS, MINUTES),
    "added": Measure("calls a minute that no box touches", ADDED, MINUTES),
    "confirmed": Measure("share of boxes that a call touches", CONFIRMED, BOXES),
}
CHANCE, POWER = 0.05, 0.9
WITH_CALLS = 0.3
"""The share of minutes with calls, where nothing is known of a round."""
DRAWS = 1000
ERRORS = 1.96 + 1.28
"""A difference of so many standard errors is found with a probability of `POWER`."""

Table = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """What a round of so many blind and shown sessions can show, where a share `with_calls` of them has calls.

    `detectable`: people who only check boxes are found with a probability of `POWER` if their model misses this share of the
    sessions with calls; None if they cannot be found at all.
    """

    blind: int
    shown: int
    with_calls: float = WITH_CALLS

    @property
    def least(self) -> int | None:
        """So many sessions with a call that no box touches, all of them blind, are more than chance; None if none are enough."""
        for count in range(1, self.blind + 1):
            if 2 * math.comb(self.blind, count) / math.comb(self.blind + self.shown, count) <= CHANCE:
                return count
        return None

    @property
    def detectable(self) -> float | None:
        """See the class."""
        from scipy.stats import beta  # slow to import

        if not self.with_calls or (least := self.least) is None:
            return None
        share = float(beta.ppf(POWER, least, self.blind - least + 1)) / self.with_calls
        return round(share, 3) if share <= 1 else None

    @property
    def sentence(self) -> str:
        """What this means, for people."""
        known = f"{self.blind} of {self.blind + self.shown} sessions are heard without boxes"
        calls = f"if {100 * self.with_calls:.0f} % of them have calls"
        if (share := self.detectable) is None:
            enough = needed(with_calls=self.with_calls)
            size = f"{enough.blind} of {enough.blind + enough.shown}"
            return f"{known}: too few to show people who only check boxes, {calls}; {size} would be enough."
        return (
            f"{known}: people who only check boxes are found, nine times out of ten, where the model misses "
            f"{100 * share:.0f} % of the sessions with calls or more, {calls}."
        )

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        told = {"blind": self.blind, "shown": self.shown, "with_calls": self.with_calls, "detectable": self.detectable}
        return {**told, "sentence": self.sentence}


def needed(missed: float = 0.1, share: float = 0.1, with_calls: float = WITH_CALLS) -> Design:
    """The smallest round, of which a `share` is blind, that shows people who only check boxes of a model that misses `missed`."""

    def made(blind: int) -> Design:
        return Design(blind, math.ceil(blind / share) - blind, with_calls)

    def is_enough(blind: int) -> bool:
        return (found := made(blind).detectable) is not None and found <= missed

    few, many = 0, 1
    while not is_enough(many):
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if is_enough(middle) else (middle, many)
    return made(many)


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of one annotator (of all, where `annotator` is empty) with one model version.

    `chance` is the probability that dealing the sessions anew makes as large a difference, and `detectable` the difference that
    so many sessions show with a probability of `POWER`. Values are None where nothing was heard, or no box was there.
    """

    annotator: str
    model_version: str
    measure: str
    blind_sessions: int
    shown_sessions: int
    blind: float | None
    shown: float | None
    chance: float | None
    detectable: float | None

    @property
    def words(self) -> str:
        """What is compared."""
        return MEASURES[self.measure].words

    @property
    def led(self) -> bool:
        """Whether boxes made people add less than they do without them, or confirm more, beyond chance."""
        if self.blind is None or self.shown is None or self.chance is None or self.chance > CHANCE:
            return False
        return self.shown < self.blind if self.measure == "added" else self.measure == "confirmed" and self.shown > self.blind


@dataclass(frozen=True, slots=True)
class BlindReport:
    """What a round's blind sessions tell, and what they could have told; nothing is known of the boxes of `without_model` of them
    that were answered."""

    design: Design
    rows: tuple[Compared, ...]
    without_model: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            **self.design.as_dict(),
            "without_model": self.without_model,
            "compared": [{**asdict(row), "led": row.led} for row in self.rows],
        }


class BlindAudit:
    """Fill it with `add`, session by session, then ask for the `report`. Reviews count that say "calls" or "no calls"."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, defaultdict[str, array[float]]] = defaultdict(lambda: defaultdict(lambda: array("d")))
        self._without_model = 0
        self._sessions = [0, 0]

    def add(self, session: Session) -> None:
        """Take one session, answered or not."""
        self._sessions[session.blind] += 1
        if not session.recording.duration_s:
            return
        reviews = [review for review in independent(session) if review.state in COMPLETED]
        if session.blind and reviews and not session.model_runs:
            self._without_model += 1
        for run in session.model_runs:
            detections = [item for item in session.detections if item.model_run == run]
            boxes = [item.event for item in detections if is_call(item.label)]
            for review in reviews:
                began_from = _runs(review)
                blind = session.blind and not began_from
                if not blind and detections and run not in began_from:
                    continue  # it came after the answer, or was not the one that was shown
                calls = [item.event for item in calls_of(review.annotations)]
                added = sum(not touches(call, boxes) for call in calls)
                confirmed = sum(touches(box, calls) for box in boxes)
                counts = (len(calls), added, confirmed, len(boxes), session.recording.duration_s / 60)
                self._rows[str(run)][review.annotator].extend((*counts, blind))

    def report(self, blind: int | None = None, shown: int | None = None) -> BlindReport:
        """Of the sessions that were added; `blind` and `shown` are those of the whole round, where it has more."""
        told = (self._sessions[True] if blind is None else blind, self._sessions[False] if shown is None else shown)
        return BlindReport(Design(*told, self._with_calls()), tuple(self._compared()), self._without_model)

    def _compared(self) -> Iterator[Compared]:
        """By model version all annotators together, then each; those alone who have answered blind and shown sessions."""
        for version in sorted(self._rows):
            tables = {name: _table(rows) for name, rows in sorted(self._rows[version].items())}
            both = {name: table for name, table in tables.items() if 0 < table[:, BLIND].sum() < len(table)}
            if both:
                yield from _compare("", version, list(both.values()))
            for name, table in both.items():
                yield from _compare(name, version, [table])

    def _with_calls(self) -> float:
        """The share of shown sessions with a box, which is known before anybody answers."""
        tables = [_table(rows) for people in self._rows.values() for rows in people.values()]
        boxes = np.concatenate([table[table[:, BLIND] == 0, BOXES] for table in tables]) if tables else np.zeros(0)
        return round(float((boxes > 0).mean()), 3) if boxes.any() else WITH_CALLS


def _runs(review: Review) -> set[ModelRun]:
    """The models whose boxes the reviewer had on the page: accepted, moved or deleted them."""
    return {item.model_run for item in (*review.rejected, *(box.detection for box in review.annotations)) if item}


def _compare(annotator: str, version: str, tables: Sequence[Table]) -> Iterator[Compared]:
    """All measures; each table holds one annotator's sessions, and is dealt anew by itself."""
    generator = np.random.default_rng(0)
    total = np.sum([table.sum(axis=0) for table in tables], axis=0)
    blind = np.sum([table[table[:, BLIND] == 1].sum(axis=0) for table in tables], axis=0)
    dealt = np.zeros((DRAWS, len(total)))
    for table in tables:
        size = int(table[:, BLIND].sum())
        for draw in range(DRAWS):
            dealt[draw] += table[generator.choice(len(table), size, replace=False)].sum(axis=0)
    sessions = int(blind[BLIND])
    others = sum(map(len, tables)) - sessions
    for measure, of in MEASURES.items():
        values = [_ratio(sums, of) for sums in (blind, total - blind)]
        differences = _ratio(dealt, of) - _ratio(total - dealt, of)
        differences = differences[np.isfinite(differences)]
        told: list[float | None] = [None if np.isnan(value) else round(float(value), 4) for value in values]
        chance = detectable = None
        if None not in told and len(differences):
            beyond = np.count_nonzero(np.abs(differences) >= abs(float(values[0] - values[1])) - 1e-12)
            chance, detectable = round((1 + beyond) / (1 + len(differences)), 4), round(ERRORS * float(differences.std()), 4)
        yield Compared(annotator, version, measure, sessions, others, told[0], told[1], chance, detectable)


def _ratio(sums: Table, of: Measure) -> Table:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., of.part] / sums[..., of.whole])


def _table(rows: array[float]) -> Table:
    return np.array(rows).reshape(-1, BLIND + 1)
