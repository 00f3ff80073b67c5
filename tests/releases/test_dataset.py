"""Released datasets of all known variants as sessions: no box lost, no tag guessed, old rounds come out clean."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

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
