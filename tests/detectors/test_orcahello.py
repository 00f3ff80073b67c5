"""Parity with the published OrcaHello detector on the stand-in weights, and its weights' ways in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from detectors import load_detector
from detectors.fused import FusedNet, for_inference
from detectors.orcahello_v1 import MINUTES, OrcaHelloV1, cut_windows, prepare, spectrograms
from detectors.resnet import OrcaHelloNet
from detectors.weights import parse_weights
from podcast import audio
from podcast.errors import InputError, PodcastError
from tests.conftest import DATA


@pytest.fixture(scope="module")
def weights(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "stand-in.safetensors"
    subprocess.run([sys.executable, str(small_data / "orcahello" / "make_weights.py"), str(path)], check=True)
    return path


BOUT = "bouts/20181202_25sec.wav"


def test_the_network_has_the_published_names_and_shapes(small_data: Path) -> None:
    published = json.loads((small_data / "orcahello" / "state_dict_shapes.json").read_text())
    assert {name: list(value.shape) for name, value in OrcaHelloNet().state_dict().items()} == published


def test_the_spectrograms_are_the_published_ones(small_data: Path) -> None:
    samples, rate = audio.read(str(small_data / BOUT))
    ours = spectrograms(cut_windows(prepare(samples, rate))).numpy()
    with np.load(small_data / "orcahello" / "mel_reference.npz") as reference:
        expected = reference["start_4"]
    assert ours[2].shape == expected.shape  # windows begin every 2 s
    assert (np.abs(ours[2] - expected) > 0.05).mean() < 0.001


@pytest.mark.parametrize(("folder", "name"), [("small_data", BOUT), ("data", "bouts/someCalls.wav")])
def test_every_window_has_the_published_confidence(request: pytest.FixtureRequest, weights: Path, folder: str, name: str) -> None:
    recording = audio.read(str(request.getfixturevalue(folder) / name))
    segments = json.loads((DATA / "orcahello" / "parity.json").read_text())["files"][name]["segments"]
    published = [confidence for _, _, confidence in segments]
    # bfloat16 is rounded elsewhere by each processor: 0.018 off without AMX, 0.024 unfused, 0.036 with AMX.
    for precision, tolerance in (("fp32", 0.005), ("bf16", 0.04)):
        detector = load_detector(f"orcahello-v1:{weights},precision={precision}")
        assert isinstance(detector, OrcaHelloV1)
        assert detector.confidences([recording]) == [pytest.approx(published, abs=tolerance)]


def test_boxes_cover_the_windows_over_the_threshold(small_data: Path, weights: Path) -> None:
    recording = audio.read(str(small_data / BOUT))
    boxes = load_detector(f"orcahello-v1:{weights},precision=fp32").detect([recording])[0]
    # parity.json: 0.555, 0.996, 0.957, 0.513, 0.528, 0.645 for the windows that begin at 12 to 22 s, all others below 0.5.
    assert [(box.event.start_s, box.event.end_s) for box in boxes] == [(12.0, 25.0)]
    assert boxes[0].confidence == pytest.approx(0.9958, abs=0.001)
    split = load_detector(f"orcahello-v1:{weights},precision=fp32,threshold=0.53").detect([recording])[0]
    assert [(box.event.start_s, box.event.end_s) for box in split] == [(12.0, 19.0), (22.0, 25.0)]
    assert boxes[0].model_run.model == split[0].model_run.model and boxes[0].model_run != split[0].model_run


@pytest.mark.parametrize(
    ("windows", "answers"),
    [
        ([0.1, 0.55, 0.1, 0.1], {"any"}),  # boxes wherever a window is above 0.5
        ([0.55, 0.1, 0.55, 0.55], {"any", "three"}),  # three of them; the two highest have a mean of 0.55
        ([0.1, 0.9, 0.1, 0.3], {"any", "two"}),  # a mean of 0.6
        ([0.9, 0.8, 0.7, 0.1], {"any", "three", "two"}),
        ([0.6], {"any", "two"}),  # a session with one window
        ([0.2, 0.3], set()),
        ([], set()),
    ],
)
def test_a_minute_may_have_to_answer_first(windows: list[float], answers: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrcaHelloV1, "confidences", lambda _, recordings: [windows for _ in recordings])
    detectors = {minute: OrcaHelloV1(OrcaHelloNet(), "untrained", precision="fp32", minute=minute) for minute in MINUTES}
    nothing = [(np.zeros((10, 1), np.float32), 20_000)]
    assert {minute for minute, detector in detectors.items() if detector.detect(nothing)[0]} == answers
    assert len({str(detector.model_run) for detector in detectors.values()}) == 3


def test_a_minutes_answer_has_a_name() -> None:
    with pytest.raises(InputError, match="minute must be one of any, three, two"):
        OrcaHelloV1(OrcaHelloNet(), "untrained", minute="half")


def test_a_recording_answers_alike_alone_and_in_company(small_data: Path, weights: Path) -> None:
    detector = load_detector(f"orcahello-v1:{weights}")
    recordings = [audio.read(str(small_data / "bouts" / name)) for name in ("20181202_25sec.wav", "example.wav")]
    assert detector.detect(recordings) == [detector.detect([recording])[0] for recording in recordings]


@pytest.mark.parametrize("batch", [4, 1])
def test_the_fused_network_is_the_network(batch: int) -> None:
    """Also for a last batch of another size than the weights are laid out for, and twice: it must not write over its input."""
    torch.manual_seed(0)
    network = OrcaHelloNet().eval()
    fused = for_inference(network, torch.float32, torch.device("cpu"), (4, 1, 256, 312))
    if not isinstance(fused, FusedNet):
        pytest.skip("this processor takes the unfused network")
    inputs = 20 * torch.randn(batch, 1, 256, 312).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = network(inputs)
        assert torch.allclose(fused(inputs), expected, rtol=1e-3, atol=1e-5)
        assert torch.allclose(fused(inputs), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("samples", [np.zeros((0, 1)), np.zeros((100, 2)), np.zeros((48_000 * 4, 1))])
def test_silence_and_scraps_do_no_harm(samples: audio.Samples) -> None:
    detector = OrcaHelloV1(OrcaHelloNet(), "untrained", precision="fp32")
    [confidences] = detector.confidences([(samples.astype(np.float32), 48_000)])
    assert len(confidences) == (1 if len(samples) > 48_000 * 3 else 0)
    assert np.isfinite(confidences).all()


def test_a_torch_state_dict_gives_the_same_network(weights: Path, tmp_path: Path) -> None:
    state = load_file(weights)
    torch.save(state, tmp_path / "state.pt")
    loaded = parse_weights((tmp_path / "state.pt").read_bytes(), "state.pt")
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (Path("harm.txt"), "harm")


def test_no_pickle_is_executed() -> None:
    torch.save({"model.conv1.weight": Evil()}, "evil.pt")
    with pytest.raises(InputError, match="no weights that can be read safely"):
        load_detector("orcahello-v1:evil.pt")
    assert not Path("harm.txt").exists()


def test_weights_that_are_missing_or_wrong_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    save_file({"model.conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    commit = "0123456789" * 4
    for weights, words in (
        ("", r"hf download orcasound/orcahello-srkw-detector-v1 model.safetensors \("),
        ("hub@", "40 hexadecimal digits"),
        ("hub@main", "40 hexadecimal digits"),
        (f"hub@{commit}", f"hf download orcasound/orcahello-srkw-detector-v1 model.safetensors --revision {commit}"),
        (str(tmp_path / "other.safetensors"), "model.bn1.weight is missing"),
        (str(tmp_path / "text.safetensors"), "no weights that can be read safely"),
        (str(tmp_path / "none.safetensors"), "no such file"),
    ):
        with pytest.raises(PodcastError, match=words):
            load_detector(f"orcahello-v1:{weights}")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nonsense", "there is no detector 'nonsense'"),
        ("energy:weights.safetensors", "takes no weights"),
        ("energy,loud=yes", "does not take these options"),
    ],
)
def test_a_wrong_name_or_option_says_so(spec: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_detector(spec)
