"""`podcast release` as it is called: from an export file, from a live round, to check, to compare, to follow another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from labelstudio.labels import LabelConfig
from labelstudio.sync import Target, sync
from labelstudio.tasks import to_task
from podcast.model import ReviewState, Session
from releases.build import ReleaseOptions
from tests.conftest import LabelStudio, write_noise
from tests.releases.sessions import review, session, spread
from tests.releases.test_release import released, rows

CALLS, NO_CALLS = ReviewState.CALLS, ReviewState.NO_CALLS
CONFIG = LabelConfig.load()


def podcast(*words: object, **env: str) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], env=env)


def write_export(path: Path, sessions: list[Session]) -> Path:
    """The sessions as Label Studio's JSON export has them: each review under an account of its own."""
    tasks: list[dict[str, Any]] = []
    for number, item in enumerate(sessions, 1):
        task = to_task(item, item.recording.audio_uri or "/data/x.wav", CONFIG)
        for annotation, said in zip(task.get("annotations", []), item.reviews, strict=True):
            annotation |= {"completed_by": {"id": 1, "email": said.annotator}, "created_at": "2020-08-01T00:00:00Z", "id": 1}
        tasks.append({**task, "id": number, "project": 7})
    path.write_text(json.dumps(tasks))
    return path


def test_from_an_export_file_with_its_audio(tmp_path: Path) -> None:
    ann, bob = review("ann@x.org", CALLS, [(1, 2)]), review("bob@x.org", CALLS, [(5, 6)])
    sessions = [*spread(6, review("ann@x.org", CALLS, [(1, 2)])), *spread(1, ann, bob, node="rpi_bush_point")]
    (tmp_path / "in").mkdir()
    for seed, item in enumerate(sessions):
        write_noise(tmp_path / "in" / f"{item.id}.wav", 60, 1000, seed)
    export = write_export(tmp_path / "export.json", sessions)
    words = ("release", "--file", export, "--audio", tmp_path / "in", "--to", tmp_path, "--name", "first", "--json")
    result = podcast(*words, LABEL_STUDIO_URL="http://ls.example.org")
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert (printed["sessions"], printed["boxes"], printed["unsure"], printed["refusals"]) == (7, 8, 1, [])
    (worst,) = rows(tmp_path / "first.look-again.csv")
    assert (worst["score"], worst["address"]) == ("1.0", "http://ls.example.org/projects/7/data?task=7")
    assert podcast("release", "--check", tmp_path / "first").exit_code == 0
    assert podcast(*words).exit_code == 2  # it is finished
    missing = podcast("release", "--file", export, "--audio", tmp_path, "--to", tmp_path, "--name", "lost", "--json")
    assert (missing.exit_code, json.loads(missing.stdout)["refused"]) == (2, 7)


def test_check_prints_file_line_and_rule(tmp_path: Path) -> None:
    release = released([session("s", review("ann", CALLS, [(1, 2)]))], tmp_path)
    text = (release / "train.tsv").read_text()
    (release / "train.tsv").write_text(text.replace("\t1.0\t1.0\t", "\t-1.0\t1.0\t"))
    result = podcast("release", "--check", release)
    assert result.exit_code == 1
    assert "train.tsv:2: positive: start -1.0" in result.stdout
    found = json.loads(podcast("release", "--check", release, "--json").stdout)["findings"]
    assert ("train.tsv", 2, "positive") in {(item["file"], item["line"], item["rule"]) for item in found}


def test_diff_tells_every_kind_of_change(tmp_path: Path) -> None:
    old = [
        session("gone", review("ann", NO_CALLS)),
        session("same", review("ann", CALLS, [(1, 2), (10, 12)])),
        session("state", review("ann", NO_CALLS)),
    ]
    boxes = review("ann", CALLS, [(1.2, 2), (20, 21)])
    relabelled = replace(boxes, annotations=(replace(boxes.annotations[0], call_type="S01"), boxes.annotations[1]))
    new = [
        session("new", review("ann", CALLS, [(3, 4)])),
        session("same", relabelled),
        session("state", review("ann", CALLS, [(1, 2)])),
    ]
    released(old, tmp_path, ReleaseOptions("old", with_audio=False))
    released(new, tmp_path, ReleaseOptions("new", with_audio=False, previous=str(tmp_path / "old")))
    result = podcast("release", "--diff", tmp_path / "old", tmp_path / "new", "--json")
    assert result.exit_code == 0, result.output
    changes = [tuple(item.values()) for item in json.loads(result.stdout)["changes"]]
    assert changes == [
        ("gone", "session_removed", "no_calls", ""),
        ("new", "session_added", "", "calls"),
        ("new", "box_added", "", "3.0 to 4.0 s Call certain"),
        ("same", "box_moved", "1.0 to 2.0 s", "1.2 to 2.0 s"),
        ("same", "box_relabelled", "1.0 to 2.0 s Call certain", "1.2 to 2.0 s Call S01 certain"),
        ("same", "box_removed", "10.0 to 12.0 s Call certain", ""),
        ("same", "box_added", "", "20.0 to 21.0 s Call certain"),
        ("state", "state_changed", "no_calls", "calls"),
        ("state", "box_added", "", "1.0 to 2.0 s Call certain"),
    ]
    changelog = (tmp_path / "new" / "CHANGELOG").read_text()
    assert changelog.startswith("## new\n\n- 1 session added\n- 1 session removed\n- 1 state changed\n- 3 box added\n")
    assert changelog.endswith("## old\n\nFirst release: 3 sessions.\n")


def test_a_release_that_follows_another_keeps_its_splits(tmp_path: Path) -> None:
    sessions = spread(30, review("ann", CALLS, [(1, 2)]))
    released(sessions[::2], tmp_path, ReleaseOptions("one", with_audio=False))
    released(sessions, tmp_path, ReleaseOptions("two", with_audio=False, previous=str(tmp_path / "one")))
    one, two = ({row["session_id"]: row["split"] for row in rows(tmp_path / name / "sessions.csv")} for name in ("one", "two"))
    assert {name: two[name] for name in one} == one
    close = replace(sessions[0], id="close", recording=replace(sessions[0].recording, uri="x"))  # the time of a session of `one`
    released([close], tmp_path, ReleaseOptions("three", with_audio=False, previous=str(tmp_path / "one")))
    assert rows(tmp_path / "three" / "sessions.csv")[0]["split"] == one[sessions[0].id]


def test_a_live_round(studio: LabelStudio, tmp_path: Path) -> None:
    name = "release-of-a-live-round"
    sessions = spread(5, review("", CALLS, [(1.5, 2.75)]))
    sessions[1] = replace(sessions[1], reviews=(review("", NO_CALLS),))
    sessions[2] = replace(sessions[2], reviews=())
    for seed, item in enumerate(sessions):
        write_noise(studio.audio / f"{item.id}.wav", 60, 1000, seed)
    project = studio.server.sdk.projects.create(title=name, label_config=CONFIG.xml).id
    target = Target(studio.server, project, name, CONFIG, lambda item: f"/data/local-files/?d=audio/{item.id}.wav")
    assert sync(target, sessions).refusals == []
    result = podcast("release", "--round", name, "--to", tmp_path, "--name", "live", "--json", **studio.env)
    assert result.exit_code == 0, result.output
    states = {row["session_id"]: row["review_state"] for row in rows(tmp_path / "live" / "sessions.csv")}
    expected = dict.fromkeys((item.id for item in sessions), "calls")
    assert states == expected | {sessions[1].id: "no_calls", sessions[2].id: "unreviewed"}
    assert len(list((tmp_path / "live" / "wav").iterdir())) == 4  # nobody has listened to the fifth
    assert {row["start_time_s"] for row in rows(tmp_path / "live" / "annotations.csv")} == {"1.5"}
    assert studio.account.email not in (tmp_path / "live" / "reviews.csv").read_text()
    assert podcast("release", "--check", tmp_path / "live").exit_code == 0


@pytest.mark.parametrize("words", [("--name", "x"), ("--to", "x", "--file", "y"), ("--to", "x", "--name", "a/b", "--file", "{}")])
def test_what_is_missing_is_said(words: tuple[str, ...], tmp_path: Path) -> None:
    export = write_export(tmp_path / "export.json", [])
    result = podcast("release", *(word.format(export) for word in words))
    assert result.exit_code == 2
    assert "--name" in result.output
