"""What a round teaches: which of its sessions people have settled, what is a call in them, and which are for the test alone.

Accepted, moved and added boxes of certain calls are calls; uncertain boxes are neither calls nor mistakes. All else in a session
that was reviewed is no call: deleted predictions, and boxes of other sounds. Unsure, skipped and open sessions teach nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluation.tables import read_truth
from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import Certainty, Recording, Session, SoundEvent
from podcast.reading import parse_json
from podcast.report import Report
from podcast.reviews import COMPLETED, consensus
from podcast.splits import LEFT_OUT, SPLITS, Unit, assign, groups, unit_of
from podcast.times import parse_session_name
from podcast.vocabulary import is_call

SPLITS_FILE = "splits.json"
FEWEST_SESSIONS = 20
GAP_S = 600.0


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A session that somebody reviewed; `unit` is what its split goes by."""

    name: str
    node: str
    calls: tuple[SoundEvent, ...]
    unsure: tuple[SoundEvent, ...]
    unit: Unit


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
            boxes = [item for item in said.annotations if is_call(item.label)]
            calls, unsure = (
                tuple(item.event for item in boxes if (item.certainty is Certainty.CERTAIN) is certain)
                for certain in (True, False)
            )
            unit = unit_of(session, usable=True, calls=len(calls))
            found.append(Reviewed(session.id, session.recording.source_guid, calls, unsure, unit))
    return found


def of_table(source: str) -> list[Reviewed]:
    """The recordings of a truth table, all of whose calls are marked in it. Raises InputError naming the line that is wrong."""
    found = []
    for recording in read_truth(source):
        calls = tuple(SoundEvent(span.start_s, span.end_s) for span in recording.spans if span.duration_s > 0)
        session = Session(recording.name, Recording("", recording.hydrophone, parse_session_name(recording.name).parent_start))
        unit = unit_of(session, usable=True, calls=len(calls))
        found.append(Reviewed(recording.name, recording.hydrophone, calls, (), unit))
    return found


def lessons(found: Iterable[Reviewed], previous: Mapping[str, str]) -> Lessons:
    """Deal the sessions by the rule of releases; what `previous` has as test stays it, and so does all that is close to it.

    Sessions that would tie two splits together are left out. Raises InputError for fewer than `FEWEST_SESSIONS`.
    """
    sessions = sorted(found, key=lambda item: item.name)
    if len(sessions) < FEWEST_SESSIONS:
        raise InputError(
            f"{len(sessions)} sessions are reviewed, and rules and scores are learned from {FEWEST_SESSIONS} on: "
            f"{FEWEST_SESSIONS - len(sessions)} are missing"
        )
    units = [item.unit for item in sessions]
    splits = assign(units, previous, GAP_S)
    parents = {unit.session_id: group[0].session_id for group in groups(units, GAP_S) for unit in group}
    learned, tested = (
        tuple(item for item in sessions if splits[item.name] in wanted) for wanted in (("train", "dev"), ("test",))
    )
    return Lessons(learned, tested, parents, {**previous, **splits})


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
