"""Fine-tuning of `orcahello-v1`: what learns, what stays, and that a run resumes and loads as a detector."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from cli.main import cli
from detectors import load_detector
from detectors.orcahello_v1 import cut_windows, prepare, spectrograms
from detectors.registry import Registry
from detectors.resnet import OrcaHelloNet
from detectors.starter import RATE
from evaluation.scoring import Span
from evaluation.tables import Labelled
from podcast import audio
from podcast.audio import Wave
from podcast.errors import InputError
from training import recipes
from training.loop import Recorded, Sounds, TrainingOptions, train
from training.recipes import _window_target, recipe_from
from training.sounds import Clip

# In 5 s there are two windows: enough for a batch norm, and quick.
TINY = TrainingOptions(epochs=2, steps=1, batch=1, checks=1, learning_rate=1e-3)
NAME = "model.safetensors"


def tone(seconds: float) -> Wave:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(0.5 * np.sin(2 * np.pi * (900 * time + 60 * time**2)), np.float32)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the published file's names and shapes."""
    path = tmp_path_factory.mktemp("published") / "model.safetensors"
    torch.manual_seed(0)
    save_file(OrcaHelloNet().state_dict(), path)
    return path


def test_the_last_stage_and_the_head_learn_the_rest_stays_and_a_resumed_run_is_the_same(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "EXAMPLE_S", 5.0)
    recipe, sounds = recipe_from(f"orcahello-v1:{published}"), Sounds((Clip(tone(0.8), "a"), Clip(tone(1.1), "b")))

    def interrupted_here(epoch: int, *_: float) -> None:
        if epoch == 0:
            shutil.copytree(tmp_path / "once", tmp_path / "resumed")

    train(recipe, sounds, TINY, tmp_path / "once", progress=interrupted_here)
    train(recipe, sounds, TINY, tmp_path / "resumed")
    before, once, resumed = (load_file(path) for path in (published, tmp_path / "once" / NAME, tmp_path / "resumed" / NAME))
    assert all(torch.equal(once[name], resumed[name]) for name in before)
    changed = {name for name in before if not torch.equal(before[name], once[name])}
    learning = {name for name, _ in OrcaHelloNet().named_parameters() if name.startswith(("model.layer4.", "model.fc."))}
    assert learning <= changed
    assert all(name.startswith(("model.layer4.", "model.fc.")) for name in changed)  # the body's running means stay too
    with pytest.raises(InputError, match="other options"):
        train(recipe_from(f"orcahello-v1:{published}", all_layers=True), sounds, TINY, tmp_path / "once")


def test_the_command_fine_tunes_and_its_checkpoint_detects(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "EXAMPLE_S", 3.0)
    for name in ("a_rec.wav", "b_rec.wav"):
        audio.write_wav(str(tmp_path / name), np.tile(tone(1.0), 7)[:, None], RATE)
    (tmp_path / "train.tsv").write_text("wav_filename\tstart_time_s\tduration_s\na_rec.wav\t1\t2\nb_rec.wav\t4\t1\n")
    run = tmp_path / "run"
    arguments = ["train", "--truth", str(tmp_path / "train.tsv"), "--audio", str(tmp_path), "--hold-out", "b_rec"]
    arguments += ["--to", str(run), "--epochs", "1", "--steps", "1"]
    result = CliRunner().invoke(cli, [*arguments, "--start-from", f"orcahello-v1:{published}", "--all-layers"])
    assert result.exit_code == 0, result.output
    assert {path.name for path in run.iterdir()} >= {
        NAME,
        "config.json",
        "options.json",
        "curves.png",
        "curves.json",
        "scores.json",
        "state.safetensors",
    }
    before, after = load_file(published), load_file(run / NAME)
    assert not torch.equal(before["model.conv1.weight"], after["model.conv1.weight"])

    model = Registry(str(tmp_path / "models")).add(run)
    assert (model.detector, model.recipe, model.counts["tested"]) == ("orcahello-v1", "network", 1)
    assert model.parent == str(load_detector(f"orcahello-v1:{published}").model_run)
    assert recipe_from(model.spec).start == hashlib.sha256((run / NAME).read_bytes()).hexdigest()
    [boxes] = load_detector(f"{model.spec},threshold=0").detect([(tone(7)[:, None], RATE)])
    assert [(box.event.start_s, box.event.end_s) for box in boxes] == [(0.0, 7.0)]
    for spec in ("orcahello-v1:hub@main", f"starter:{published}", str(published)):
        refused = CliRunner().invoke(cli, [*arguments, "--start-from", spec])
        assert refused.exit_code == 2, refused.output


def test_starter_has_no_layers_to_freeze() -> None:
    with pytest.raises(InputError, match="--all-layers belongs to --start-from orcahello-v1"):
        recipe_from("starter", all_layers=True)


def test_examples_are_the_windows_that_detection_takes(published: Path) -> None:
    """At most quieter by 12 dB; a mask leaves the padding behind a window as it is."""
    recording = Recorded(np.tile(tone(1.0), 10), Labelled("a", "all", "h", (Span(4.2, 0.6),)))
    recipe = recipe_from(f"orcahello-v1:{published}")
    inputs, targets = recipe.example(np.random.default_rng(0), Sounds(labelled=(recording,)))
    assert targets.tolist() == [0, 1, 1, 0]  # windows from 0, 2, 4 and 6 s
    detected = spectrograms(cut_windows(prepare(recording.wave[:][:, None], RATE)))
    assert inputs.shape == detected.shape
    quieter = (detected - inputs)[..., :235]
    assert 0 <= float(quieter.mean()) <= 12 and float(quieter.std()) < 0.1
    masked = recipe.augmented(np.random.default_rng(0), inputs[None])
    assert not torch.equal(masked[0], inputs)
    assert torch.equal(masked[..., 235:], torch.zeros(1, 4, 1, 256, 77))


@pytest.mark.parametrize(
    ("spans", "target"),
    [
        ([(5.0, 6.0)], 1.0),  # wholly in the window from 4 to 7 s
        ([(4.5, 4.6)], 1.0),  # short, but wholly in it
        ([(6.6, 8.0)], 1.0),  # 0.4 s of it
        ([(6.9, 8.0)], -1.0),  # 0.1 s: too little to hear, too much to deny
        ([(6.9, 8.0), (5.0, 5.5)], 1.0),
        ([(7.0, 8.0), (2.0, 4.0)], 0.0),  # touches only
        ([], 0.0),
        ([(0.0, 60.0)], 1.0),
    ],
)
def test_a_window_counts_as_a_call_when_it_holds_enough_of_one(spans: list[tuple[float, float]], target: float) -> None:
    assert _window_target(4.0, spans) == target
