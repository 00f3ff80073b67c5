"""Released datasets of all known variants as sessions: no box lost, no tag guessed, old rounds come out clean."""

from __future__ import annotations

import csv
import logging
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importers.base import ReadOptions
from importers.dataset import read
from importers.tags import meaning
from labelstudio.labels import LabelConfig
from labelstudio.tasks import to_task
from podcast.errors import InputError, Refusal
from podcast.model import Certainty, ReviewState, Session, SoundEvent
from podcast.reviews import review_state
from releases.build import ReleaseOptions
from releases.lint import lint
from tests.conftest import write_noise
from tests.releases.test_release import released, rows

ANYWHERE = ReadOptions(audio_required=False)


def sessions(folder: Path, table: str, options: ReadOptions = ANYWHERE, name: str = "train.tsv") -> list[Session]:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join("\t".join(line.split(" | ")) for line in table.splitlines()) + "\n")
    found = list(read(str(folder), options))
    assert not any(isinstance(item, Refusal) for item in found)
    return [item for item in found if isinstance(item, Session)]


def test_the_523_intervals_of_test_round_1(small_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = small_data / "labels" / "podcast_eval" / "podcast_test_round1.test.tsv"
    with source.open(newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    (found,) = read(str(source), ANYWHERE)
    assert isinstance(found, Session)
    boxes = found.reviews[0].annotations
    assert len(boxes) == len(lines) == 523
    expected = sorted((round(float(row["start_time_s"]), 3), round(float(row["duration_s"]), 3)) for row in lines)
    assert sorted((item.event.start_s, item.event.duration_s) for item in boxes) == expected
    # Tags, counted by hand: 340 calls (4 misspelt), 105 question marks (2 with spaces), 58 with a type, 16 buzzes, 3 whistles.
    assert Counter(item.certainty for item in boxes) == {Certainty.CERTAIN: 418, Certainty.UNCERTAIN: 105}
    types = Counter(item.call_type for item in boxes)
    assert (types[""], types["Buzz"], types["Whistle"], types["S16"], types["S10"], types["S03"]) == (445, 16, 3, 13, 9, 5)
    assert Counter(item.note for item in boxes)["call type uncertain"] == 15
    assert not caplog.records
    assert (found.recording.source_guid, found.recording.start) == ("rpi_orcasound_lab", datetime(2019, 7, 5, 15, 24, tzinfo=UTC))
    (annotation,) = to_task(replace(found, round="r"), "/a.wav", LabelConfig.load())["annotations"]
    assert sum(region["type"] == "labels" for region in annotation["result"]) == 523  # Label Studio can show them all
    release = released([found], tmp_path)
    assert len(rows(release / "annotations.csv")) == 523
    assert list(lint(str(release))) == []


@pytest.mark.parametrize(
    ("tag", "call_type", "certainty", "note"),
    [
        ("call", "", "certain", ""),
        ("ca ll", "", "certain", ""),
        ("CALL (S3)", "S03", "certain", ""),
        ("call  (S16?)", "S16", "certain", "call type uncertain"),
        (" ? ", "", "uncertain", ""),
        ("HF buzz", "Buzz", "certain", "high frequency"),
        ("", "", "certain", ""),
        ("moo", "", "uncertain", "tag: moo"),
        ("call (X3)", "", "uncertain", "tag: call (X3)"),
    ],
)
def test_what_tags_mean(tag: str, call_type: str, certainty: str, note: str) -> None:
    found = meaning(tag)
    assert (found.call_type, found.certainty, found.note) == (call_type, certainty, note)


def test_unknown_tags_are_kept_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = "wav_filename | start_time_s | duration_s | tag\na.wav | 1 | 1 | moo\na.wav | 3 | 1 | moo\na.wav | 5 | 1 | call"
    with caplog.at_level(logging.WARNING):
        (found,) = sessions(tmp_path / "r", table)
    assert len(found.reviews[0].annotations) == 3
    assert "unknown tag 'moo', 2 times" in caplog.text


HEAD = "dataset | wav_filename | start_time_s | duration_s | location | date | pst_or_master_tape_identifier"
MINUTE = "OS_7_25_2020_12_15_00__0000"
NO_HINT = "node2-minute"


@pytest.mark.parametrize(
    ("table", "start", "node"),
    [
        (
            f"{HEAD}\nr5 | {NO_HINT}.wav | 1.5 | 2.4499999999999993 | orcasound_lab | 2020-07-25 | 12:15:00",
            "19:15",
            "orcasound_lab",
        ),
        (f" | {HEAD}\n0 | r5 | {NO_HINT}.wav | 1.5 | 2.45 | Port Townsend | 07/25/2020 | 12:15:00", "19:15", "port_townsend"),
        (
            "wav_filename | start_time_s | duration_s | location | date | data_source | data_source_id\n"
            f"{NO_HINT}.wav | 1.5 | 2.45 | Bush Point Hydrophone | 2020_07_25 | r5 | 12:15:00",
            "19:15",
            "bush_point",
        ),
        (
            f"{HEAD}\nr5 | {MINUTE}.wav | 1.5 | 2.45 | orcasound_lab | 2020-07-25 | 23:59:59",
            "19:15",
            "orcasound_lab",
        ),  # name wins
    ],
)
def test_variants(table: str, start: str, node: str, tmp_path: Path) -> None:
    (found,) = sessions(tmp_path / "r", table)
    assert found.recording.start == datetime.fromisoformat(f"2020-07-25T{start}:00+00:00")
    assert found.recording.source_guid == f"rpi_{node}"
    assert found.round == "r5"
    assert [item.event for item in found.reviews[0].annotations] == [SoundEvent(1.5, 3.95)]


def test_tapes_have_no_time(tmp_path: Path) -> None:
    table = f"{HEAD}\nr1 | 60012.wav | 1 | 2 | Seattle, Puget Sound, Washington |  | 60012"
    (found,) = sessions(tmp_path / "r", table)
    assert (found.recording.start, found.absolute_time) == (None, "60012")
    assert found.recording.source_guid == "Seattle, Puget Sound, Washington"


def test_zeros_silence_and_contradictions(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    (folder / "wav").mkdir(parents=True)
    for seed, name in enumerate(("silent", "both", "nobody")):
        write_noise(folder / "wav" / f"{name}.wav", 10, 1000, seed)
    lines = ("silent.wav | 0.0 | 0.0", "both.wav | 0 | 0", "both.wav | 1 | 1")
    table = "\n".join([HEAD, *(f"r | {line} | x | - | -" for line in lines)])
    found = {item.id: item for item in sessions(folder, table)}
    states = {name: review_state(item) for name, item in found.items()}
    assert states == {"silent": ReviewState.NO_CALLS, "both": ReviewState.UNSURE, "nobody": ReviewState.UNREVIEWED}
    assert found["silent"].recording.duration_s == 10.0


def test_one_bad_line_refuses_its_session_alone(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text(
        "wav_filename\tstart_time_s\tduration_s\na.wav\t1\t2\na.wav\tsoon\t2\nb.wav\t1\t2\nc.wav\t5\t-1\nd.wav\t1\n"
    )
    found = list(read(str(tmp_path), ANYWHERE))
    refused = [item for item in found if isinstance(item, Refusal)]
    assert [item.id for item in found if isinstance(item, Session)] == ["b"]
    assert [f"line {number}" in item.reason for item, number in zip(refused, (3, 5, 6), strict=True)] == [True] * 3


def test_boxes_can_come_as_prelabels(tmp_path: Path) -> None:
    table = f"{HEAD}\nr5 | {MINUTE}.wav | 1.5 | 2.45 | orcasound_lab | 2020-07-25 | 12:15:00"
    (found,) = sessions(tmp_path / "r", table, ReadOptions(audio_required=False, model_version="pod.cast:r5"))
    assert (review_state(found), [str(item.model_run) for item in found.detections]) == (ReviewState.UNREVIEWED, ["pod.cast:r5"])


def test_what_is_no_dataset(small_data: Path) -> None:
    with pytest.raises(InputError, match=r"there is no \.tsv table"):
        list(read(str(small_data / "labels" / "rounds"), ANYWHERE))
    with pytest.raises(InputError, match="predictions"):
        list(read(str(small_data / "labels" / "podcast_eval" / "FastAI-ResNet50_R1to12.tsv"), ANYWHERE))


def test_a_release_with_a_stray_line_says_so(tmp_path: Path) -> None:
    source = tmp_path / "old"
    (found,) = sessions(source, f"{HEAD}\nr5 | {MINUTE}.wav | 1.5 | 2.45 | orcasound_lab | 2020-07-25 | 12:15:00")
    release = released([found], tmp_path, ReleaseOptions("new", with_audio=False))
    with (release / "reviews.csv").open("a") as file:
        file.write("zzz,1,annotator-001,no_calls,,false,0,\n")
    good, stray = read(str(release), ANYWHERE)
    assert isinstance(good, Session)
    assert isinstance(stray, Refusal)
    assert "reviews.csv, line 3" in stray.where


TABLE = "wav_filename\tstart_time_s\tduration_s\n"


def test_a_table_brings_what_it_names_and_a_folder_the_rest_too(tmp_path: Path) -> None:
    for seed, name in enumerate(("named", "other")):
        write_noise(tmp_path / "old" / "wav" / f"{name}.wav", 10, 1000, seed)
    (tmp_path / "old" / "train.tsv").write_text(f"{TABLE}named.wav\t1\t2\n")
    audio = ReadOptions(audio=str(tmp_path / "old" / "wav"))
    for source, options, expected in (
        ("old/train.tsv", audio, ["named"]),
        ("old/train.tsv", ReadOptions(), ["named"]),
        ("old", ReadOptions(), ["named", "other"]),
    ):
        found = [item for item in read(str(tmp_path / source), options) if isinstance(item, Session)]
        assert [item.id for item in found] == expected


def test_a_round_without_a_name_gets_the_folders_or_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "PodCastRound2.1"
    write_noise(folder / "wav" / "other.wav", 10, 1000)
    (folder / "train.tsv").write_text(f"{TABLE}a.wav\t1\t2\n")
    assert {item.round for item in read(str(folder), ANYWHERE) if isinstance(item, Session)} == {"PodCastRound2.1"}
    monkeypatch.chdir(folder)
    assert {item.round for item in read(".", ANYWHERE) if isinstance(item, Session)} == {"PodCastRound2.1"}
    assert {item.round for item in read("train.tsv", ANYWHERE) if isinstance(item, Session)} == {"train"}
    released_again = released([item for item in read(str(folder), ANYWHERE) if isinstance(item, Session)], tmp_path)
    written = [row["dataset"] for split in ("train", "dev", "test") for row in rows(released_again / f"{split}.tsv")]
    assert written == ["PodCastRound2.1"]


def test_a_quote_that_is_never_closed_costs_its_session_and_no_other(tmp_path: Path) -> None:
    lines = [f"{name}.wav\t{start}\t1" for name in "abc" for start in (1, 3)]
    lines[2] = 'b.wav\t"1\t1'
    lines.append('d.wav"\t1\t1')  # in the eyes of the csv module the quote ends here, and the cell is all between
    (tmp_path / "train.tsv").write_text(TABLE + "\n".join(lines) + "\n")
    found = list(read(str(tmp_path), ANYWHERE))
    boxes = {item.id: len(item.reviews[0].annotations) for item in found if isinstance(item, Session)}
    assert boxes == {"a": 2, "c": 2, "d": 1}
    assert ["train.tsv, line 4" in str(item) for item in found if isinstance(item, Refusal)] == [True]


@pytest.fixture(scope="module")
def released_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released")
    lines = "\n".join(f"r5 | {name}.wav | 1.5 | 2.45 | orcasound_lab | 2020-07-25 | 12:1{name}:00" for name in "012")
    return released(sessions(folder / "old", f"{HEAD}\n{lines}"), folder, ReleaseOptions("new", with_audio=False))


@pytest.fixture
def release_of_three(released_once: Path, tmp_path: Path) -> Path:
    """A release of sessions a, b and c, with a box each."""
    return Path(shutil.copytree(released_once, tmp_path / "new"))


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        (
            "review_boxes.csv",
            "1,1,annotator-001,added,1.5",
            '1,1,"annotator-001,added,1.5',
            "review_boxes.csv, line 3: cannot be read",
        ),
        ("review_boxes.csv", "1,1,annotator-001,added,1.5", "1,1,annotator-001,added,-1.5", "an event must have"),
        ("review_boxes.csv", "1,1,annotator-001,added,1.5", "1,1,annotator-001,added,1_5", "review_boxes.csv, line 3"),
        (
            "review_boxes.csv",
            "\n1,1,annotator-001,added,1.5",
            "\n9,1,annotator-001,added,1.5",
            "1 boxes were submitted, and review_boxes.csv holds 0",
        ),
        ("reviews.csv", "1,1,annotator-001,calls", "1,1,annotator-001,cals", "cals"),
        ("reviews.csv", "1,1,annotator-001,calls", "1,1", "reviews.csv, line 3: has"),
        ("sessions.csv", "\n1,r5,", "\n1,r5,\xff", "sessions.csv, line 3: is not UTF-8"),
        ("sessions.csv", "\n1,r5,", "\n1/../../x,r5,", "cannot name a file"),
    ],
)
def test_a_damaged_line_of_a_release_costs_its_session_and_no_other(
    release_of_three: Path, table: str, old: str, new: str, words: str
) -> None:
    path = release_of_three / table
    content = path.read_text()
    assert content.count(old) == 1, content
    path.write_bytes(content.replace(old, new).encode("latin-1"))
    found = list(read(str(release_of_three), ANYWHERE))
    whole = [item for item in found if isinstance(item, Session)]
    assert [(item.id, len(item.reviews[0].annotations)) for item in whole] == [("0", 1), ("2", 1)]
    assert words in " ".join(str(item) for item in found if isinstance(item, Refusal))


def test_the_order_of_a_releases_lines_does_not_matter(release_of_three: Path) -> None:
    before = list(read(str(release_of_three), ANYWHERE))
    for name in ("reviews.csv", "review_boxes.csv"):
        head, *lines = (release_of_three / name).read_text().splitlines()
        (release_of_three / name).write_text("\n".join([head, *reversed(lines)]) + "\n")
    assert list(read(str(release_of_three), ANYWHERE)) == before


def test_a_release_without_one_of_its_columns_is_refused(release_of_three: Path) -> None:
    path = release_of_three / "review_boxes.csv"
    path.write_text(path.read_text().replace("outcome", "became"))
    with pytest.raises(InputError, match=r"columns \['outcome'\] are missing"):
        list(read(str(release_of_three), ANYWHERE))


@given(st.binary(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_bytes_in_a_release_are_refused_or_read(release_of_three: Path, content: bytes) -> None:
    path = release_of_three / "review_boxes.csv"
    head = path.read_bytes().splitlines()[0]
    path.write_bytes(head + b"\n" + content)
    for item in read(str(release_of_three), ANYWHERE):
        assert isinstance(item, Session | Refusal)
