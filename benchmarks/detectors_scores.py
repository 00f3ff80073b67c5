"""The published scores, OrcaHello's parity, and starter against energy on recordings that neither has seen.

Needs the real data. Takes the number of minutes to mix for each recording; the model card has 6.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from detectors import load_detector, use_threads
from detectors.orcahello_v1 import load as load_orcahello
from evaluation.scores import lengths, score
from evaluation.scoring import Protocol
from evaluation.tables import read_predictions, read_truth
from podcast import audio
from training.corpus import read_manifest
from training.held_out import false_boxes_a_minute, mixed_minutes, score_detectors

DATA = Path(os.environ.get("PODCAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
TRAINED_ON = {"Ford2022-tape", "Ford2022-PedderBay"}
"""The recordings that the shipped weights of `starter` saw (docs/models/starter.md)."""


def report(name: str, value: float, bar: float, *, holds: bool, **more: object) -> None:
    """One JSON object on one line."""
    print(json.dumps({"name": name, "value": round(value, 5), "bar": bar, "holds": holds, **more}), flush=True)


def published() -> None:
    """The two published areas under the curve, to three decimals."""
    folder = DATA / "labels" / "podcast_eval"
    truth = read_truth(str(folder / "podcast_test_round1.test.tsv"))
    for name, bar in (("FastAI-ResNet50_R1to12", 0.977), ("Baseline-AudioSet-VGGish_R1to7", 0.949)):
        model = read_predictions(str(folder / f"{name}.tsv"))
        value = score(truth, model, lengths(truth, [model], {}), Protocol.ORCAHELLO, 0.5).overall or 0.0
        report(f"published_auprc_{name}", value, bar, holds=round(value, 3) == bar)


def parity() -> None:
    """The greatest difference from the published confidence of any window, on the stand-in weights."""
    files = json.loads((DATA / "orcahello" / "parity.json").read_text())["files"]
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/weights.safetensors"
        subprocess.run([sys.executable, str(DATA / "orcahello" / "make_weights.py"), weights], check=True)
        for precision, bar in (("fp32", 0.005), ("bf16", 0.03)):
            detector = load_orcahello(weights, precision=precision)
            differences = [
                abs(ours - segment[2])
                for name, known in files.items()
                for ours, segment in zip(detector.confidences([audio.read(str(DATA / name))])[0], known["segments"], strict=True)
            ]
            report(
                f"orcahello_v1_parity_{precision}", max(differences), bar, holds=max(differences) <= bar, windows=len(differences)
            )


def held_out(minutes: int) -> None:
    """Per-second average precision of each recording group, and boxes a minute of background."""
    sounds, tests = read_manifest(str(DATA / "manifest.tsv"))
    held = sounds.split(sounds.sessions() - TRAINED_ON)[1]
    detectors = {name: load_detector(f"{name},rules=fixed") for name in ("starter", "energy")}
    (starters, starter_edits), (energies, energy_edits) = score_detectors(detectors, mixed_minutes(held, tests, minutes, seed=0))
    pairs = zip((*starters.datasets, starters.pooled), (*energies.datasets, energies.pooled), strict=True)
    for starter, energy in pairs:
        report(
            f"starter_held_out_{starter.name}",
            starter.auprc or 0.0,
            round(energy.auprc or 0.0, 5),
            holds=(starter.auprc or 0) > (energy.auprc or 0),
            interval=starter.interval and np.round(starter.interval, 3).tolist(),
            bar_is="energy",
            energy_interval=energy.interval and np.round(energy.interval, 3).tolist(),
            positive_seconds=starter.positive_seconds,
        )
    for mine, other in zip((*starter_edits.datasets, starter_edits.all), (*energy_edits.datasets, energy_edits.all), strict=True):
        report(
            f"starter_edits_a_minute_{mine.name}",
            mine.edits.a_minute or 0.0,
            round(other.edits.a_minute or 0.0, 5),
            holds=(mine.edits.a_minute or 0) < (other.edits.a_minute or 0),
            interval=mine.interval and np.round(mine.interval, 2).tolist(),
            bar_is="energy",
            energy_interval=other.interval and np.round(other.interval, 2).tolist(),
            from_nothing=round(mine.edits.from_nothing or 0.0, 3),
        )
    for name, detector in detectors.items():
        value = false_boxes_a_minute(detector, tests, 0.5)
        report(f"{name}_false_boxes_a_minute_of_held_out_background", value, 1.0, holds=value <= 1.0)


def main() -> None:
    """Run all that the data allows."""
    if not (DATA / "manifest.tsv").exists():
        print(f"no real data at {DATA}; set PODCAST_DATA", file=sys.stderr)
        return
    use_threads(2)
    published()
    parity()
    held_out(int(sys.argv[1]) if len(sys.argv) > 1 else 2)


if __name__ == "__main__":
    main()
