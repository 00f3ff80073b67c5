"""The weights that ship: that they find calls, stay quiet, and answer the same however they are asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors import load_detector
from detectors.starter import RATE as SOUND_RATE
from detectors.starter import SHIPPED, Starter, StarterNet, whitened
from podcast import audio
from podcast.errors import InputError

RATE = 48_000


def sea(seconds: float, rate: int = RATE, seed: int = 0) -> audio.Samples:
    return np.random.default_rng(seed).normal(0, 0.02, (round(seconds * rate), 1)).astype(np.float32)


@pytest.fixture(scope="module")
def starter() -> Starter:
    detector = load_detector("starter")
    assert isinstance(detector, Starter)
    return detector


def test_the_weights_that_ship_are_small() -> None:
    assert SHIPPED.stat().st_size < 4 * 2**20


@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050])
def test_noise_clicks_and_silence_are_no_calls(starter: Starter, rate: int) -> None:
    clicks = sea(20, rate)
    clicks[rate * np.arange(1, 19), 0] = 0.9
    assert starter.detect([(sea(30, rate), rate), (clicks, rate), (np.zeros((5 * rate, 2), np.float32), rate)]) == [[], [], []]


@pytest.mark.parametrize("frames", [0, 10, 2000, 4000])
def test_scraps_and_damaged_samples_do_no_harm(starter: Starter, frames: int) -> None:
    assert starter.detect([(np.full((frames, 1), np.nan, np.float32), RATE)]) == [[]]


def test_a_sample_rate_that_cannot_hold_calls_is_refused(starter: Starter) -> None:
    with pytest.raises(InputError, match="2000 Hz"):
        starter.detect([(sea(2, 2000), 2000)])


def test_one_confidence_every_40_ms_whatever_the_rate() -> None:
    detector = Starter(StarterNet(), "untrained")
    for rate in (48_000, 44_100, 22_050):
        assert len(detector.confidences(sea(60, rate), rate)) == pytest.approx(1500, abs=2)


def test_a_recorders_colour_and_level_vanish() -> None:
    white = audio.mono(sea(10, SOUND_RATE))
    coloured = np.convolve(white, np.hanning(9), "same").astype(np.float32)
    plain = whitened(torch.from_numpy(white))
    for other in (0.1 * white, coloured):
        assert (whitened(torch.from_numpy(other)) - plain).abs().mean() < 0.02


def test_recordings_are_independent_and_threads_agree(starter: Starter, small_data: Path) -> None:
    recordings = [audio.read(str(small_data / "bouts" / name)) for name in ("example.wav", "210825-1925_L-highlight.wav")]
    alone = [starter.detect([recording])[0] for recording in recordings]
    assert alone[0] and alone[1]
    with ThreadPoolExecutor(4) as pool:
        assert all(answer == alone for answer in pool.map(lambda _: starter.detect(recordings), range(8)))


def test_the_version_changes_with_weights_and_threshold(starter: Starter) -> None:
    versions = {
        starter.model_run.version,
        load_detector("starter,threshold=0.4").model_run.version,
        load_detector("starter,rules=fixed").model_run.version,
        load_detector("starter,rules=fixed,threshold=0.4").model_run.version,
        Starter(StarterNet(), "x").model_run.version,
    }
    assert len(versions) == 5
    assert load_detector("starter,rules=fixed").model_run.version.endswith("-0.3")  # as before there were rules
    with pytest.raises(InputError, match="threshold"):
        load_detector("starter,threshold=2")


# Read off spectrograms by eye, to about 0.2 s. The network was trained on none of these recordings; its rules were.
CALLS = {"example.wav": [(1.6, 2.7), (4.2, 5.5), (9.8, 10.7)], "210825-1925_L-highlight.wav": [(0.5, 1.6), (5.5, 6.6)]}


def test_real_calls_have_boxes_where_they_sound(starter: Starter, each_data: Path) -> None:
    for name, marked in CALLS.items():
        samples, rate = audio.read(str(each_data / "bouts" / name))
        boxes = [(box.event.start_s, box.event.end_s) for box in starter.detect([(samples, rate)])[0]]
        calls = [(start, end) for start, end in marked if end < len(samples) / rate]  # some recordings are cut short
        assert calls
        for start, end in calls:
            shared = max((min(end, right) - max(start, left) for left, right in boxes), default=0)
            assert shared > 0.6 * (end - start), (name, start, end, boxes)


def test_the_sea_between_calls_stays_quiet(starter: Starter, small_data: Path) -> None:
    assert starter.detect([audio.read(str(small_data / "background" / "ambient" / "live001.wav"))]) == [[]]


def test_minutes_of_real_background_stay_quiet(starter: Starter, data: Path) -> None:
    files = [*data.glob("background/ambient/*.wav"), *data.glob("background/other_hydrophones/*.wav")]
    recordings = [audio.read(str(file)) for file in sorted(files)]
    minutes = sum(len(samples) / rate for samples, rate in recordings) / 60
    confident = [box for boxes in starter.detect(recordings) for box in boxes if box.confidence >= 0.5]
    assert len(confident) / minutes < 2
