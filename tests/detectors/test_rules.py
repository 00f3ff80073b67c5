"""Learned rules: features and scores by hand, versions, files that are none, and boxes that never overlap."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import load_detector
from detectors.energy import EnergyDetector
from detectors.frames import FEATURES, Frames, features, shape_of
from detectors.rules import BoxRules, Cut, Score, parse_rules
from detectors.thresholds import find, least_probability
from podcast.errors import InputError
from tests.conftest import ROOT
from tests.detectors.test_energy import RATE, add_call, sea

PLAIN = Score((0.0,) * len(FEATURES), (1.0,) * len(FEATURES), (0.0,) * len(FEATURES), 2.0)
RULES = BoxRules("energy", EnergyDetector().strengths, EnergyDetector.fixed_cut, PLAIN, 0.5)


def test_features_by_hand() -> None:
    strength = np.zeros(2000, np.float32)
    strength[100:200], strength[600:700], strength[640] = 4.0, 2.0, 6.0
    lines = np.zeros((2000, 3), np.float32)
    lines[100:200, 1] = 5.0  # one line at 2 kHz, an octave above 1 kHz
    lines[600:700] = [1.0, 0.0, 3.0]  # at 1 and 4 kHz: the mean is 1.5 octaves, the spread the root of 0.75
    frames = Frames(strength, 0.01, 20.0, shape_of(lines, np.array([1000.0, 2000.0, 4000.0])))
    first, second = (dict(zip(FEATURES, row, strict=True)) for row in features([(100, 199), (600, 699)], frames))
    assert first["strength"] == pytest.approx(math.log(4))
    assert (first["peak"], first["length"]) == (pytest.approx(0), pytest.approx(0))  # as strong throughout; 1 s
    assert first["contrast"] == pytest.approx(math.log(1 / 0.02))
    assert first["roughness"] == pytest.approx(4 / 400)  # it changes once inside, at its end
    assert [first[name] for name in ("octaves", "octaves squared", "spread", "top")] == pytest.approx([1, 1, 0, 1], abs=1e-3)
    assert first["bands"] == pytest.approx(math.log(2))
    assert [second[name] for name in ("octaves", "spread", "top")] == pytest.approx([1.5, math.sqrt(0.75), 0.75])
    assert second["peak"] == pytest.approx(math.log(6 / 2.04))
    assert (first["beside"], first["gap"]) == (pytest.approx(math.log(2)), pytest.approx(math.log(6)))  # 5 s away
    assert first["level"] == pytest.approx(math.log((400 + 204) / 2000 / 3.02 + 1e-3))


def test_a_probability_is_the_sigmoid_of_a_sum_and_bounded_where_nothing_was_learned() -> None:
    weights = (2.0,) + (0.0,) * (len(FEATURES) - 1)
    score = replace(PLAIN, mean=(1.0,) * len(FEATURES), scale=(4.0,) * len(FEATURES), weights=weights, bias=-1.0)
    rows = np.ones((3, len(FEATURES)))
    rows[1, 0], rows[2, 0] = 3.0, 1000.0
    by_hand = [1 / (1 + math.exp(1)), 0.5, 1 / (1 + math.exp(-9))]
    assert score.probabilities(rows) == pytest.approx(by_hand)
    mended = replace(score, knots=((0.0, 0.1), (0.5, 0.2), (1.0, 0.4)))
    assert mended.probabilities(rows)[1] == pytest.approx(0.2)


def written(**changes: Any) -> dict[str, Any]:
    return {**RULES.as_dict(), **changes}


def test_the_version_follows_the_rules_and_not_how_their_file_is_written(tmp_path: Path) -> None:
    path, same, other = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"
    path.write_text(json.dumps(written(), indent=1))
    same.write_text(json.dumps(dict(reversed(written().items()))) + "\r\n")
    other.write_text(json.dumps(written(least=0.4)))
    versions = [load_detector(f"energy,rules={file}").model_run.version for file in (path, same, other)]
    assert versions[0] == versions[1] != versions[2]
    assert versions[0].startswith("1-b2c6129f-rules-")
    assert load_detector("energy,rules=fixed").model_run.version == "1-b2c6129f"
    with pytest.raises(InputError, match=r"learned for energy:.*, not for starter"):
        load_detector(f"starter,rules={path}")


def test_the_rules_that_ship_are_those_of_the_detectors_that_ship() -> None:
    for name in ("energy", "starter"):
        learned = load_detector(f"{name},rules=learned")
        assert "-rules-" in learned.model_run.version
    assert load_detector("starter").model_run == load_detector("starter,rules=learned").model_run


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80\x04}q\x00.", "rules.json"),  # a pickle
        (b"[]", "holds no box rules"),
        (json.dumps({"format": 1}).encode(), "'features' is missing"),
        (json.dumps(written(format=99)).encode(), "another version"),
        (json.dumps(written(features=["strength"])).encode(), "another version"),
        (json.dumps(written(least="much")).encode(), "expected a number, not 'much'"),
        (json.dumps(written(cut={**written()["cut"], "off_strength": 99})).encode(), "off_strength <= on_strength"),
        (json.dumps(written(cut={**written()["cut"], "before_s": -1})).encode(), "before_s and after_s"),
        (json.dumps(written(score={**written()["score"], "scale": [0.0] * len(FEATURES)})).encode(), "scale must be above 0"),
        (json.dumps(written(score={**written()["score"], "weights": [0.0]})).encode(), "13 numbers each"),
    ],
)
def test_a_file_that_holds_no_rules_is_refused_by_name(content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=r"rules\.json") as error:
        parse_rules(content, "rules.json")
    assert words in str(error.value)


@given(
    st.lists(st.floats(0, 50, width=32), max_size=300),
    st.sampled_from([0.01, 0.04, 2.0]),
    st.sampled_from([0.05, 0.18, 0.4]),
    st.sampled_from([0.0, 0.15, 0.5]),
    st.sampled_from([0.0, 0.3]),
)
@settings(deadline=None)
def test_boxes_never_overlap_whatever_was_learned(
    strength: list[float], hop_s: float, shortest_s: float, gap_s: float, before_s: float
) -> None:
    cut = Cut(10.0, 4.0, 0.2, gap_s, shortest_s, 5.0, before_s, 0.02)
    _, boxes = cut.events(Frames(np.array(strength, np.float32), hop_s, len(strength) * hop_s))
    assert all(one.end_s <= other.start_s for one, other in pairwise(boxes))
    assert all(0 <= box.start_s < box.end_s <= len(strength) * hop_s + 1e-3 for box in boxes)


def test_a_weak_sound_never_makes_a_box_around_a_strong_one() -> None:
    strength = np.zeros(200, np.float32)
    strength[0:31], strength[45:56], strength[70:101] = 12.0, 50.0, 12.0
    cut = Cut(10.0, 4.0, 0.5, 0.5, 0.1, 5.0, 0.01, 0.01)  # a gap of 0.5 s would reach from the first sound to the last
    found, boxes = cut.events(Frames(strength, 0.01, 2.0))
    assert found == [(0, 30), (45, 55), (70, 100)]
    assert [(box.start_s, box.end_s) for box in boxes] == [(0.0, 0.31), (0.44, 0.56), (0.69, 1.01)]


def test_windows_of_orcahello_become_boxes_by_the_same_rules() -> None:
    from detectors.orcahello_v1 import OrcaHelloV1
    from detectors.resnet import OrcaHelloNet

    # Windows of 3 s every 2 s: the second and third make 2 to 7 s, the fifth 8 to 11 s, as published.
    frames = Frames(np.array([0.1, 0.9, 0.7, 0.1, 0.6], np.float32), 2.0, 12.0, first_s=1.5)
    assert [(box.start_s, box.end_s) for box in OrcaHelloV1.fixed_cut.events(frames)[1]] == [(2.0, 7.0), (8.0, 11.0)]
    own = replace(
        RULES,
        detector="orcahello-v1",
        strengths="0" * 12,
        cut=replace(OrcaHelloV1.fixed_cut, on_strength=1e-9, off_strength=1e-9),
    )
    detector = OrcaHelloV1(OrcaHelloNet(), "0" * 64, precision="fp32", rules=own)
    [boxes] = detector.detect([(sea(8, rate=20_000), 20_000)])
    assert [(box.event.start_s, box.event.end_s) for box in boxes] == [(0.0, 7.0)]  # whole windows alone
    assert detector.model_run.version == f"{'0' * 12}-fp32-rules-{own.digest[:8]}"
    assert np.isfinite(features([(0, 2)], detector.frames(sea(8, rate=20_000), 20_000))).all()


def test_rules_are_served_without_torch_and_without_scikit_learn(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps(RULES.as_dict()))
    samples = sea(10)
    add_call(samples, 4, 1.0)
    np.save(tmp_path / "samples.npy", samples)
    program = f"""
import sys
sys.modules["torch"] = sys.modules["sklearn"] = None  # as if they were not installed
import numpy as np
from detectors import load_detector
detector = load_detector("energy,rules={tmp_path}/rules.json")
for box in detector.detect([(np.load("{tmp_path}/samples.npy"), {RATE})])[0]:
    print(box.event.start_s, box.event.end_s, box.confidence)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    [(start, end, confidence)] = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
    assert abs(start - 4) < 0.12 and abs(end - 5) < 0.12
    assert confidence == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-4)


# Ten recordings, each with 10 calls and 10 boxes: those at 0.9 all lie on calls, of the four at 0.4 two do.
HELD_OUT = tuple((10, ((0.9, 1),) * 6 + ((0.4, 1), (0.4, 0), (0.4, 1), (0.4, 0))) for _ in range(10))


def test_thresholds_are_the_least_that_reach_a_precision_and_the_highest_that_reach_a_recall() -> None:
    assert find("precision", 0.8, HELD_OUT).least == 0.4  # 8 of 10
    found = find("precision", 0.9, HELD_OUT)
    assert (found.least, found.value, found.interval) == (0.9, 1.0, (1.0, 1.0))
    assert (find("recall", 0.6, HELD_OUT).least, find("recall", 0.7, HELD_OUT).least) == (0.9, 0.4)
    assert least_probability("recall:0.7", HELD_OUT) == 0.4
    assert least_probability("0.25", ()) == 0.25


@pytest.mark.parametrize(
    ("words", "held_out", "reason"),
    [
        ("precision:0.9", HELD_OUT[:4], "cannot be told from 4 recordings with 40 calls"),
        ("recall:0.95", HELD_OUT, "no threshold reaches a recall of 0.95"),
        ("precision:0.75", (*HELD_OUT[:3], *((10, ((0.4, 0),) * 4) for _ in range(3))), "too wide to promise"),
        ("certain", HELD_OUT, "expected a number from 0 to 1"),
        ("1.5", HELD_OUT, "expected a number from 0 to 1"),
    ],
)
def test_a_threshold_that_cannot_be_promised_is_refused(words: str, held_out: Any, reason: str) -> None:
    with pytest.raises(InputError, match="threshold: ") as error:
        least_probability(words, held_out)
    assert reason in str(error.value)
