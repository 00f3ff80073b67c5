"""Nothing but an orca's sound is a call, in any format, whatever the vocabulary; and no box of another sound is lost."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podcast import vocabulary
from podcast.model import Annotation, Review, ReviewState, Session
from podcast.vocabulary import Kind, Source
from tests.exports import readers
from tests.exports.readers import READERS
from tests.exports.rounds import LISTS, boxes, every_format_of_sessions, export, session

ORCAS = ("Call", "Southern Resident", "Bigg's")


def marked(*labels: str) -> tuple[Annotation, ...]:
    """A box for each label, two seconds apart."""
    return tuple(replace(boxes((2 * n + 0.5, 2 * n + 1.5))[0], label=label) for n, label in enumerate(labels))


def heard(folder: Path) -> list[tuple[str, str]]:
    """The source of its bout, and the label, of every box in a list of bouts."""
    path = folder / "bouts.json"
    found = json.loads(path.read_text())["bouts"] if path.exists() else []
    return sorted((bout["source"], box["label"]) for bout in found for told in bout["detections"] for box in told["annotations"])


def categories(folder: Path) -> list[str]:
    """The categories of a table of samples (pods-ai)."""
    if not (folder / "training_samples.csv").exists():
        return []
    with (folder / "training_samples.csv").open(newline="") as file:
        return sorted(row["Category"] for row in csv.DictReader(file))


def sidecar(folder: Path) -> dict[str, list[tuple[float, str]]]:
    """Start and label of every box in the sidecar, by session."""
    path = folder / "sidecar.jsonl"
    rows = [json.loads(line) for line in path.open()] if path.exists() else []
    return {row["session_id"]: [(box["start_s"], box["label"]) for box in row["annotations"]] for row in rows}


@every_format_of_sessions
def test_one_box_of_every_source(name: str, tmp_path: Path, wavs: str) -> None:
    labels = [item.name for item in vocabulary.sources()]
    others = [label for label in labels if label not in ORCAS]
    sessions = [
        session("s_calls", Review("v@x.org", ReviewState.CALLS, marked(*labels))),
        session("s_empty", Review("v@x.org", ReviewState.NO_CALLS, marked(*others))),
    ]
    report, _ = export(tmp_path, name, sessions, wavs)
    calls = [2 * n + 0.5 for n, label in enumerate(labels) if label in ORCAS]
    assert READERS[name](tmp_path) == {"s_calls": calls, "s_empty": []}
    assert (report.counts["written"], report.counts["no_calls"], report.counts["unsure"]) == (2, 1, 0)
    assert report.counts["other_sounds"] == 2 * len(others)
    assert sidecar(tmp_path) == {
        "s_calls": [(2 * n + 0.5, label) for n, label in enumerate(labels)],
        "s_empty": [(2 * n + 0.5, label) for n, label in enumerate(others)],
    }
    assert any("boxes are other sounds and no calls" in words and "2 'Vessel'" in words for words in report.warnings)


@every_format_of_sessions
def test_a_label_of_nobodys_table_is_named_and_is_no_call_nor_silence(name: str, tmp_path: Path, wavs: str) -> None:
    sessions = [
        session("s_calls", Review("v@x.org", ReviewState.CALLS, marked("Call", "Dolphin", "call"))),
        session("s_empty", Review("v@x.org", ReviewState.CALLS, marked("Dolphin"))),
        session("s_unsure", Review("v@x.org", ReviewState.NO_CALLS, marked("Dolphin", "Humpback"))),
    ]
    report, _ = export(tmp_path, name, sessions, wavs)
    assert READERS[name](tmp_path) == {"s_calls": [0.5]}
    assert (report.counts["written"], report.counts["unsure"], report.counts["no_calls"]) == (1, 2, 0)
    assert report.counts["other_sounds"] == 5
    assert [label for found in sidecar(tmp_path).values() for _, label in found].count("Dolphin") == 3
    assert any("4 boxes have labels that are not in vocabulary.csv ('Dolphin', 'call')" in words for words in report.warnings)


def test_a_list_of_named_sounds_calls_each_by_its_maker(tmp_path: Path) -> None:
    """Formats that list sounds, and no sessions: the sessions here are reported as residents, and so is the orca of no kind."""
    assert {"pods-ai", "bouts"} == LISTS
    labels = [item.name for item in vocabulary.sources()]
    given = [session("s_calls", Review("v@x.org", ReviewState.CALLS, marked(*labels, "Dolphin")))]
    report, _ = export(tmp_path, "pods-ai", given)
    assert categories(tmp_path) == ["human", "humpback", "jingle", "resident", "resident", "transient", "vessel", "water"]
    assert sidecar(tmp_path)["s_calls"] == [(2 * n + 0.5, label) for n, label in enumerate([*labels, "Dolphin"])]
    assert report.counts["other_sounds"] == len(labels) - 3 + 1
    report, _ = export(tmp_path / "bouts", "bouts", given)
    typed = {item.name for item in vocabulary.sources() if item.kind is not Kind.UNKNOWN}
    assert heard(tmp_path / "bouts") == sorted(
        ("resident" if label in ("Call", "Southern Resident") else vocabulary.sources()[n].key, label)
        for n, label in enumerate(labels)
        if label in typed
    )
    assert sidecar(tmp_path / "bouts")["s_calls"] == sidecar(tmp_path)["s_calls"]
    assert report.counts["other_sounds"] == len(labels) - 3 + 1


NAMES = ("Call", "Something else", "Pilot whale", "Sonar", "Rain", "Bigg's")
STRANGE = ("Zebra", "call", " Call", "Call ", 'Call"', "Pilot  whale", "", "?")


@st.composite
def vocabularies(draw: st.DrawFn) -> dict[str, Source]:
    found = {}
    for number, name in enumerate(NAMES):
        orca = {"Call": True, "Something else": False}.get(name, draw(st.booleans()))
        dclde = "KW" if orca else draw(st.sampled_from(["", "HW", "AB", "UndBio"]))
        place = draw(st.sampled_from(Kind)), orca
        found[name] = Source(f"key{number}", name, *place, "", None, None, dclde, "NA", f"{orca} {name}", (), "#123456")
    return found


@st.composite
def rounds(draw: st.DrawFn) -> list[Session]:
    found = []
    for name in ("s_calls", "s_empty", "s_unsure"):
        labels = draw(st.lists(st.sampled_from(NAMES + STRANGE), max_size=5))
        state = draw(st.sampled_from([ReviewState.CALLS, ReviewState.NO_CALLS, ReviewState.UNSURE]))
        found.append(session(name, Review("v@x.org", state, marked(*labels))))
    return found


def settled_state(item: Session, table: dict[str, Source]) -> ReviewState:
    """What a session says, told without the policy: its state, if that is what its boxes say."""
    [review] = item.reviews
    known = [table[box.label].is_orca for box in review.annotations if box.label in table]
    calls, strange = any(known), len(known) < len(review.annotations)
    said = ReviewState.CALLS if calls else ReviewState.UNSURE if strange else ReviewState.NO_CALLS
    return said if said is review.state else ReviewState.UNSURE


def boxes_of(sessions: list[Session]) -> Iterator[tuple[str, float, str]]:
    for item in sessions:
        yield from ((item.id, box.event.start_s, box.label) for box in item.reviews[0].annotations)


@every_format_of_sessions
@given(table=vocabularies(), sessions=rounds())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_in_any_vocabulary_calls_are_the_orcas_and_no_box_is_lost(
    name: str, wavs: str, table: dict[str, Source], sessions: list[Session]
) -> None:
    orcas = {label for label, found in table.items() if found.is_orca}
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(vocabulary, "_table", lambda: table),
        patch.object(readers, "ORCAS", orcas),
    ):
        report, _ = export(Path(folder), name, sessions, wavs)
        written, kept = READERS[name](Path(folder)), sidecar(Path(folder))
    for session_id, found in written.items():
        assert found == [start for owner, start, label in boxes_of(sessions) if owner == session_id and label in orcas]
    for session_id, start, label in boxes_of(sessions):
        assert (start, label) in kept.get(session_id, []) or (label in orcas and start in written[session_id])
    assert report.counts["other_sounds"] == sum(label not in orcas for _, _, label in boxes_of(sessions))
    silent = {session_id for session_id, found in written.items() if not found}
    assert not silent & {session_id for session_id, _, label in boxes_of(sessions) if label not in table}


@given(table=vocabularies(), sessions=rounds())
@settings(max_examples=30, deadline=None)
def test_in_any_vocabulary_a_list_of_named_sounds_calls_none_by_another_name(
    table: dict[str, Source], sessions: list[Session]
) -> None:
    with tempfile.TemporaryDirectory() as folder, patch.object(vocabulary, "_table", lambda: table):
        export(Path(folder), "pods-ai", sessions)
        found, kept = categories(Path(folder)), sidecar(Path(folder))
        export(Path(folder) / "bouts", "bouts", sessions)
        bouts = heard(Path(folder) / "bouts")
    sure = {item.id for item in sessions if settled_state(item, table) is not ReviewState.UNSURE}
    assert found == sorted(
        f"{table[label].is_orca} {label}" for owner, _, label in boxes_of(sessions) if owner in sure and label in table
    )
    assert all((start, label) in kept.get(owner, []) for owner, start, label in boxes_of(sessions) if label not in table)
    assert bouts == sorted(
        (table[label].key, label)
        for owner, _, label in boxes_of(sessions)
        if owner in sure and label in table and table[label].kind is not Kind.UNKNOWN
    )
