"""The gate: whether a model that was just learned may serve in place of the one that does (docs/adr/0120).

Both listen to recordings that neither learned from. The candidate passes if people have fewer boxes to change over all, surely
not many more at any node, and no more false boxes where there is no call; and if what people said in the new rounds can be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.base import Detector
from detectors.registry import Verdict
from evaluation.edits import Edits, edit_row, edits
from evaluation.scoring import bootstrap_interval
from podcast.audio import Samples
from training.plausible import Said, doubts, settled
from training.reviewed import Reviewed
from training.scratch import Read

FEWEST, FEWEST_QUIET = 4, 2
"""Held-out recordings that are needed: of each node, and without calls."""
WORSE = 1.0
"""Edits a minute by which a node surely gets no worse (lower 95 % bound of what is saved, bootstrap over recordings)."""
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Compared:
    """One held-out recording: what people said, the edits that the model in service and the candidate leave."""

    said: Said
    before: Edits
    after: Edits

    @property
    def node(self) -> str:
        """Where it was recorded."""
        return self.said.session.node

    @property
    def quiet(self) -> bool:
        """Whether there is no call in it, and nothing that might be one."""
        return not self.said.session.calls and not self.said.session.unsure


def judge(
    candidate: Detector, in_service: Detector, held_out: Iterable[Reviewed], read: Read, new: Iterable[Reviewed] = ()
) -> Verdict:
    """Whether `candidate` may serve in place of `in_service`, why in one sentence, and the figures, which JSON can hold.

    `held_out` are sessions of all rounds that neither model learned from; every node of theirs is judged by itself. `new` are the
    sessions of rounds that the model in service has not learned from, held out or not: what was said in them is checked. Audio is
    read a session at a time, and nothing of it is kept but boxes.
    """
    compared = [_compared(candidate, in_service, session, read) for session in held_out]
    known = {one.said.session.name: one.said for one in compared}
    said = [known.get(session.name) or _said(in_service, session, *read(session)) for session in new]
    refusals = list(_missing(compared)) or [*doubts(said, list(known.values())), *_losses(compared)]
    models = {"candidate": str(candidate.model_run), "in_service": str(in_service.model_run)}
    figures = {**models, **_figures(compared), "checked_sessions": len(said), "refusals": refusals}
    return Verdict(not refusals, refusals[0] if refusals else _praise(compared), figures)


def _said(detector: Detector, session: Reviewed, samples: Samples, sample_rate: int) -> Said:
    [boxes] = detector.detect([(samples, sample_rate)])
    return Said(session, tuple(boxes), len(samples) / sample_rate)


def _compared(candidate: Detector, in_service: Detector, session: Reviewed, read: Read) -> Compared:
    samples, sample_rate = read(session)
    said = _said(in_service, session, samples, sample_rate)
    [found] = candidate.detect([(samples, sample_rate)])
    after = edits(settled([box.event for box in found], session), session.calls, said.seconds)
    return Compared(said, said.edits, after)


def _missing(compared: Sequence[Compared]) -> Iterator[str]:
    """What must still be held out before anything can be said."""
    nodes = _by_node(compared)
    lacking = [f"{FEWEST - len(found)} of {node or 'an unknown node'}" for node, found in nodes.items() if len(found) < FEWEST]
    quiet = sum(one.quiet for one in compared)
    if not compared:
        yield f"no recording is held out, and {FEWEST} of each node are needed"
    elif lacking:
        yield f"too few recordings are held out, {FEWEST} of each node are needed: {', '.join(lacking)} are missing"
    elif quiet < FEWEST_QUIET:
        yield (
            f"{quiet} of the recordings held out are without calls, and {FEWEST_QUIET} are needed: "
            f"{FEWEST_QUIET - quiet} are missing"
        )


def _losses(compared: Sequence[Compared]) -> Iterator[str]:
    """What would get worse with the candidate."""
    before, after, least = _saved(compared)
    if least <= 0:
        yield (
            f"edits a minute do not surely fall: {after:.1f}, and {before:.1f} before, on {len(compared)} recordings held out "
            f"(at least {least:+.1f} saved)"
        )
    for node, found in _by_node(compared).items():
        before, after, least = _saved(found)
        if least < -WORSE:
            yield (
                f"{node or 'an unknown node'} may get worse by more than {WORSE:g} edits a minute: {after:.1f}, and {before:.1f} "
                f"before, on {len(found)} recordings held out (at least {least:+.1f} saved)"
            )
    earlier, now = _false_boxes_an_hour(compared)
    if now > earlier:
        yield f"false boxes rise to {now:.0f} an hour, from {earlier:.0f}, on recordings without calls"


def _saved(compared: Sequence[Compared]) -> tuple[float, float, float]:
    """Edits a minute before and after, and the lower 95 % bound of what is saved."""
    counts = np.array([(one.before.count, one.after.count, one.said.seconds / 60) for one in compared])

    def saved(members: Sequence[int]) -> float:
        before, after, minutes = counts[members].sum(axis=0)
        return float((before - after) / minutes)

    interval = bootstrap_interval(saved, len(compared), rounds=DRAWS, level=0.9)
    before, after, minutes = counts.sum(axis=0)
    return float(before / minutes), float(after / minutes), interval[0] if interval else -np.inf


def _false_boxes_an_hour(compared: Sequence[Compared]) -> tuple[float, float]:
    """Before and after; where there is no call, every box is false."""
    quiet = [one for one in compared if one.quiet]
    hours = max(sum(one.said.seconds for one in quiet) / 3600, 1e-9)
    return sum(one.before.deleted for one in quiet) / hours, sum(one.after.deleted for one in quiet) / hours


def _figures(compared: Sequence[Compared]) -> dict[str, Any]:
    """Over all and by node what both models leave to do, what is surely saved, and false boxes an hour."""
    rows = {"all": list(compared), **_by_node(compared)}
    return {
        "edits": [_row(name, found) for name, found in rows.items() if found],
        "quiet_recordings": sum(one.quiet for one in compared),
        "false_boxes_an_hour": [round(rate, 2) for rate in _false_boxes_an_hour(compared)],
        "needed": {"recordings_of_each_node": FEWEST, "quiet_recordings": FEWEST_QUIET, "worse_edits_a_minute": WORSE},
    }


def _row(name: str, found: Sequence[Compared]) -> dict[str, Any]:
    least = _saved(found)[2]
    return {
        "name": name,
        "before": edit_row(name, [one.before for one in found]).as_dict(),
        "after": edit_row(name, [one.after for one in found]).as_dict(),
        "saved_at_least": round(least, 3) if np.isfinite(least) else None,
    }


def _praise(compared: Sequence[Compared]) -> str:
    before, after, least = _saved(compared)
    return (
        f"edits a minute fall to {after:.1f}, from {before:.1f}, on {len(compared)} recordings held out at "
        f"{len(_by_node(compared))} nodes (at least {least:.1f} saved)"
    )


def _by_node(compared: Sequence[Compared]) -> Mapping[str, list[Compared]]:
    nodes: dict[str, list[Compared]] = {}
    for one in sorted(compared, key=lambda one: one.node):
        nodes.setdefault(one.node, []).append(one)
    return nodes
