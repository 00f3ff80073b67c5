"""Where calls were passed over: near reports, at the next hydrophones, and where it sounds like what people added."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.missed import clues_of
from detectors import load_detector
from detectors.base import Framed
from detectors.frames import FEATURES
from detectors.impression import Heard, Impression, example, impression, probable
from labelstudio.labels import LabelConfig
from labelstudio.tasks import to_task
from planning.missed import ALIKE, NEIGHBOUR, REPORTED, Clue, Examples, apart_km, missed
from planning.pool import Candidate, Pool
from podcast import audio
from podcast.errors import InputError
from podcast.model import Certainty, Outcome, Recording, Review, ReviewState, Session, SoundEvent
from podcast.report import Report
from podcast.settings import Settings
from tests.releases.sessions import box

LAB, BESIDE, FAR = "rpi_orcasound_lab", "rpi_andrews_bay", "rpi_bush_point"
NOON = datetime(2024, 9, 1, 19, tzinfo=UTC)


def minute(node: str, at: int, alike: float = 0.0) -> Candidate:
    return Candidate(f"{node} {at}", node, NOON + timedelta(minutes=at), "pool", alike=alike)


def test_what_is_near_a_report_in_time_and_place_comes_first() -> None:
    clue = Clue(LAB, NOON, NOON + timedelta(minutes=1))
    pool_of = [minute(node, at) for node in (LAB, BESIDE, FAR) for at in range(-30, 31)]
    with Pool() as pool:
        pool.add([*pool_of, minute(FAR, 600, alike=0.9), minute(LAB, 10_000)])
        pool.hold(f"{LAB} -1", Recording(""))
        found = missed(pool, [clue], 500)
    place = {choice.name: number for number, choice in enumerate(found)}
    reason = {choice.name: choice.planned.reason for choice in found}
    assert f"{LAB} -1" not in place  # somebody has it already
    assert place[f"{LAB} 0"] < place[f"{LAB} -2"] < place[f"{LAB} -10"]
    assert place[f"{LAB} -5"] < place[f"{LAB} 5"]  # who reports has just heard it
    assert place[f"{BESIDE} 0"] < place[f"{FAR} 0"] and place[f"{LAB} -2"] < place[f"{BESIDE} -2"]
    assert place[f"{FAR} 600"] == 0
    assert [reason[name] for name in (f"{LAB} 0", f"{BESIDE} 0", f"{FAR} 600")] == [REPORTED, NEIGHBOUR, ALIKE]
    assert all(choice.planned.probability is None for choice in found)
    with Pool() as pool:
        pool.add(pool_of)
        assert [choice.name for choice in missed(pool, [clue], 5)] == [f"{LAB} {at}" for at in (0, -1, 1, -2, -3)]


def test_distances_are_those_of_the_map() -> None:
    assert apart_km(LAB, BESIDE) == pytest.approx(1.05, abs=0.1)
    assert apart_km(LAB, FAR) == pytest.approx(72, abs=2)
    assert apart_km(LAB, "rpi_nowhere") is None


def call(from_hz: float, to_hz: float, loud: float = 0.2) -> audio.Samples:
    """Five seconds of noise with a sweep of a second in it."""
    rate = 20_000
    wave = np.random.default_rng(round(from_hz)).normal(0, 0.01, 5 * rate)
    at = np.arange(rate) / rate
    wave[2 * rate : 3 * rate] += loud * np.sin(2 * np.pi * (from_hz * at + (to_hz - from_hz) / 2 * at**2)) * np.hanning(rate)
    return wave.astype(np.float32)[:, None]


def test_an_event_like_an_example_counts_twice_as_much_as_one_that_is_like_none() -> None:
    detector = load_detector("energy")
    assert isinstance(detector, Framed)
    rules = probable(detector)
    assert rules
    told, same, other = (
        example(detector.frames(call(low, high, loud), 20_000), 2.1, 2.9)
        for low, high, loud in ((1500, 2200, 0.2), (1500, 2200, 0.05), (6500, 6800, 0.2))
    )
    examples = Examples(rules, [told])
    assert examples.alike([Heard(0, 1, 0.4, told)]) == pytest.approx(0.4)
    fainter, unlike = (examples.alike([Heard(0, 1, 0.4, features)]) for features in (same, other))
    assert 0.2 <= unlike < 0.25 < fainter <= 0.4
    assert examples.alike([]) == Examples(rules).alike([Heard(0, 1, 0.5, told)]) == 0


def test_what_is_too_short_for_an_event_is_heard_with_lower_thresholds() -> None:
    """A quarter of a second: the rules that ship with `energy` begin at .36 s."""
    detector = load_detector("energy")
    samples = call(1500, 2200, 0.0)
    at = np.arange(5000) / 20_000
    samples[40_000:45_000, 0] += (0.05 * np.sin(2 * np.pi * (1500 * at + 350 * at**2)) * np.hanning(5000)).astype(np.float32)
    heard = impression(detector, samples, 20_000)
    assert not heard.events and [round(event.start_s) for event in heard.faint] == [2]


def test_an_impression_is_of_what_is_below_the_threshold_too_and_comes_back_from_a_journal() -> None:
    detector = load_detector("energy")
    samples = call(1500, 2200, 0.03)
    heard = impression(detector, samples, 20_000)
    [shown] = load_detector("energy,rules=learned").detect([(samples, 20_000)])
    assert len(heard.events) >= len(shown) and len(heard.vector) == 14
    assert all(len(event.features) == len(FEATURES) and 0 <= event.chance <= 1 for event in heard.events)
    assert Impression.from_json(json.loads(json.dumps(heard.as_json()))) == heard
    assert impression(detector, samples[:0], 20_000) == Impression((), (), ())


def session(folder: Path, added: bool) -> Session:
    audio.write_wav(str(folder / "heard.wav"), call(1500, 2200), 20_000)
    boxes = (box(2.1, 2.9), box(0.2, 0.5, outcome=Outcome.ACCEPTED), box(3.2, 3.5, label="Humpback"))
    said = Review("ann", ReviewState.CALLS, boxes if added else boxes[1:])
    recording = Recording("heard.wav", LAB, NOON, 5.0, audio_uri=str(folder / "heard.wav"))
    return Session("heard", recording, round="r", reviews=(said,))


def export(folder: Path, found: Session) -> str:
    task = to_task(found, "/data/local-files/?d=wav/heard.wav", LabelConfig.load())
    annotation = {**task["annotations"][0], "id": 1, "completed_by": 1, "updated_at": "2024-09-02T00:00:00Z"}
    path = folder / "export.json"
    path.write_text(json.dumps([{**task, "id": 1, "annotations": [annotation]}]))
    return str(path)


def test_boxes_that_people_added_are_clues_and_examples(tmp_path: Path) -> None:
    (tmp_path / "wav").mkdir()
    settings = Settings(label_studio_local_files_document_root=tmp_path)
    uri = export(tmp_path, session(tmp_path / "wav", added=True))
    report = Report()
    clues, examples = clues_of([uri], load_detector("energy"), settings, report)
    assert clues == [Clue(LAB, NOON + timedelta(seconds=2.1), NOON + timedelta(seconds=2.9))]
    assert examples and len(examples.features) == 1 and not report.warnings
    (tmp_path / "wav" / "heard.wav").unlink()
    clues, examples = clues_of([uri], load_detector("energy"), settings, report)
    assert len(clues) == 1 and examples and not examples.features
    assert "cannot be listened to" in next(iter(report.warnings))
    with pytest.raises(InputError, match="no call that a detector missed"):
        clues_of([export(tmp_path, session(tmp_path / "wav", added=False))], None, settings, report)


def test_reports_that_no_machine_made_are_clues(small_data: Path, tmp_path: Path) -> None:
    path = small_data / "labels" / "pods_ai" / "detections.csv"
    with path.open(newline="", encoding="utf-8") as file:
        human = sum(row["Notes"] == "tp_human_only" for row in csv.DictReader(file))
    clues, _ = clues_of([str(path)], None, Settings(), Report())
    assert len(clues) == human > 0
    bouts = tmp_path / "bouts.json"
    bouts.write_text(json.dumps([{"node": LAB, "startTime": "2024-09-01T19:00:00Z", "endTime": "2024-09-01T19:10:00Z"}]))
    assert clues_of([str(bouts)], None, Settings(), Report())[0] == [Clue(LAB, NOON, NOON + timedelta(minutes=10))]


def test_the_command_lists_where_calls_were_passed_over(tmp_path: Path) -> None:
    table, plan = tmp_path / "p.tsv", tmp_path / "plan.csv"
    names = [f"{LAB}_2024_09_01_{11 + at // 60:02d}_{at % 60:02d}_00_PDT.wav" for at in range(120)]
    table.write_text("wav_filename\tstart_time_s\tduration_s\tconfidence\n" + "".join(f"{name}\t0.0\t0.0\t0\n" for name in names))
    bouts = tmp_path / "bouts.json"
    bouts.write_text(json.dumps([{"node": LAB, "startTime": "2024-09-01T19:00:00Z", "endTime": "2024-09-01T19:01:00Z"}]))
    words = ["plan", str(table), "--missed", str(bouts), "--size", "4", "-o", str(plan), "--no-rounds", "--json"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["reasons"] == {REPORTED: 4}
    with plan.open(newline="") as file:
        rows = list(csv.DictReader(file))
    noon = f"{LAB}_2024_09_01_12_00_00_PDT"
    assert [row["session_id"] for row in rows] == [noon, *(f"{LAB}_2024_09_01_{at}_00_PDT" for at in ("11_59", "12_01", "11_58"))]
    assert {row["probability"] for row in rows} == {""}


def test_uncertain_boxes_that_were_added_count_too() -> None:
    from cli.missed import added_calls

    unsure = replace(box(1, 2), certainty=Certainty.UNCERTAIN)
    found = Session("s", Recording(""), reviews=(Review("ann", ReviewState.CALLS, (unsure,)),))
    assert [item.event for item in added_calls(found)] == [SoundEvent(1, 2)]
