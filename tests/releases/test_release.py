"""A release: read back it is the round, its bytes depend on nothing else, and states stay apart."""

from __future__ import annotations

import csv
import hashlib
import random
import tarfile
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importers.base import ReadOptions
from importers.dataset import read
from podcast.errors import InputError, Refusal, StorageError
from podcast.model import Certainty, ModelRun, ReviewState, Session
from podcast.times import parse_session_name
from releases.build import ReleaseOptions, build
from releases.lint import lint
from releases.tables import moment
from tests.conftest import write_noise
from tests.releases.sessions import ROUNDS, review, session, spread

CALLS, NO_CALLS, UNSURE = ReviewState.CALLS, ReviewState.NO_CALLS, ReviewState.UNSURE
TABLES = ReleaseOptions("r", with_audio=False)


def no_address(_round: str, _session: str) -> str:
    return ""


def released(sessions: list[Session], folder: Path, options: ReleaseOptions = TABLES) -> Path:
    build(sessions, str(folder), options, no_address)
    return folder / options.name


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


def with_audio(sessions: list[Session], folder: Path) -> list[Session]:
    """The sessions with a minute of noise each, another for each."""
    folder.mkdir()
    found = []
    for number, item in enumerate(sessions):
        path = write_noise(folder / f"{item.id}.wav", item.recording.duration_s or 10, 1000, number)
        found.append(replace(item, recording=replace(item.recording, audio_uri=str(path))))
    return found


def _pseudonymous(item: Session, names: dict[str, str]) -> Session:
    reviews = tuple(
        replace(
            review,
            annotator=names[review.annotator],
            annotations=tuple(replace(box, annotator=names[review.annotator]) for box in review.annotations),
        )
        for review in item.reviews
    )
    return replace(item, reviews=reviews)


@given(ROUNDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_round_comes_back_whole(sessions: list[Session]) -> None:
    with tempfile.TemporaryDirectory() as folder, patch("releases.build.pictures", return_value=[]):  # slow, and not read back
        release = released(sessions, Path(folder))
        names = {row["annotator"]: row["pseudonym"] for row in rows(Path(folder) / "r.annotators.csv")} | {"": ""}
        back = list(read(str(release), ReadOptions(audio_required=False)))
        assert back == [_pseudonymous(item, names) for item in sorted(sessions, key=lambda item: item.id)]
        assert names.get("annotator-007") in (None, "annotator-007")
        assert list(lint(str(release))) == []


def test_the_same_sessions_give_the_same_bytes(tmp_path: Path) -> None:
    sessions = with_audio(spread(8, review("ann", CALLS, [(1, 2), (3, 4.5)]), review("bob", CALLS, [(1.1, 2)])), tmp_path / "in")
    shuffled = random.Random(1).sample(sessions, len(sessions))
    for folder, given_sessions in (("one", sessions), ("two", shuffled)):
        released(given_sessions, tmp_path / folder, ReleaseOptions("r"))
    digests = [
        {
            path.relative_to(tmp_path / folder): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (tmp_path / folder).rglob("*.*")
        }
        for folder in ("one", "two")
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 8 + 17 + 3  # WAVs, files with a suffix (not CHANGELOG, SHA256SUMS), archive and private tables
    with tarfile.open(tmp_path / "one" / "r.tar.gz") as archive:
        members = archive.getmembers()
        assert [item.name for item in members] == sorted(item.name for item in members)
        assert {(item.mtime, item.uid, item.uname, item.mode) for item in members} == {(0, 0, "", 0o644)}
        content = {item.name: archive.extractfile(item).read() for item in members}  # type: ignore[union-attr]
    assert content == {
        f"r/{p.relative_to(tmp_path / 'one' / 'r')}": p.read_bytes() for p in (tmp_path / "one" / "r").rglob("*") if p.is_file()
    }


def test_states_are_never_mixed_up(tmp_path: Path) -> None:
    reviews = {
        "calls": [review("ann", CALLS, [(1, 2)])],
        "no": [review("ann", NO_CALLS)],
        "unsure": [review("ann", UNSURE, [(5, 6)])],
        "skipped": [review("ann", ReviewState.SKIPPED)],
        "nobody": [],
        "not-looked-at": [review("ann", ReviewState.UNREVIEWED)],
        "skipped-then-no": [review("ann", ReviewState.SKIPPED), review("bob", NO_CALLS)],
    }
    release = released([session(name, *said) for name, said in reviews.items()], tmp_path)
    labels = [row for split in ("train", "dev", "test") for row in rows(release / f"{split}.tsv")]
    assert {(row["wav_filename"], row["start_time_s"], row["duration_s"]) for row in labels} == {
        ("calls.wav", "1.0", "1.0"),
        ("no.wav", "0.0", "0.0"),
        ("skipped-then-no.wav", "0.0", "0.0"),
    }
    assert {row["session_id"]: row["review_state"] for row in rows(release / "sessions.csv")} == {
        "calls": "calls",
        "no": "no_calls",
        "unsure": "unsure",
        "skipped": "skipped",
        "nobody": "unreviewed",
        "not-looked-at": "unreviewed",
        "skipped-then-no": "no_calls",
    }


# UTC of Pacific wall-clock times, by hand: the offset is 8 h in winter and 7 h in summer; in 2020 clocks changed on
# 8 March at 10:00 UTC and on 1 November at 09:00 UTC.
NIGHTS = [
    ("2020_07_25_12_15_00_PDT", "2020-07-25T19:15:10.250Z", "2020-07-25", "12:15:00"),
    ("2020_12_24_23_59_55_PST", "2020-12-25T08:00:05.250Z", "2020-12-24", "23:59:55"),
    ("2020_03_08_01_59_55_PST", "2020-03-08T10:00:05.250Z", "2020-03-08", "01:59:55"),
    ("2020_03_08_03_00_00_PDT", "2020-03-08T10:00:10.250Z", "2020-03-08", "03:00:00"),
    ("2020_11_01_01_30_00_PDT", "2020-11-01T08:30:10.250Z", "2020-11-01", "01:30:00"),
    ("2020_11_01_01_30_00_PST", "2020-11-01T09:30:10.250Z", "2020-11-01", "01:30:00"),
    ("2020_11_01_00_59_59_PDT", "2020-11-01T08:00:09.250Z", "2020-11-01", "00:59:59"),
]


@pytest.mark.parametrize(("name", "utc", "date", "time"), NIGHTS)
def test_utc_of_every_box(name: str, utc: str, date: str, time: str, tmp_path: Path) -> None:
    name = f"rpi_orcasound_lab_{name}"
    item = session(name, review("ann", CALLS, [(10.25, 12)]), start=parse_session_name(name).parent_start)
    release = released([item], tmp_path)
    assert rows(release / "annotations.csv")[0]["start_utc"] == utc
    label = rows(release / "train.tsv")[0]
    assert (label["date"], label["pst_or_master_tape_identifier"]) == (date, time)
    assert list(lint(str(release))) == []


@given(st.integers(1_500_000_000_000, 1_700_000_000_000), st.integers(1, 3_600_000))
def test_utc_is_exact_to_the_millisecond(start_ms: int, offset_ms: int) -> None:
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start_ms)
    assert moment(start, offset_ms / 1000) == f"{np.datetime64(start_ms + offset_ms, 'ms')}Z"  # integers, by numpy's calendar


def test_names_with_semicolons_come_back(tmp_path: Path) -> None:
    runs = tuple(ModelRun(name) for name in ("a;b", "a%3Bb", "50%", "%253B"))
    release = released([session("s", model_runs=runs)], tmp_path)
    (back,) = read(str(release), ReadOptions(audio_required=False))
    assert isinstance(back, Session)
    assert back.model_runs == runs


def test_several_rounds_meet_in_one_session(tmp_path: Path) -> None:
    one = session("s", review("ann", CALLS, [(1, 2)]), round="round1")
    two = session("s", review("bob", CALLS, [(1, 2.1), (7, 8)]), round="round2")
    release = released([two, one], tmp_path)
    (row,) = rows(release / "sessions.csv")
    assert (row["round"], row["review_state"], row["reviewers"]) == ("round1 + round2", "calls", "2")
    boxes = rows(release / "annotations.csv")
    assert [(box["votes"], box["reviewers"], box["certainty"]) for box in boxes] == [
        ("2", "2", "certain"),
        ("1", "2", "uncertain"),
    ]
    with pytest.raises(InputError, match="twice in round 'round1'"):
        released([one, replace(two, round="round1")], tmp_path / "again")


def test_audio_that_was_not_labelled_is_refused(tmp_path: Path) -> None:
    good, other, missing, short = with_audio(spread(4, review("ann", CALLS, [(1, 2)])), tmp_path / "in")
    other = replace(other, recording=replace(other.recording, sha256="0" * 64))
    missing = replace(missing, recording=replace(missing.recording, audio_uri="/nowhere.wav"))
    short = replace(short, recording=replace(short.recording, duration_s=59.0))
    report = build([good, other, missing, short], str(tmp_path), ReleaseOptions("r"), no_address)
    reasons = {str(refusal).split(":")[0]: refusal.reason for refusal in report.refusals}
    assert "not the audio that was labelled" in reasons[f"session {other.id}"]
    assert "--audio" in reasons[f"session {missing.id}"]
    assert "lasts 60.0 s" in reasons[f"session {short.id}"]
    assert [path.name for path in (tmp_path / "r" / "wav").iterdir()] == [f"{good.id}.wav"]
    assert [row["session_id"] for row in rows(tmp_path / "r" / "sessions.csv")] == [good.id]
    assert list(lint(str(tmp_path / "r"))) == []


def test_a_wav_that_holds_something_else_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    """RIFF says little: its samples may be packed in a way that readers of a dataset do not know."""
    good, packed = with_audio(spread(2, review("ann", CALLS, [(1, 2)])), tmp_path / "in")
    path = tmp_path / "in" / f"{packed.id}.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples, rate, format="WAV", subtype="IMA_ADPCM")
    assert path.read_bytes()[:4] == b"RIFF"
    changed = replace(packed, recording=replace(packed.recording, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    options = ReleaseOptions("r", audio=str(tmp_path / "in"))
    report = build([good, changed], str(tmp_path / "to"), options, no_address)
    assert (report.counts["sessions"], report.counts["refused"]) == (1, 1)
    assert "IMA_ADPCM" in report.refusals[0].reason and "ffmpeg" in report.refusals[0].reason


def test_a_finished_release_never_changes(tmp_path: Path) -> None:
    released(spread(1, review("ann", NO_CALLS)), tmp_path)
    with pytest.raises(InputError, match="choose another --name"):
        released(spread(2, review("ann", NO_CALLS)), tmp_path)


def test_a_release_that_broke_off_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = with_audio(spread(3, review("ann", CALLS, [(1, 2)])), tmp_path / "in")
    released(sessions, tmp_path / "whole", ReleaseOptions("r"))

    def full_disk(*_: object) -> None:
        raise StorageError("r.tar.gz: cannot be written (No space left on device)")

    with monkeypatch.context() as broken:
        broken.setattr("releases.build.write_archive", full_disk)  # no real disk can be filled here
        with pytest.raises(StorageError):
            released(sessions, tmp_path / "out", ReleaseOptions("r"))
    assert "finished" in {finding.rule for finding in lint(str(tmp_path / "out" / "r"))}
    released(sessions, tmp_path / "out", ReleaseOptions("r"))
    for path in (path for path in (tmp_path / "whole").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "whole")).read_bytes()


def test_annotators_keep_their_pseudonyms(tmp_path: Path) -> None:
    released(spread(1, review("zoe@x.org", NO_CALLS)), tmp_path)
    options = ReleaseOptions("next", with_audio=False, pseudonyms=str(tmp_path / "r.annotators.csv"))
    release = released(spread(1, review("ann@x.org", NO_CALLS), review("zoe@x.org", NO_CALLS)), tmp_path, options)
    assert [row["annotator"] for row in rows(release / "reviews.csv")] == ["annotator-002", "annotator-001"]
    assert not any("@x.org" in path.read_text() for path in release.glob("*.*") if path.suffix != ".png")


def test_a_name_with_an_impossible_date_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    items: list[Session | Refusal] = [
        session("OS_13_45_2017_00_00_00__0001"),
        session("good"),
        Refusal("task 9", "broken"),
    ]
    report = build(items, str(tmp_path), TABLES, no_address)
    assert (report.counts["refused"], report.counts["sessions"]) == (2, 1)


def test_uncertain_boxes_are_told_apart(tmp_path: Path) -> None:
    said = review("ann", CALLS, [(1, 2), (3, 4)])
    said = replace(said, annotations=(replace(said.annotations[0], certainty=Certainty.UNCERTAIN), said.annotations[1]))
    release = released([session("s", said)], tmp_path)
    assert [row["certainty"] for row in rows(release / "annotations.csv")] == ["uncertain", "certain"]
    assert "1 of 2 boxes are uncertain" in (release / "README.md").read_text()


def test_a_previous_changelog_that_is_no_text_is_named(tmp_path: Path) -> None:
    first = released([session("a", review("ann", CALLS, [(1, 2)]))], tmp_path)
    (first / "CHANGELOG").write_bytes(b"caf\xe9\n")
    options = ReleaseOptions("next", with_audio=False, previous=str(first))
    with pytest.raises(InputError, match="CHANGELOG, line 1: not UTF-8"):
        build([session("a", review("ann", CALLS, [(1, 2)]))], str(tmp_path), options, no_address)
