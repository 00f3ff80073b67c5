"""The recipe *rules and scores*: what is learned from whom, what is never learned from, and the folder that a run leaves."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from huggingface_hub import ModelCard

from cli.main import cli
from detectors import load_detector
from detectors.energy import EnergyDetector
from detectors.frames import Frames
from detectors.registry import Registry
from evaluation.calibration import calibration
from evaluation.edits import edits
from evaluation.scoring import Span
from podcast import audio
from podcast.errors import InputError
from podcast.model import Certainty, Detection, Outcome, Review, ReviewState, SoundEvent
from podcast.report import Report
from tests.detectors.test_energy import add_call, sea
from tests.releases.sessions import RUN, box, review, session, spread
from training.compared import answers, compare
from training.reviewed import lessons, remember, remembered, reviewed
from training.rules import Example, fit, on_calls

CALLS, NO_CALLS = ReviewState.CALLS, ReviewState.NO_CALLS
CUT = EnergyDetector.fixed_cut


def recording(seed: int, group: str) -> Example:
    """A minute with three long calls and five short, weaker sounds that are none, told apart by length and strength alone."""
    rng = np.random.default_rng(seed)
    strength = rng.uniform(0, 2, 6000).astype(np.float32)
    calls = []
    for number, slot in enumerate(rng.permutation(np.arange(200, 5800, 600))[:8]):
        length = int(rng.integers(80, 140)) if number < 3 else int(rng.integers(19, 30))
        strength[slot : slot + length] = rng.uniform(40, 80) if number < 3 else rng.uniform(16, 45)
        if number < 3:
            calls.append(Span(slot * 0.01, length * 0.01))
    return Example(group, Frames(strength, 0.01, 60.0), tuple(calls))


def test_rules_learn_which_boxes_people_keep_on_recordings_that_they_never_saw() -> None:
    taught = [recording(seed, f"tape {seed % 5}") for seed in range(20)]
    rules = fit(taught, "energy", "1", CUT)
    held = [recording(seed, "other") for seed in range(100, 110)]
    before = sum(edits(CUT.events(one.frames)[1], one.calls, 60).count for one in held)
    after = sum(edits([event for event, _ in rules.boxes(one.frames)], one.calls, 60).count for one in held)
    assert before >= 40  # five wrong boxes in each of ten, give or take
    assert after <= 0.2 * before
    assert [count for count, _ in rules.held_out] == [3] * 20
    scored = [on_calls(rules.boxes(one.frames), one.calls) for one in held]
    assert (calibration(scored).error or 0) < 0.1


def test_boxes_on_what_nobody_was_sure_of_teach_nothing() -> None:
    taught = [recording(seed, f"tape {seed % 5}") for seed in range(10)]
    doubtful = [replace(one, unsure=(SoundEvent(0.0, 60.0),)) for one in taught]
    with pytest.raises(InputError, match="nothing tells right boxes from wrong ones"):
        fit(doubtful, "energy", "1", CUT)  # every box that is no call lies on something uncertain
    boxes = [(SoundEvent(1, 2), 0.9), (SoundEvent(5, 6), 0.8), (SoundEvent(8, 9), 0.7)]
    assert on_calls(boxes, [SoundEvent(1, 2)], [SoundEvent(5.5, 5.6)]) == [(0.9, 1), (0.7, 0)]


def test_one_recording_cannot_teach() -> None:
    with pytest.raises(InputError, match="30 calls in 1 recordings cannot teach"):
        fit([recording(seed, "tape") for seed in range(10)], "energy", "1", CUT)


def test_what_people_said_is_read_as_calls_doubts_and_mistakes() -> None:
    prediction = Detection(SoundEvent(30, 31), "Call", 0.5, RUN)
    said = (
        box(1, 2, outcome=Outcome.ACCEPTED, detection=replace(prediction, event=SoundEvent(1, 2))),
        box(5, 6, outcome=Outcome.MOVED, detection=replace(prediction, event=SoundEvent(5.5, 6.5))),
        box(9, 10),
        box(12, 13, certainty=Certainty.UNCERTAIN),
        box(15, 16, label="Humpback"),
        box(18, 19, label="Humpback", certainty=Certainty.UNCERTAIN),
        box(21, 22, label="a kraken"),
    )
    beside = [replace(prediction, event=SoundEvent(start, start + 1)) for start in (1.5, 12.5, 18.5)]
    whole = Review("ann", CALLS, said, (prediction, *beside))
    report = Report()
    [one, none] = reviewed(
        [
            session("a", whole),
            session("b", review("ann", NO_CALLS)),
            session("c", review("ann", ReviewState.UNSURE, [(1, 2)])),
            session("d", review("ann", ReviewState.SKIPPED)),
            session("e"),
        ],
        report,
    )
    assert [event.start_s for event in one.calls] == [1, 5, 9]
    assert [event.start_s for event in one.unsure] == [12, 18, 21]
    assert [(label, event.start_s) for label, event in one.others] == [("Humpback", 15)]
    assert one.deleted == (SoundEvent(30, 31),)  # the other boxes that were deleted lie on a call, or on a doubt
    assert (none.name, none.calls) == ("b", ())
    assert report.counts["unsure"] == report.counts["skipped"] == report.counts["unreviewed"] == 1


def test_twenty_sessions_are_needed_and_what_was_test_stays_test(tmp_path: Path) -> None:
    sessions = reviewed(spread(30, review("ann", CALLS, [(1, 2)])), Report())
    with pytest.raises(InputError, match=r"19 sessions are reviewed.* 1 are missing"):
        lessons(sessions[:19], {})
    first = lessons(sessions[:20], {})
    assert first.tested and {item.name for item in first.learned}.isdisjoint(item.name for item in first.tested)
    (tmp_path / "one").mkdir()
    remember(tmp_path / "one", first.splits)
    # A release had one of the learned sessions as test: from then on nobody learns from it.
    moved = first.learned[0].name
    later = lessons(sessions, remembered(tmp_path / "two", [{moved: "test"}]))
    tested = {item.name for item in later.tested}
    assert {item.name for item in first.tested} | {moved} <= tested
    assert tested.isdisjoint(item.name for item in later.learned)
    assert {item.name for item in lessons(sessions[:20], {}).learned} == {item.name for item in first.learned}
    (tmp_path / "one" / "splits.json").write_text('{"a": "exam"}')
    with pytest.raises(InputError, match=r"one/splits\.json: expected the split"):
        remembered(tmp_path / "two")


def test_what_is_close_to_an_earlier_test_is_never_learned_from_also_when_that_session_is_gone() -> None:
    sessions = reviewed(spread(30, review("ann", CALLS, [(1, 2)])), Report())
    tape = reviewed([session(f"OS_9_27_2017_08_25_00__000{number}", review("ann", NO_CALLS)) for number in (0, 1)], Report())
    earlier = {"OS_9_27_2017_08_25_00__0007": "test", sessions[0].name: "train"}
    fresh = lessons([*sessions, *tape], earlier)
    assert set(tape) <= set(fresh.tested) and sessions[0] in fresh.learned
    # Two runs dealt them apart, not knowing of each other.
    torn = lessons([*sessions, *tape], {**earlier, tape[0].name: "train"})
    assert not set(tape) & set(torn.learned) and tape[0] not in torn.tested


def test_recordings_that_are_named_are_the_test_and_all_others_are_learned_from() -> None:
    sessions = reviewed(spread(30, review("ann", CALLS, [(1, 2)])), Report())
    dealt = lessons(sessions[:5], {}, fewest=0, hold_out=[sessions[3].name])
    assert [item.name for item in dealt.tested] == [sessions[3].name]
    assert len(dealt.learned) == 4 and set(dealt.splits.values()) == {"train", "test"}


def test_calibration_by_hand() -> None:
    # 0.15: one of four lies on a call, 0.1 off; 0.85: all of six, 0.15 off.
    found = calibration([[(0.15, 1), (0.15, 0), (0.85, 1), (0.85, 1), (0.85, 1)], [(0.15, 0), (0.15, 0), *[(0.85, 1)] * 3]])
    assert [(one.low, one.boxes, one.on_calls, one.share) for one in found.bins] == [(0.1, 4, 1, 0.25), (0.8, 6, 6, 1.0)]
    assert found.error == pytest.approx(0.4 * 0.1 + 0.6 * 0.15)
    assert calibration([[(1.0, 1)]]).bins[0].high == 1.0
    assert calibration([[]]).error is None and calibration([[]]).by_chance is None


def test_few_boxes_miss_their_confidence_by_chance() -> None:
    """Of n boxes of 0.5 the share on calls has a standard deviation of 0.5 / sqrt(n), so its mean distance is that times
    sqrt(2 / pi), and 95 % lie within 1.96 times it."""
    mean, high = calibration([[(0.5, 1)] * 400], draws=2000).by_chance or (0.0, 0.0)
    assert mean == pytest.approx(0.025 * math.sqrt(2 / math.pi), rel=0.06)
    assert high == pytest.approx(0.025 * 1.96, rel=0.06)
    assert calibration([[(0.5, 0)]]).by_chance == (0.5, 0.5)
    assert calibration([[(1.0, 1), (0.0, 0)]]).by_chance == (0.0, 0.0)


def test_the_command_learns_from_a_table_and_its_rules_are_served(tmp_path: Path) -> None:
    wavs, lines = tmp_path / "wav", ["wav_filename\tstart_time_s\tduration_s"]
    for number in range(24):
        samples = sea(10, seed=number, rate=8000)
        for start in (1.0, 4.0, 7.0):
            add_call(samples, start, 0.8, rate=8000)
        lines += [f"tape{number:02}.wav\t{start}\t0.8" for start in (1.0, 4.0)]  # people say that the third is none
        audio.write_wav(str(wavs / f"tape{number:02}.wav"), samples, 8000)
    table, run = tmp_path / "truth.tsv", tmp_path / "runs" / "one"
    table.write_text("\n".join(lines) + "\n")
    arguments = ["train", "--recipe", "rules", "--truth", str(table), "--audio", str(wavs), "--to", str(run), "--json"]
    result = CliRunner().invoke(cli, [*arguments, "--start-from", "energy"])
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    files = {"config.json", "rules.json", "README.md", "scores.json", "reliability.png"}
    assert {path.name for path in run.iterdir()} == files | {"splits.json"}
    model = Registry(str(tmp_path / "models")).add(run)
    assert {path.name for path in Path(model.uri).iterdir()} == files
    assert (model.parent, model.recipe) == ("energy:1-b2c6129f", "rules")
    assert model.counts["sessions"] == scores["learned_sessions"]
    assert str(load_detector(model.spec).model_run) == f"energy:{model.version}"
    assert ModelCard((run / "README.md").read_text()).data.to_dict()["model-index"][0]["name"] == "energy"  # type: ignore[no-untyped-call]
    answered = answers(model.scores(), "scores.json")
    [*_, (_, (all_of_it, _))] = compare(answered, answered).rows
    assert all_of_it.edits.as_dict() == {**scores["after"], "name": "all"}  # made of the boxes that are kept, of each recording
    assert scores["learned_sessions"] + scores["tested_sessions"] == 24 and scores["tested_sessions"] >= 2
    assert scores["before"]["from_nothing_a_minute"] == pytest.approx(12.0)
    assert scores["after"]["edits_a_minute"] <= scores["before"]["edits_a_minute"]
    assert "Edits a minute" in (run / "README.md").read_text()
    detected = CliRunner().invoke(
        cli, ["detect", str(wavs / "tape00.wav"), "--detector", f"energy,rules={run}/rules.json", "-o", str(tmp_path / "p.tsv")]
    )
    assert detected.exit_code == 0, detected.output
    assert "energy:1-b2c6129f-rules-" in (tmp_path / "p.tsv").read_text()
    refused = CliRunner().invoke(cli, [*arguments, "--seed", "3"])
    assert refused.exit_code == 2 and "--seed belongs to --recipe network" in refused.output


def test_too_small_a_round_is_refused_with_what_is_missing(small_data: Path, tmp_path: Path) -> None:
    export = small_data / "label_studio" / "export.json"
    arguments = ["train", "--recipe", "rules", "--audio", str(tmp_path), "--to", str(tmp_path / "run"), "--start-from", "energy"]
    refused = CliRunner().invoke(cli, [*arguments, "--file", str(export)])
    assert refused.exit_code == 2 and "are reviewed, and rules and scores are learned from 20 on" in refused.stderr
    assert not (tmp_path / "run").exists()
    nothing = CliRunner().invoke(cli, arguments)
    assert nothing.exit_code == 2 and "--round, --file or --truth" in nothing.stderr
