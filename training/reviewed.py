"""What a round teaches: which of its sessions people have settled, what is a call in them, and which are for the test alone.

Accepted, moved and added boxes of certain calls are calls; boxes that are uncertain, or whose label nobody knows, are neither
calls nor mistakes. All else in a session that was reviewed is no call, above all deleted predictions and named other sounds.
Unsure, skipped and open sessions teach nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.false_alarms import with_sounds
from evaluation.scoring import Span
from evaluation.tables import read_truth
from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import Certainty, Recording, Session, SoundEvent
from podcast.overlap import touches
from podcast.reading import parse_json
from podcast.report import Report
from podcast.reviews import COMPLETED, Consensus, consensus, counted
from podcast.splits import DEFAULT_SHARES, LEFT_OUT, SPLITS, Unit, assign, check, groups, unit_of
from podcast.times import parse_session_name
from podcast.vocabulary import is_call, unknown_labels

SPLITS_FILE = "splits.json"
FEWEST_SESSIONS = 20
GAP_S = 600.0


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A session that somebody reviewed; `unit` is what its split goes by.

    `others` are the sounds that people named and that were no orcas, each with its label; `deleted` the predictions that they
    deleted. Neither touches a call, or what somebody was unsure of.
    `round` is the one that it belongs to, and `annotators` are those whose word counted; empty where nobody knows.
    """

    name: str
    node: str
    calls: tuple[SoundEvent, ...]
    unsure: tuple[SoundEvent, ...]
    unit: Unit
    others: tuple[tuple[str, SoundEvent], ...] = ()
    deleted: tuple[SoundEvent, ...] = ()
    round: str = ""
    annotators: tuple[str, ...] = ()

    @property
    def parent(self) -> str:
        """The parent recording, by its name."""
        return parse_session_name(self.name).parent


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learned from and what is tested on, the parent of each session, and the split of every session by id."""

    learned: tuple[Reviewed, ...]
    tested: tuple[Reviewed, ...]
    parents: Mapping[str, str]
    splits: Mapping[str, str]


def reviewed(sessions: Iterable[Session | Refusal], report: Report) -> list[Reviewed]:
    """The sessions that say what is in them; all are counted in `report` by what they say."""
    found = []
    for session in report.accepted(sessions):
        said = consensus(session)
        report.counts[str(said.state)] += 1
        if said.state in COMPLETED:
            found.append(_reviewed(session, said))
    return found


def _reviewed(session: Session, said: Consensus) -> Reviewed:
    boxes = said.annotations
    strange = unknown_labels(item.label for item in boxes)
    sure = [item for item in boxes if item.certainty is Certainty.CERTAIN and item.label not in strange]
    calls = tuple(item.event for item in sure if is_call(item.label))
    unsure = tuple(item.event for item in boxes if item not in sure)
    rejected = {
        detection.event: None
        for review in counted(session)
        for detection in (review.rejected if review.state in COMPLETED else ())
    }
    return Reviewed(
        session.id,
        session.recording.source_guid,
        calls,
        unsure,
        unit_of(session, usable=True, calls=len(calls)),
        tuple((item.label, item.event) for item in sure if not is_call(item.label) and not touches(item.event, calls + unsure)),
        tuple(event for event in rejected if not touches(event, calls + unsure)),
        session.round,
        said.reviewers,
    )


def of_table(source: str, sounds: str | None = None) -> list[Reviewed]:
    """The recordings of a truth table, all of whose calls are marked in it; `sounds` is a release's `sounds.csv`.

    Raises InputError naming the line that is wrong.
    """
    found = []
    for recording in with_sounds(read_truth(source), sounds) if sounds else read_truth(source):
        calls = tuple(_event(span) for span in recording.spans if span.duration_s > 0)
        others = tuple((label, _event(span)) for label, span in recording.sounds if span.duration_s > 0)
        session = Session(recording.name, Recording("", recording.hydrophone, parse_session_name(recording.name).parent_start))
        unit = unit_of(session, usable=True, calls=len(calls))
        alone = tuple((label, event) for label, event in others if not touches(event, calls))
        found.append(Reviewed(recording.name, recording.hydrophone, calls, (), unit, alone))
    return found


def _event(span: Span) -> SoundEvent:
    return SoundEvent(span.start_s, span.end_s)


def lessons(
    found: Iterable[Reviewed], previous: Mapping[str, str], *, fewest: int = FEWEST_SESSIONS, hold_out: Collection[str] = ()
) -> Lessons:
    """Deal the sessions by the rule of releases; what `previous` has as test stays it, and so does all that is close to it, also
    to sessions that are no more among those found.

    Sessions that would tie two splits together are left out. Where `hold_out` names sessions or parent recordings, these are the
    test, and all that is new beside them is learned from. Raises InputError for fewer than `fewest`.
    """
    sessions = sorted(found, key=lambda item: item.name)
    if len(sessions) < fewest:
        raise InputError(
            f"{len(sessions)} sessions are reviewed, and rules and scores are learned from {fewest} on: "
            f"{fewest - len(sessions)} are missing"
        )
    named = {item.name: "test" for item in sessions if item.name in hold_out or item.parent in hold_out}
    units = [item.unit for item in sessions]
    splits = _dealt(units, {**previous, **named}, (1.0, 0.0, 0.0) if named else DEFAULT_SHARES)
    parents = {unit.session_id: group[0].session_id for group in groups(units, GAP_S) for unit in group}
    learned, tested = (
        tuple(item for item in sessions if splits[item.name] in wanted) for wanted in (("train", "dev"), ("test",))
    )
    return Lessons(learned, tested, parents, {**previous, **splits})


def _dealt(units: Sequence[Unit], previous: dict[str, str], shares: tuple[float, float, float]) -> dict[str, str]:
    own = {unit.session_id for unit in units}
    gone = [_unit(name) for name, split in previous.items() if split == "test" and name not in own]
    every = [*units, *gone]
    if check(every, previous, GAP_S):  # splits that were dealt apart: what is now too close to a test is learned from no more
        for group in groups(every, GAP_S):
            names = [unit.session_id for unit in group]
            if any(previous.get(name) == "test" for name in names):
                previous |= {name: LEFT_OUT for name in names if previous.get(name, "test") != "test"}
    return assign(every, previous, GAP_S, shares)


def _unit(name: str) -> Unit:
    """What the name of a session tells, for the rule of splits."""
    parsed = parse_session_name(name)
    return unit_of(Session(name, Recording("", parsed.source_guid, parsed.start(None))), usable=False, calls=0)


def remembered(run: Path, earlier: Iterable[Mapping[str, str]] = ()) -> dict[str, str]:
    """The splits of `earlier` releases, of the run in this folder and of all runs beside it.

    Where they differ the side that must stay clean wins: test, then dev. Raises InputError for a file that is none.
    """
    order = (LEFT_OUT, *SPLITS)
    splits: dict[str, str] = {}
    files = sorted(run.parent.glob(f"*/{SPLITS_FILE}"))
    for one in (*earlier, *(_read(path) for path in files)):
        for name, split in one.items():
            splits[name] = max(split, splits.get(name, split), key=order.index)
    return splits


def remember(run: Path, splits: Mapping[str, str]) -> None:
    """Keep the splits in the run's folder."""
    storage.write(str(run / SPLITS_FILE), json.dumps(dict(sorted(splits.items())), indent=0).encode())


def _read(path: Path) -> dict[str, str]:
    found = parse_json(path.read_bytes(), str(path))
    if not isinstance(found, dict) or not all(split in (*SPLITS, LEFT_OUT) for split in found.values()):
        raise InputError(f"{path}: expected the split of each session, one of {', '.join((*SPLITS, LEFT_OUT))}")
    return found
