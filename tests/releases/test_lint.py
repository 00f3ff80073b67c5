"""The linter: clean releases pass, and each rule names file and line when it is broken."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path

import pytest

from exporters.dclde import COLUMNS
from podcast.errors import InputError
from podcast.model import Heard, ReviewState
from podcast.times import parse_session_name
from releases.build import ReleaseOptions, build
from releases.lint import lint
from releases.lint_dclde import broken_rules
from tests.releases.sessions import review, session, spread
from tests.releases.test_release import no_address, with_audio

OWN_NAME = "rpi_orcasound_lab_2020_09_30_03_51_56_PDT"


@pytest.fixture(scope="module")
def released_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten sessions with calls, one without, one unsure, one whose name tells its time; all with audio."""
    heard = Heard(90.0, True, 30.0, 60.0)
    calls = spread(10, review("ann", ReviewState.CALLS, [(1, 2.5), (3, 4)], heard=heard))
    no_calls = spread(1, review("ann", ReviewState.NO_CALLS), node="rpi_bush_point")
    unsure = spread(1, review("ann", ReviewState.UNSURE), node="rpi_sunset_bay")
    named = session(OWN_NAME, review("ann", ReviewState.CALLS, [(1, 2)]), start=parse_session_name(OWN_NAME).parent_start)
    folder = tmp_path_factory.mktemp("released")
    sessions = with_audio([*calls, *no_calls, *unsure, named], folder / "in")
    build(sessions, str(folder), ReleaseOptions("r"), no_address)
    assert list(lint(str(folder / "r"))) == []
    return folder / "r"


@pytest.fixture
def release(released_once: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copytree(released_once, tmp_path / "r"))


def mend_checksums(release: Path) -> None:
    names = sorted(str(path.relative_to(release)) for path in release.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256((release / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (release / "SHA256SUMS").write_text("".join(lines))


def split_of(release: Path, name: str) -> str:
    return next(split for split in ("train", "dev", "test") if f"{name}.wav" in (release / f"{split}.tsv").read_text())


def change(release: Path, file: str, old: str, new: str) -> int:
    """Replace the first `old`, and say in which line it was."""
    text = (release / file).read_text()
    assert old in text
    (release / file).write_text(text.replace(old, new, 1))
    mend_checksums(release)
    return text[: text.index(old)].count("\n") + 1


CHANGES = [
    ("train.tsv", "\t1.0\t1.5\t", "\t1.0\tsoon\t", "number"),
    ("train.tsv", "\t1.0\t1.5\t", "\t-1.0\t1.5\t", "positive"),
    ("train.tsv", "\t1.0\t1.5\t", "\t1.0\t1.5000000000000002\t", "milliseconds"),
    ("train.tsv", "\t3.0\t1.0\t", "\t59.5\t1.0\t", "within-audio"),
    ("train.tsv", "\t3.0\t1.0\t", "\t0.0\t0.0\t", "no-call-row"),
    ("train.tsv", "\t3.0\t1.0\t", "\t1.0\t1.5\t", "twice"),
    ("train.tsv", "\t2020-07-", "\t07/2020/", "date"),
    ("train.tsv", "orcasound_lab-", "lost-", "audio"),
    ("sessions.csv", ",no_calls,", ",negative,", "state"),
    ("sessions.csv", ",unsure,", ",no_calls,", "states-apart"),
    ("sessions.csv", ",train,", ",training,", "split"),
    ("sessions.csv", "T12:00:00.000Z", "T12:00:00.000", "utc"),
    ("sessions.csv", "T12:00:00.000Z", "T11:00:00.000Z", "pacific"),
    ("annotations.csv", ":01.000Z", ":01.001Z", "utc"),
    ("annotations.csv", ",certain,", ",sure,", "certainty"),
    ("annotations.csv", ",certain,1,1,", ",certain,2,1,", "votes"),
    ("annotations.csv", ",1.0,2.5,", ",2.5,2.5,", "positive"),
    ("reviews.csv", ",90.0,true,30.0,60.0,,0.5,true", ",90.0,true,30.0,60.0,,0.6,true", "heard"),
    ("reviews.csv", ",90.0,true,30.0,60.0,,0.5,true", ",90.0,true,30.0,60.0,,0.5,false", "heard"),
    ("reviews.csv", ",90.0,true,", ",90.0,yes,", "heard"),
    ("reviews.csv", ",90.0,true,", ",nan,true,", "heard"),
    ("reviews.csv", "orcasound_lab-0000,1,", "elsewhere,1,", "known-session"),
    ("reviews.csv", ",page_open_s,", ",open_s,", "columns"),
]


@pytest.mark.parametrize(("file", "old", "new", "rule"), CHANGES)
def test_each_rule_names_file_and_line(file: str, old: str, new: str, rule: str, release: Path) -> None:
    line = change(release, file, old, new)
    assert (file, line, rule) in {(item.file, item.line, item.rule) for item in lint(str(release))}


def test_a_name_and_a_time_that_contradict_each_other(release: Path) -> None:
    file = f"{split_of(release, OWN_NAME)}.tsv"
    line = change(release, file, "\t03:51:56", "\t10:51:56")  # UTC where Pacific belongs
    assert (file, line, "pacific") in {(item.file, item.line, item.rule) for item in lint(str(release))}


def test_two_splits_that_share_a_recording(release: Path) -> None:
    text = (release / "sessions.csv").read_text().splitlines()
    first = next(line for line in text if ",train,calls," in line)
    twin = next(line for line in text if ",test,calls," in line)
    change(release, "sessions.csv", twin.split(",")[5], first.split(",")[5])  # the same sha256: the same audio
    faults = [item.message for item in lint(str(release)) if item.rule == "splits"]
    assert len(faults) == 1
    assert "share the audio" in faults[0]


def test_files_that_are_not_what_was_released(release: Path) -> None:
    wav = sorted((release / "wav").iterdir())
    wav[0].unlink()
    wav[1].write_bytes(wav[2].read_bytes())
    (release / "notes.txt").write_text("mine")
    found = {(item.file, item.message) for item in lint(str(release)) if item.rule == "checksum"}
    assert ("SHA256SUMS", f"wav/{wav[0].name} is missing") in found
    assert ("SHA256SUMS", f"wav/{wav[1].name} is not the file that was released") in found
    assert ("notes.txt", "is not in SHA256SUMS") in found
    (release / "SHA256SUMS").unlink()
    assert ("SHA256SUMS", "finished") in {(item.file, item.rule) for item in lint(str(release))}


def test_a_session_in_two_tables(release: Path) -> None:
    line = (release / "train.tsv").read_text().splitlines()[1]
    with (release / "test.tsv").open("a") as file:
        file.write(line + "\n")
    mend_checksums(release)
    assert "one-split" in {item.rule for item in lint(str(release)) if item.file == "test.tsv"}


def test_an_old_release(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(
        "dataset\twav_filename\tstart_time_s\tduration_s\tlocation\tdate\tpst_or_master_tape_identifier\n"
        "r2\tOS_7_05_2019_08_24_00__0001.wav\t1.0\t2.4499999999999993\torcasound_lab\t07/05/2019\t08:24:00\n"
        "r2\tOS_7_05_2019_08_24_00__0003.wav\t1.0\t2.5\torcasound_lab\t2019-07-05\t08:26:55\n"
        "r2\t60012.wav\t1.0\t2.5\twhoi\t\t60012\n"
    )
    (tmp_path / "dev.tsv").write_text(
        (tmp_path / "train.tsv").read_text().splitlines()[0] + "\nr2\tOS_7_05_2019_08_24_00__0004.wav\t1\n"
    )
    found = [(item.file, item.line, item.rule) for item in lint(str(tmp_path))]
    assert sorted(found) == [
        ("README.md", 0, "readme"),
        ("dev.tsv", 2, "cells"),
        ("train.tsv", 2, "date"),
        ("train.tsv", 2, "milliseconds"),
        ("train.tsv", 4, "order"),
    ]


def test_the_real_test_round(small_data: Path) -> None:
    found = Counter(item.rule for item in lint(str(small_data / "labels" / "podcast_eval")))
    assert found["columns"] == 1
    assert found["milliseconds"] == 517
    with pytest.raises(InputError, match="is it a release"):
        list(lint(str(small_data / "labels" / "rounds")))


GOOD = dict(
    zip(
        COLUMNS,
        [
            "a.wav",
            "r",
            "NA",
            "NA",
            "1.0",
            "2.0",
            "2020-07-01T12:00:01.000Z",
            "KW",
            "1",
            "1",
            "SRKW",
            "OrcaSound",
            "Call",
            "wav/a.wav",
            "TRUE",
        ],
        strict=True,
    )
)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"ClassSpecies": "orca"}, "dclde-ClassSpecies"),
        ({"KW": "0"}, "dclde-KW"),
        ({"KW_certain": "NA"}, "dclde-KW_certain"),
        ({"ClassSpecies": "HW", "KW": "0", "KW_certain": "NA"}, "dclde-Ecotype"),
        ({"ClassSpecies": "AB", "KW": "0", "KW_certain": "NA", "Ecotype": "NA"}, "dclde-AnnotationLevel"),
        ({"UTC": "NA"}, "dclde-UTC"),
        ({"UTC": "2020-07-01T12:00:01-07:00"}, "dclde-UTC"),
        ({"FileEndSec": "1.0"}, "dclde-times"),
        ({"LowFreqHz": "low"}, "dclde-frequencies"),
    ],
)
def test_dclde_rules(changes: dict[str, str], rule: str) -> None:
    assert list(broken_rules(GOOD)) == []
    assert rule in {found for found, _ in broken_rules(GOOD | changes)}
