"""The energy detector on calls whose times are known because the test makes them, and on real bouts."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.sessions import SAMPLE_RATE, plan, render
from detectors import load_detector
from detectors.energy import EnergyDetector, EnergyParameters
from detectors.events import events
from podcast import audio
from podcast.errors import InputError
from podcast.model import Detection
from tests.conftest import ROOT

RATE = 48_000


def sea(seconds: float, seed: int = 0, rate: int = RATE) -> audio.Samples:
    """Noise that falls by 6 dB an octave, as a sea does."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(round(seconds * rate)))
    frequency = np.maximum(np.fft.rfftfreq(round(seconds * rate), 1 / rate), 50)
    noise: audio.Samples = np.fft.irfft(spectrum / frequency, round(seconds * rate)).astype(np.float32)
    scaled: audio.Samples = 0.02 * noise[:, None] / noise.std()
    return scaled


def add_call(samples: audio.Samples, start_s: float, length_s: float, level: float = 0.02, rate: int = RATE) -> None:
    """A pulsed call: a fundamental that glides by 150 Hz about 1.2 kHz, with four harmonics."""
    first, frames = round(start_s * rate), round(length_s * rate)
    time = np.arange(frames) / rate
    phase = 2 * np.pi * (1200 * time + 24 * length_s * np.sin(2 * np.pi * time / length_s))
    call = sum(np.sin(k * phase) / k for k in range(1, 6)) * np.minimum(1, np.minimum(time, length_s - time) / 0.01)
    samples[first : first + frames, 0] += level * call


def found(samples: audio.Samples, rate: int = RATE) -> list[Detection]:
    return EnergyDetector().detect([(samples, rate)])[0]


def spans(detections: list[Detection]) -> list[tuple[float, float]]:
    return [(detection.event.start_s, detection.event.end_s) for detection in detections]


@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050])
@pytest.mark.parametrize("channels", [1, 2])
def test_boxes_lie_on_the_calls(rate: int, channels: int) -> None:
    samples = sea(20, rate=rate)
    truth = [(2.0, 2.8), (7.5, 9.0), (15.0, 15.4)]
    for start, end in truth:
        add_call(samples, start, end - start, rate=rate)
    boxes = spans(found(np.repeat(samples, channels, axis=1), rate))
    assert len(boxes) == len(truth)
    assert np.abs(np.array(boxes) - truth).max() < 0.12


def test_a_louder_call_ranks_higher_and_confidence_stays_in_range() -> None:
    samples = sea(15)
    for start, level in [(2, 0.005), (6, 0.02), (10, 0.3)]:
        add_call(samples, start, 1.0, level)
    confidences = [detection.confidence for detection in found(samples)]
    assert len(confidences) == 3
    assert 0 < confidences[0] < confidences[1] < confidences[2] <= 1


def test_plain_sea_has_no_boxes() -> None:
    assert found(sea(60)) == []


def test_clicks_are_no_calls() -> None:
    samples = sea(20)
    samples[RATE * np.arange(1, 19), 0] = 0.9
    samples[RATE * 9 : RATE * 11 : RATE // 20, 0] = 0.9  # an echolocation train, 20 a second
    assert found(samples) == []


def test_a_splash_is_no_call() -> None:
    samples = sea(20)
    for start in (3, 8, 14):
        samples[start * RATE : start * RATE + RATE // 2] += 10 * sea(0.5, seed=start)
    assert found(samples) == []


def test_a_steady_ship_tonal_is_no_call_and_hides_none() -> None:
    samples = sea(20)
    time = np.arange(len(samples)) / RATE
    samples[:, 0] += 0.03 * (np.sin(2 * np.pi * 840 * time) + np.sin(2 * np.pi * 2520 * time)).astype(np.float32)
    add_call(samples, 9, 1.0)
    assert np.abs(np.array(spans(found(samples))) - [(9.0, 10.0)]).max() < 0.12


def test_a_weak_call_beside_a_loud_one_keeps_its_own_box() -> None:
    samples = sea(10)
    add_call(samples, 3, 1.0, 0.2)
    add_call(samples, 4.4, 0.8, 0.01)
    assert len(found(samples)) == 2


@pytest.mark.parametrize("samples", [np.zeros((RATE, 1)), np.zeros((10, 1)), np.zeros((0, 1)), np.full((RATE, 1), np.nan)])
def test_silence_scraps_and_damaged_samples_are_no_calls(samples: audio.Samples) -> None:
    assert found(samples.astype(np.float32)) == []


def test_samples_far_beyond_full_scale_spoil_no_more_than_their_moment() -> None:
    samples = sea(20)
    add_call(samples, 9, 1.0)
    samples[3 * RATE], samples[15 * RATE] = 1e30, np.inf
    assert np.abs(np.array(spans(found(samples))) - [(9.0, 10.0)]).max() < 0.12


@pytest.mark.parametrize("rate", [2000, 2500])
def test_the_lowest_rates_hold_calls_too(rate: int) -> None:
    samples = sea(20, rate=rate)
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * (600 * time + 20 * np.sin(2 * np.pi * time)))
    samples[9 * rate : 10 * rate, 0] += 0.05 * tone.astype(np.float32)
    boxes = spans(EnergyDetector(replace(EnergyParameters(), on_strength=3, off_strength=1)).detect([(samples, rate)])[0])
    assert any(abs(start - 9) < 0.2 and abs(end - 10) < 0.2 for start, end in boxes)


# What the first implementation of this version, in torch, gave: a cache or a round that holds its boxes must stay true.
BOXES_OF_1_B2C6129F = {
    0: [(10.42, 11.24, 0.9502), (46.0, 46.99, 0.9559), (51.25, 52.67, 0.9367)],
    1: [(22.77, 23.41, 0.9494), (30.44, 31.48, 0.9567), (34.56, 35.28, 0.9472), (42.96, 44.44, 0.9428)],
    7: [],
}


@pytest.mark.parametrize("number", BOXES_OF_1_B2C6129F)
def test_the_answers_of_a_version_stay_what_they_were(number: int) -> None:
    detections = found(render(plan()[number], number).astype(np.float32)[:, None], SAMPLE_RATE)
    assert EnergyDetector().model_run.version == "1-b2c6129f"
    boxes = [(round(item.event.start_s, 3), round(item.event.end_s, 3), item.confidence) for item in detections]
    assert boxes == BOXES_OF_1_B2C6129F[number]


def test_a_sample_rate_that_cannot_hold_calls_is_refused() -> None:
    with pytest.raises(InputError, match="1000 Hz"):
        found(sea(2), 1000)


def test_recordings_are_independent_and_threads_agree() -> None:
    first, second = sea(10, seed=1), sea(5, seed=2)
    add_call(first, 2, 1)
    add_call(second, 3, 1)
    detector = EnergyDetector()
    alone = [detector.detect([(samples, RATE)])[0] for samples in (first, second)]
    assert alone[0] and alone[1]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: detector.detect([(first, RATE), (second, RATE)]), range(8)))
    assert all(answer == alone for answer in together)


def test_it_needs_no_torch_and_detectors_that_do_say_how_to_get_it() -> None:
    program = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import numpy as np
from detectors import load_detector, use_threads
use_threads(1)
print(load_detector("energy").detect([(np.zeros((48_000, 1), np.float32), 48_000)]))
for name in ("starter", "orcahello-v1:weights.safetensors"):
    try:
        load_detector(name)
    except Exception as error:
        print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == [
        "[[]]",
        "InputError starter needs torch: pip install 'orcasound-podcast[detectors]'",
        "InputError orcahello-v1 needs torch: pip install 'orcasound-podcast[detectors]'",
    ]


def test_the_version_changes_with_every_parameter() -> None:
    default = EnergyParameters()
    others = [replace(default, **{field.name: getattr(default, field.name) * 2}) for field in fields(default)]
    versions = {str(EnergyDetector(parameters).model_run) for parameters in [default, *others]}
    assert len(versions) == 1 + len(others)
    assert load_detector("energy").model_run == EnergyDetector().model_run


@given(st.lists(st.floats(0, 200, width=32), max_size=400))
@settings(deadline=None)
def test_events_are_disjoint_bounded_and_reach_the_threshold(strength: list[float]) -> None:
    parameters = EnergyParameters()
    array = np.array(strength, np.float32)
    cut = events(array, parameters)
    assert all(left_end < right for (_, left_end), (right, _) in pairwise(cut))
    for first, last in cut:
        assert array[first : last + 1].max() >= parameters.on_strength
        assert parameters.shortest_s <= (last - first + 1) * parameters.hop_s <= parameters.longest_s


# Read off spectrograms by eye: every clear call, to about 0.2 s.
CALLS = {
    "example.wav": [(1.6, 2.7), (4.2, 5.5), (9.8, 10.7)],
    "210825-1925_L-highlight.wav": [(0.5, 1.6), (5.5, 6.6)],
    "someCalls.wav": [(5.5, 6.2), (8.3, 9.0), (26.4, 26.9), (28.0, 28.7)],
    "20181202_25sec.wav": [(2.1, 2.8), (6.3, 6.5), (16.9, 17.6), (21.1, 21.6)],
}


def test_real_calls_have_boxes_where_they_sound(each_data: Path) -> None:
    recordings = [path for path in sorted((each_data / "bouts").glob("*.wav")) if path.name in CALLS]
    assert len(recordings) >= 3
    for path in recordings:
        samples, rate = audio.read(str(path))
        boxes = spans(found(samples, rate))
        calls = [(start, end) for start, end in CALLS[path.name] if end < len(samples) / rate]  # some recordings are cut short
        assert calls
        for start, end in calls:
            assert any(abs(left - start) < 0.25 and abs(right - end) < 0.25 for left, right in boxes), (path, start, end, boxes)


def test_the_sea_between_calls_stays_quiet(small_data: Path) -> None:
    assert found(*audio.read(str(small_data / "background" / "ambient" / "live001.wav"))) == []


def test_minutes_of_real_background_stay_quiet(data: Path) -> None:
    files = [*data.glob("background/ambient/*.wav"), *data.glob("background/other_hydrophones/*.wav")]
    recordings = [audio.read(str(file)) for file in sorted(files)]
    minutes = sum(len(samples) / rate for samples, rate in recordings) / 60
    assert sum(map(len, EnergyDetector().detect(recordings))) / minutes < 3
