"""What a release tells of the listening, and one of before that tells nothing of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import cli
from importers import release as importer
from importers.base import ReadOptions
from podcast.model import Heard, ReviewState, Session
from releases.build import ReleaseOptions, build
from releases.lint import lint
from tests.releases.sessions import review, session
from tests.releases.test_lint import mend_checksums
from tests.releases.test_release import no_address, released, rows
from tests.test_heard import export_file

BEFORE = 8
"""How many columns reviews.csv had before."""

ASKED = Heard(70.5, True, 20.0, 60.0, ("boxes_beside_no_calls", "not_heard"))


def sessions() -> list[Session]:
    return [
        session("a", review("ann", ReviewState.CALLS, [(1, 2)], heard=ASKED), review("bob", ReviewState.CALLS, [(1, 2)])),
        session("b", review("ann", ReviewState.NO_CALLS, heard=Heard(6.0))),
        session("c", review("ann", ReviewState.NO_CALLS, heard=Heard(90.0, True, 60.0, 60.0))),
        session("d", review("ann", ReviewState.SKIPPED, heard=Heard(1.0))),
        session("e", review("ann", ReviewState.NO_CALLS, heard=Heard(5.0, False, 0.0, None, ("audio_not_loaded",)))),
    ]


def test_every_answer_says_what_was_heard(tmp_path: Path) -> None:
    release = released(sessions(), tmp_path)
    with (release / "reviews.csv").open() as file:
        told = {(line[0], line[2]): line[BEFORE:] for line in csv.reader(file)}
    assert told == {
        ("session_id", "annotator"): [
            *("page_open_s", "audio_loaded", "heard_s", "page_length_s", "asked", "heard_share", "faster_than_sound")
        ],
        ("a", "annotator-001"): ["70.5", "true", "20.0", "60.0", "boxes_beside_no_calls;not_heard", "0.3333", "true"],
        ("a", "annotator-002"): [""] * 7,
        ("b", "annotator-001"): ["6.0", "", "", "", "", "0.25", "true"],
        ("c", "annotator-001"): ["90.0", "true", "60.0", "60.0", "", "1.0", "false"],
        ("d", "annotator-001"): ["1.0", "", "", "", "", "", ""],
        ("e", "annotator-001"): ["5.0", "false", "0.0", "", "audio_not_loaded", "0.0", "true"],
    }
    counted = (
        "Of 5 answers 3 came faster than the sound: the audio had not loaded (1), the page was open for less time than the "
        "recording lasts (2), or less than all of the recording was played (1). Nothing is known of 1. "
    )
    assert counted in (release / "README.md").read_text()
    assert list(lint(str(release))) == []
    read = importer.read(str(release), ReadOptions(audio_required=False))
    assert {item.id: [said.heard for said in item.reviews] for item in read if isinstance(item, Session)} == {
        item.id: [said.heard for said in item.reviews] for item in sessions()
    }


def test_answers_that_were_hardly_heard_are_left_out_as_unreviewed(tmp_path: Path) -> None:
    report = build(sessions(), str(tmp_path), ReleaseOptions("r", with_audio=False, min_heard=0.3), no_address)
    states = {row["session_id"]: row["review_state"] for row in rows(tmp_path / "r" / "sessions.csv")}
    assert states == {"a": "calls", "b": "unreviewed", "c": "no_calls", "d": "skipped", "e": "unreviewed"}
    assert [(row["session_id"], row["annotator"]) for row in rows(tmp_path / "r" / "reviews.csv")] == [
        ("a", "annotator-001"), ("a", "annotator-002"), ("c", "annotator-001"), ("d", "annotator-001"),
    ]  # fmt: skip
    assert (report.counts["too_little_heard"], report.counts["unreviewed"]) == (2, 2)
    assert [warning[:9] for warning in report.warnings][:2] == ["session b", "session e"]
    left_out = " 2 more answers were left out, as if nobody had given them: less than a share of 0.3 of the recording was heard."
    assert left_out in (tmp_path / "r" / "README.md").read_text()
    assert list(lint(str(tmp_path / "r"))) == []


def test_the_command_leaves_them_out(tmp_path: Path) -> None:
    words = ("release", "--file", export_file(tmp_path / "e.json"), "--no-audio", "--to", tmp_path, "--name", "r")
    result = CliRunner().invoke(cli, [*map(str, words), "--min-heard", "0.9", "--json"])
    printed = json.loads(result.stdout)
    assert (result.exit_code, printed["too_little_heard"], printed["unreviewed"], printed["calls"]) == (0, 2, 2, 2)
    assert "no_calls" not in printed


@pytest.fixture
def old_release(tmp_path: Path) -> Path:
    """A release as it was made before: reviews.csv without its last seven columns."""
    release = released(sessions(), tmp_path)
    with (release / "reviews.csv").open(newline="") as file:
        lines = [line[:BEFORE] for line in csv.reader(file)]
    with (release / "reviews.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    for name in ("croissant.json", "CITATION.cff"):  # there were none yet
        (release / name).unlink()
    mend_checksums(release)
    return release


def test_a_release_of_before_still_passes_and_can_be_followed(old_release: Path, tmp_path: Path) -> None:
    assert list(lint(str(old_release))) == []
    read = list(importer.read(str(old_release), ReadOptions(audio_required=False)))
    assert [said.heard for item in read if isinstance(item, Session) for said in item.reviews] == [Heard()] * 6
    again = [item for item in read if isinstance(item, Session)]
    new = released(again, tmp_path, ReleaseOptions("new", with_audio=False, previous=str(old_release)))
    assert list(lint(str(new))) == []
    assert "Of 5 answers 0 came faster than the sound" in (new / "README.md").read_text()
