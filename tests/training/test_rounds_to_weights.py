"""From what people said in rounds to weights: who is learned from, what a doubt is, and memory that does not grow."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors import load_detector
from detectors.base import Framed
from detectors.model_folder import read_model
from detectors.starter import RATE
from evaluation.scoring import Span
from evaluation.tables import Labelled
from podcast.audio import Samples
from podcast.model import Detection, Outcome, Review, ReviewState, SoundEvent
from podcast.report import Report
from tests.releases.sessions import RUN, box, spread
from training import held_out, recipes
from training.fine_tuning import fine_tune
from training.learned import learn
from training.loop import Recorded, Sounds, TrainingOptions
from training.recipes import _sound, recipe_from
from training.reviewed import Lessons, Reviewed, lessons, reviewed
from training.scratch import Waves

WEIGHTS = "model.safetensors"
SHORT = TrainingOptions(epochs=1, steps=1)
LENGTH_S = 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(recipes, "EXAMPLE_S", 2.0)
    monkeypatch.setattr(held_out, "DRAWS", 20)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def taught(count: int, calls: int = 3) -> Lessons:
    """Sessions with calls at 2, 7, 12 s; people deleted a prediction at 5 s."""
    wrong = Detection(SoundEvent(5, 5.5), "Call", 0.4, RUN)
    boxes = tuple(box(2 + 5 * number, 3 + 5 * number, outcome=Outcome.ADDED) for number in range(calls))
    return lessons(reviewed(spread(count, Review("ann", ReviewState.CALLS, boxes, (wrong,))), Report()), {}, fewest=0)


def sounding(item: Reviewed, louder: float = 1.0) -> tuple[Samples, int]:
    """A sweep where people heard a call, another where they deleted a box."""
    rng = np.random.default_rng(sum(item.name.encode()))
    time = np.arange(LENGTH_S * RATE) / RATE
    wave = 0.01 * rng.standard_normal(len(time))
    for event in item.calls:
        inside = (time >= event.start_s) & (time < event.end_s)
        wave += louder * 0.3 * inside * np.sin(2 * np.pi * (900 * time + 40 * time**2))
    for event in item.deleted:
        wave += 0.2 * ((time >= event.start_s) & (time < event.end_s)) * np.sin(2 * np.pi * (4000 * time - 20 * time**2))
    return wave.astype(np.float32)[:, None], RATE


def test_weights_learn_from_what_people_said_and_never_from_the_test(tmp_path: Path) -> None:
    given = taught(12)
    assert given.tested
    scores = fine_tune("starter", given, sounding, tmp_path / "one", {"round": "june"}, SHORT)
    assert scores["held_out"] == tuple(sorted(item.name for item in given.tested))
    assert (scores["learned_sessions"], scores["learned_calls"]) == (len(given.learned), 3 * len(given.learned))
    assert scores["negatives"] == {"deleted prediction": len(given.learned)}
    assert scores["before"]["from_nothing_a_minute"] == pytest.approx(3 * 60 / LENGTH_S)
    assert scores["began_from"] == str(load_detector("starter").model_run)
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        *(
            WEIGHTS,
            "config.json",
            "options.json",
            "curves.json",
            "curves.png",
            "state.safetensors",
            "splits.json",
            "scores.json",
            "README.md",
        )
    }
    model = read_model(str(tmp_path / "one"))
    assert (model.parent, model.rounds) == (scores["began_from"], ("june",))
    assert "Edits a minute" in (tmp_path / "one" / "README.md").read_text()
    assert json.loads((tmp_path / "one" / "options.json").read_text())["about"]["round"] == "june"

    def other(of: tuple[Reviewed, ...]) -> Callable[[Reviewed], tuple[Samples, int]]:
        names = {item.name for item in of}
        return lambda item: sounding(item, 0.1 if item.name in names else 1.0)

    fine_tune("starter", given, other(given.tested), tmp_path / "two", {}, SHORT)
    fine_tune("starter", given, other(given.learned), tmp_path / "three", {}, SHORT)
    one, two, three = ((tmp_path / name / WEIGHTS).read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_a_large_round_teaches_the_rules_of_the_new_weights_too(tmp_path: Path) -> None:
    given = taught(40)
    dev = sum(given.splits[item.name] == "dev" for item in given.learned)
    scores = fine_tune("starter", given, sounding, tmp_path, {}, SHORT)
    assert scores["negatives"] == {"deleted prediction": len(given.learned) - dev}  # the network saw no session of dev
    rules = json.loads((tmp_path / "rules.json").read_text())
    assert len(rules["held_out"]) == dev >= 5
    served = load_detector(f"model:{tmp_path}")
    assert str(served.model_run) == f"starter:{read_model(str(tmp_path)).version}"
    assert scores["after"]["kept"] + scores["after"]["moved"] > 0
    assert isinstance(served, Framed) and served.rules and served.rules.digest == scores["rules"]


@pytest.mark.parametrize("recipe", ["network", "rules"])
def test_four_times_the_sessions_take_no_more_memory(recipe: str, tmp_path: Path) -> None:
    """A session weighs 1.8 MB as samples: 24 more of them held would be 42 MB."""

    def peak(count: int) -> int:
        tracemalloc.start()
        if recipe == "network":
            fine_tune("starter", taught(count), sounding, tmp_path / str(count), {}, SHORT)
        else:
            detector = load_detector("energy")
            assert isinstance(detector, Framed)
            learn(detector, taught(count), sounding, tmp_path / str(count), {})
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few = peak(8)
    assert peak(32) < 1.1 * few + 1e6
    assert not [*tmp_path.rglob("*.f32"), *tmp_path.rglob("*.npz")]


def test_a_sound_that_had_to_make_room_on_the_disk_is_decoded_again(tmp_path: Path) -> None:
    read: list[str] = []

    def reading(item: Reviewed) -> tuple[Samples, int]:
        read.append(item.name)
        return sounding(item)

    first, second = taught(2).learned[0], taught(3).learned[1]
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "0.f32").write_bytes(b"what a killed run left")
    with Waves(tmp_path / "audio", reading, lambda samples, _: samples[:, 0], most_bytes=2_000_000) as waves:
        one, two = waves.of(first), waves.of(second)
        assert len(list((tmp_path / "audio").iterdir())) == 1
        expected = sounding(first)[0][100:200, 0]
        assert np.array_equal(one[100:200], expected) and np.array_equal(one[100:200], expected)
        assert len(two) == LENGTH_S * RATE and len(two[len(two) - 5 :]) == 5
    assert read == [first.name, second.name, first.name, second.name]
    assert not (tmp_path / "audio").exists()


def test_what_nobody_was_sure_of_is_neither_and_deleted_predictions_are_met_often() -> None:
    wave = np.zeros(3600 * RATE, np.float32)
    wave[3000 * RATE : 3001 * RATE] = 1
    recording = Recorded(wave, Labelled("a", "all", "h", (), 3600.0), deleted=(SoundEvent(3000, 3001),))
    met = [_sound(np.random.default_rng(seed), Sounds(labelled=(recording,)))[0].any() for seed in range(200)]
    assert 25 < sum(met) < 80  # about a quarter of the windows; by chance it would be one of 1,800
    doubtful = Recorded(wave[: 2 * RATE], Labelled("b", "all", "h", (Span(0.2, 0.4),)), unsure=(SoundEvent(1, 1.5),))
    _, targets = recipe_from(None).example(np.random.default_rng(0), Sounds(labelled=(doubtful,)))
    at = [targets[round(second / 0.04)].item() for second in (0.1, 0.4, 0.8, 1.2, 1.8)]
    assert at == [0, 1, 0, -1, 0]
    assert recipes._window_target(0.0, [], [(1.0, 1.5)]) == -1
    assert recipes._window_target(0.0, [(0.2, 0.8)], [(1.0, 1.5)]) == 1
