"""Whether what people said can be right: their boxes beside those of the detector in service, and beside what others said.

A round's own held-out sessions cannot tell: their labels are shifted, swapped or emptied with all the others. So the labels of
every new round, and of everybody who reviewed in it, are held against the sounds, which nobody can shift, and against what was
said in held-out sessions of other rounds, or by other people (docs/adr/0121).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.frames import Numbers
from evaluation.edits import EDGE_S, Edits, edits
from evaluation.scoring import bootstrap_interval
from podcast.model import Detection, SoundEvent
from podcast.overlap import Stretch, touches
from training.reviewed import Reviewed

FEWEST_SESSIONS, FEWEST_CALLS, FEWEST_BOXES = 5, 10, 20
"""Of a round or a person; from less nothing follows."""
HOP_S = 0.05
FURTHEST_S, APART_S = 15.0, 2.0
"""How far labels are moved to see where they fit best; from `APART_S` on, they fit by chance alone."""
CHANCE = 6.0
"""So many standard deviations above chance must labels fit the sounds; those of a careful round reach 18 and more."""
EXPECTED = 10.0
"""Boxes that others would have found right, or changed; from fewer nothing follows."""
LOST = 0.5
"""Boxes of the detector lie on calls at least this often, measured by how often others found calls under them."""
UNCHANGED = 0.25
"""At least this share of the boxes was changed that others would have changed."""


@dataclass(frozen=True, slots=True)
class Said:
    """What people said of a session of `seconds`, and the boxes that the detector in service shows in it."""

    session: Reviewed
    boxes: tuple[Detection, ...]
    seconds: float

    @property
    def edits(self) -> Edits:
        """What turns the boxes into what people said."""
        return edits(settled([box.event for box in self.boxes], self.session), self.session.calls, self.seconds)


def settled(boxes: Sequence[SoundEvent], session: Reviewed) -> list[SoundEvent]:
    """The boxes but for those on what nobody was sure of, which are neither right nor wrong."""
    return [box for box in boxes if touches(box, session.calls) or not touches(box, session.unsure)]


def doubts(new: Sequence[Said], held_out: Sequence[Said]) -> Iterator[str]:
    """Why labels of `new` sessions cannot be right, a sentence for each round or person and fault."""
    for name in sorted(set().union(*(_belongs(one.session) for one in new))):
        group = [one for one in new if name in _belongs(one.session)]
        others = [one for one in held_out if name not in _belongs(one.session)]
        if len(group) >= FEWEST_SESSIONS:
            yield from (f"{name}: {doubt}" for doubt in (*_against_sounds(group), *_against_others(group, others)))


def _belongs(session: Reviewed) -> set[str]:
    """The round and the people that a session belongs to, in words."""
    return {f"round {session.round}", *(f"annotator {name}" for name in session.annotators)}


def _against_sounds(group: Sequence[Said]) -> Iterator[str]:
    calls, boxes = (sum(map(len, found)) for found in zip(*((one.session.calls, one.boxes) for one in group), strict=True))
    if calls < FEWEST_CALLS or boxes < FEWEST_BOXES:
        return
    moved_s, fits = fit_by_shift(group)
    if not len(moved_s):
        return
    best_s, here = float(moved_s[fits.argmax()]), np.abs(moved_s) <= EDGE_S
    if fits.max() >= CHANCE and abs(best_s) > EDGE_S:
        side = "after" if best_s > 0 else "before"
        yield f"{calls} calls lie {abs(best_s):.2f} s {side} the sounds that the detector hears"
    elif fits[here].max() < CHANCE:
        yield f"{calls} calls lie on what the detector hears no more often than by chance; were sessions mixed up?"


def fit_by_shift(group: Sequence[Said]) -> tuple[Numbers, Numbers]:
    """By how many seconds the detector's boxes are moved, of shape (shifts,), and how well labels fit them then: in standard
    deviations above what shifts of `APART_S` and more give by chance. Empty for recordings that are too short to tell."""
    furthest = int(min(FURTHEST_S, *(one.seconds / 2 - HOP_S for one in group)) / HOP_S)  # no further than round its recording
    if furthest * HOP_S < 2 * APART_S:
        return np.zeros(0), np.zeros(0)
    fits = np.zeros(2 * furthest + 1)
    for one in group:
        count = round(one.seconds / HOP_S)
        said = _drawn(count, one.session.calls, [1.0] * len(one.session.calls))
        shown = _drawn(count, [box.event for box in one.boxes], [box.confidence for box in one.boxes])
        whole = np.fft.irfft(np.fft.rfft(said) * np.conj(np.fft.rfft(shown - shown.mean())), count)
        fits += np.roll(whole, furthest)[: 2 * furthest + 1]
    moved_s = HOP_S * np.arange(-furthest, furthest + 1, dtype=np.float64)
    apart = fits[np.abs(moved_s) >= APART_S]
    above: Numbers = (fits - apart.mean()) / max(float(apart.std()), 1e-9)
    return moved_s, above


def _drawn(count: int, events: Sequence[Stretch], weights: Sequence[float]) -> Numbers:
    line = np.zeros(count)
    for event, weight in zip(events, weights, strict=True):
        first = round(event.start_s / HOP_S)
        line[first : max(round(event.end_s / HOP_S), first + 1)] = weight
    return line


def _against_others(group: Sequence[Said], others: Sequence[Said]) -> Iterator[str]:
    if len(others) < FEWEST_SESSIONS:
        return
    own, theirs = [one.edits for one in group], [one.edits for one in others]
    usual, found = _on_calls(theirs), _on_calls(own)
    if usual is not None and found is not None and usual * sum(map(_shown, own)) >= EXPECTED:
        interval = bootstrap_interval(lambda members: _on_calls([own[at] for at in members]), len(own), level=0.9)
        if interval and interval[1] < LOST * usual:
            yield (
                f"{100 * found:.0f} of 100 boxes of the detector lie on calls, and {100 * usual:.0f} elsewhere; "
                "were calls deleted, or left out?"
            )
    total = sum(own, Edits())
    expected = _changed(sum(theirs, Edits())) * (total.kept + total.count)
    if expected >= EXPECTED and total.count < UNCHANGED * expected:
        yield (
            f"{total.count} boxes were changed, and {expected:.0f} would have been elsewhere; was all accepted that the detector "
            "showed?"
        )


def _shown(found: Edits) -> int:
    return found.kept + found.moved + found.deleted


def _on_calls(found: Sequence[Edits]) -> float | None:
    """The share of the boxes that lie on calls."""
    total = sum(found, Edits())
    return (total.kept + total.moved) / _shown(total) if _shown(total) else None


def _changed(total: Edits) -> float:
    """The share of all boxes, shown or added, that did not stay as they were shown."""
    return total.count / max(total.kept + total.count, 1)
