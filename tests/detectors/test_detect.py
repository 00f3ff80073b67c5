"""`podcast detect`: tables, folders and lists, in parallel, resumed, and with bad files among the good."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import detectors
from cli.main import cli
from importers import IMPORTERS
from importers.base import ReadOptions
from podcast import audio
from podcast.audio import Samples
from podcast.model import Detection, ModelRun, Session, SoundEvent

RATE = 8000


class Level:
    """A detector for tests: one box of a second where the recording is loud, with its level as confidence."""

    model_run = ModelRun("level", "1")

    def __init__(self, stop_after: int | None = None) -> None:
        self.calls, self.stop_after, self.lock = 0, stop_after, threading.Lock()

    def detect(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[Detection]]:
        with self.lock:
            self.calls += 1
            if self.stop_after is not None and self.calls > self.stop_after:
                raise KeyboardInterrupt
        answers = []
        for samples, _ in recordings:
            level = round(float(np.abs(samples).max()), 2)
            answers.append([Detection(SoundEvent(0.5, 1.5), "Call", level, self.model_run)] if level > 0.1 else [])
        return answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten recordings of two nodes, their levels 0.05, 0.15, ... 0.95."""
    for i in range(10):
        node = "rpi_bush_point" if i % 2 else "rpi_port_townsend"
        samples = np.full((2 * RATE, 1), i / 10 + 0.05, np.float32)
        audio.write_wav(f"wavs/{node}_2020_09_30_03_5{i}_00_PDT.wav", samples, RATE)
    return tmp_path


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Level], Level]:
    def install(detector: Level) -> Level:
        monkeypatch.setitem(detectors.DETECTORS, "level", lambda _: detector)
        return detector

    return install


def detect(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["detect", "--detector", "level", *arguments])


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def sessions(kind: str, source: str) -> Iterator[Session]:
    for session in IMPORTERS[kind](source, ReadOptions(audio="wavs")):
        assert isinstance(session, Session), session
        yield session


def test_every_session_is_in_the_table_and_reads_back(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level())
    assert detect("wavs", "-o", "p.tsv").exit_code == 0
    table = rows("p.tsv")
    assert [row["wav_filename"] for row in table] == sorted(path.name for path in folder.glob("wavs/*.wav"))
    read = {session.id: session for session in sessions("predictions-tsv", "p.tsv")}
    assert len(read) == 10
    boxes = {name: [(d.event.start_s, d.event.end_s, d.confidence) for d in session.detections] for name, session in read.items()}
    assert boxes["rpi_bush_point_2020_09_30_03_57_00_PDT"] == [(0.5, 1.5, 0.75)]
    assert boxes["rpi_port_townsend_2020_09_30_03_50_00_PDT"] == []
    assert {str(run) for session in read.values() for run in session.model_runs} == {"level:1"}


def test_a_folder_of_json_reads_back_alike(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level())
    assert detect("wavs", "-o", "p.tsv").exit_code == detect("wavs", "--to", "json").exit_code == 0
    from_table, from_json = list(sessions("predictions-tsv", "p.tsv")), list(sessions("podcast-json", "json"))
    assert [session.detections for session in from_json] == [session.detections for session in from_table]
    assert [session.recording.source_guid for session in from_json] == [session.recording.source_guid for session in from_table]


def test_workers_do_not_change_a_byte(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level())
    for workers in ("1", "4"):
        assert detect("wavs", "-o", f"{workers}.tsv", "--workers", workers).exit_code == 0
    assert Path("1.tsv").read_bytes() == Path("4.tsv").read_bytes()


def test_an_interrupted_run_goes_on(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level(stop_after=4))
    assert detect("wavs", "-o", "p.tsv", "--workers", "1").exit_code == 130
    assert not Path("p.tsv").exists()
    second = use(Level())
    assert detect("wavs", "-o", "p.tsv", "--workers", "1").exit_code == 0
    assert second.calls == 6
    assert len(rows("p.tsv")) == 10
    third = use(Level())
    assert detect("wavs", "-o", "p.tsv").exit_code == 0
    assert third.calls == 10


def test_what_changed_since_the_interruption_is_done_again(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level(stop_after=9))
    assert detect("wavs", "-o", "p.tsv", "--workers", "1").exit_code == 130
    first = sorted(folder.glob("wavs/*.wav"))[0]
    audio.write_wav(str(first), np.full((3 * RATE, 1), 0.99, np.float32), RATE)
    again = use(Level())
    assert detect("wavs", "-o", "p.tsv").exit_code == 0
    assert again.calls == 2
    assert float(rows("p.tsv")[0]["confidence"]) == 0.99


def test_bad_files_are_refused_and_the_rest_goes_on(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level())
    Path("wavs/broken.wav").write_bytes(b"RIFF nothing")
    twin = next(folder.glob("wavs/rpi_bush*.wav"))
    audio.write_wav(f"more/{twin.name}", np.zeros((RATE, 1), np.float32), RATE)
    result = detect("wavs", "more", "missing.wav", "-o", "p.tsv", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (report["sessions"], report["refused"]) == (10, 3)
    reasons = {refusal["where"]: refusal["reason"] for refusal in report["refusals"]}
    assert "not readable as audio" in reasons["wavs/broken.wav"]
    assert "same file name as" in reasons[f"more/{twin.name}"]
    assert "no such file" in reasons["missing.wav"]


def test_both_lists_in_one_run(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level())
    lists = ["--candidates", "yes.tsv", "--negatives", "no.tsv", "--high", "0.8", "--low", "0.3"]
    assert detect("wavs", "-o", "p.tsv", *lists).exit_code == 0
    assert [float(row["highest_confidence"]) for row in rows("yes.tsv")] == [0.95, 0.85]
    assert sorted(float(row["highest_confidence"]) for row in rows("no.tsv")) == [0, 0.15, 0.25]


def test_thresholds_by_hydrophone(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level())
    assert detect("wavs", "-o", "p.tsv", "--threshold", "0.8", "--threshold", "rpi_bush_point=0.3").exit_code == 0
    kept = sorted(float(row["confidence"]) for row in rows("p.tsv") if row["duration_s"] != "0.0")
    assert kept == [0.35, 0.55, 0.75, 0.85, 0.95]
    assert len(rows("p.tsv")) == 10
    assert detect("wavs", "--threshold", "loud").exit_code == 2


def test_a_low_threshold_that_the_detector_cannot_answer_for_is_refused(folder: Path, use: Callable[[Level], Level]) -> None:
    detector = use(Level())
    detector.threshold = 0.5  # type: ignore[attr-defined]
    result = detect("wavs", "-o", "p.tsv", "--negatives", "no.tsv", "--low", "0.2")
    assert result.exit_code == 2
    assert "reports nothing below 0.5" in result.output


def test_the_detector_of_the_settings_is_the_default(
    folder: Path, use: Callable[[Level], Level], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Level())
    monkeypatch.setenv("ML_DETECTOR", "level")
    assert CliRunner().invoke(cli, ["detect", "wavs", "-o", "p.tsv"]).exit_code == 0
    assert {row["model_version"] for row in rows("p.tsv")} == {"level:1"}


def test_one_impossible_name_is_refused_and_the_rest_is_detected(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level())
    audio.write_wav("wavs/OS_13_40_2017_08_25_00__0001.wav", np.zeros((RATE, 1), np.float32), RATE)
    result = detect("wavs", "-o", "p.tsv", "--threshold", "rpi_bush_point=0.3")
    assert result.exit_code == 2 and "no possible date" in result.stderr
    assert len(rows("p.tsv")) == 10


def test_a_folder_by_its_old_option_works_with_a_notice(folder: Path, use: Callable[[Level], Level]) -> None:
    use(Level())
    assert "notice: a folder is named by --to" in detect("wavs", "-o", "old").stderr
    assert detect("wavs", "--to", "new").stderr == ""
    assert [path.read_bytes() for path in sorted(Path("old").iterdir())] == [
        path.read_bytes() for path in sorted(Path("new").iterdir())
    ]
    assert detect("wavs", "--to", "new", "-o", "p.tsv").exit_code == 2


@pytest.mark.parametrize("threshold", ["7", "-0.1", "nan", "inf", "rpi_bush_point=2", "x=", "1_0"])
def test_a_threshold_beyond_confidences_is_refused(folder: Path, use: Callable[[Level], Level], threshold: str) -> None:
    detector = use(Level())
    result = detect("wavs", "--threshold", threshold)
    assert (result.exit_code, detector.calls) == (2, 0)
    assert "expected a number from 0 to 1" in result.stderr
