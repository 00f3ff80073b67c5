"""Sounds of others in a release: named negatives, never calls, in no measure of calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.agreement import Agreement
from evaluation.anchoring import AnchoringAudit
from evaluation.edits import ReviewEdits
from podcast import vocabulary
from podcast.model import Annotation, Detection, Outcome, Review, ReviewState, Session
from releases.build import ReleaseOptions, build
from releases.lint import lint
from tests.releases.sessions import RUN, box, session, spread
from tests.releases.test_release import rows

CALLS, NO_CALLS = ReviewState.CALLS, ReviewState.NO_CALLS
ORCAS = ("Call", "Southern Resident", "Bigg's")


def said(annotator: str, state: ReviewState, *boxes: tuple[float, float, str]) -> Review:
    return Review(annotator, state, tuple(box(start, end, annotator, label=label) for start, end, label in boxes))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Six sessions with a call below a ship's noise, and six in which two people heard a humpback alone."""
    mixed = spread(6, said("ann", CALLS, (1, 2, "Call"), (1.5, 9, "Vessel"), (20, 21, "Humpback")))
    humpback = (said("ann", NO_CALLS, (3, 4, "Humpback")), said("bob", NO_CALLS, (3.1, 4, "Something else")))
    build(
        [*mixed, *spread(6, *humpback, node="rpi_bush_point")],
        str(tmp_path),
        ReleaseOptions("r", with_audio=False),
        lambda *_: "",
    )
    return tmp_path / "r"


def test_other_sounds_are_a_table_of_their_own(release: Path) -> None:
    assert {row["review_state"] for row in rows(release / "sessions.csv")} == {"calls", "no_calls"}
    assert {row["boxes"] for row in rows(release / "sessions.csv")} == {"1", "0"}
    labels = [row for split in ("train", "dev", "test") for row in rows(release / f"{split}.tsv")]
    assert {(row["start_time_s"], row["duration_s"]) for row in labels} == {("1.0", "1.0"), ("0.0", "0.0")}
    assert {row["label"] for row in rows(release / "annotations.csv")} == {"Call"}
    found = [
        tuple(row[name] for name in ("source", "kind", "aphia_id", "dclde_class", "pods_ai", "over_call", "votes", "reviewers"))
        for row in rows(release / "sounds.csv")
    ]
    assert set(found) == {
        ("Vessel", "anthrophony", "", "AB", "vessel", "yes", "1", "1"),
        ("Humpback", "biophony", "137092", "HW", "humpback", "no", "1", "1"),
        ("Humpback", "biophony", "137092", "HW", "humpback", "no", "2", "2"),
    }
    assert len(found) == 18
    splits = {row["session_id"]: row["split"] for row in rows(release / "sessions.csv")}
    assert all(row["split"] == splits[row["session_id"]] for row in rows(release / "sounds.csv"))
    assert len(rows(release / "review_boxes.csv")) == 6 * 3 + 6 * 2
    card = (release / "README.md").read_text()
    assert "| Humpback | biophony |" in card and "![Other sounds by source](sounds.png)" in card
    assert (release / "sounds.png").read_bytes().startswith(b"\x89PNG")
    assert list(lint(str(release))) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "rule"),
    [
        ("sounds.csv", ",Humpback,biophony", ",Call,biophony", "source"),
        ("sounds.csv", ",Humpback,biophony", ",Humpback,animal", "kind"),
        ("sounds.csv", ",yes,certain", ",maybe,certain", "over-call"),
        ("sounds.csv", "20.0,21.0", "20.0,91.0", "within-audio"),
        ("sounds.csv", ",no_calls,3.0", ",calls,3.0", "state"),
        ("annotations.csv", ",Call,", ",Humpback,", "source"),
    ],
)
def test_the_linter_finds(release: Path, name: str, old: str, new: str, rule: str) -> None:
    path = release / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert rule in {found.rule for found in lint(str(release)) if found.file == name}


def test_one_box_of_every_source(tmp_path: Path) -> None:
    names = [item.name for item in vocabulary.sources()]
    every = [(3.0 * n, 3.0 * n + 1, name) for n, name in enumerate(names)]
    others = [item for item in every if item[2] not in ORCAS]
    sessions = [*spread(3, said("ann", CALLS, *every)), *spread(3, said("ann", NO_CALLS, *others), node="rpi_bush_point")]
    build(sessions, str(tmp_path), ReleaseOptions("r", with_audio=False), lambda *_: "")
    labels = [row for split in ("train", "dev", "test") for row in rows(tmp_path / "r" / f"{split}.tsv")]
    calls = [row["start_time_s"] for row in labels if float(row["duration_s"])]
    assert sorted(calls) == sorted(str(start) for start, _, name in every * 3 if name in ORCAS)
    sounds = [row["source"] for row in rows(tmp_path / "r" / "sounds.csv")]
    assert sorted(sounds) == sorted([name for _, _, name in others] * 6)
    assert list(lint(str(tmp_path / "r"))) == []


def test_agreement_is_about_calls() -> None:
    agreement = Agreement()
    for start in range(5):
        call = (start, start + 1, "Call")
        agreement.add(session(f"s{start}", said("ann", CALLS, call, (20, 40, "Vessel")), said("bob", CALLS, call)))
    measures = {item.name: item.value for item in agreement.measures()}
    assert (measures["event_f1_0.5"], measures["second_kappa"], measures["krippendorff_alpha"]) == (1.0, 1.0, 1.0)
    assert agreement.disagreements() == []


@pytest.fixture
def denied() -> Session:
    """Three boxes of a model: one kept, one said to be a humpback, one deleted. Beside them a ship that nobody's model found."""
    found = [Detection(box(start, start + 1).event, "Call", 0.9, RUN) for start in (1.0, 5.0, 9.0)]
    kept, named = (Annotation(one.event, "Call", box(0, 1).certainty, "ann", Outcome.ACCEPTED, one) for one in found[:2])
    boxes = (kept, replace(named, label="Humpback"), box(30, 40, "ann", label="Vessel"))
    given = session("s", Review("ann", CALLS, boxes, (found[2],)))
    return replace(given, detections=tuple(found), model_runs=(RUN,))


def test_a_box_that_was_said_to_be_another_sound_counts_as_deleted(denied: Session) -> None:
    audit, edits = AnchoringAudit(0.5), ReviewEdits()
    audit.add(denied)
    edits.add(denied)
    [row] = audit.rows()
    assert (row.shown, row.accepted, row.moved, row.deleted) == (3, 1, 0, 2)
    assert (row.boxes, row.found, row.added) == (1, 1, 0)
    [made] = edits.rows()
    assert (made.edits.kept, made.edits.moved, made.edits.deleted, made.edits.added) == (1, 0, 2, 0)
