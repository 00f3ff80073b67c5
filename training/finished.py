"""What makes a model of a run's folder: a card as the Hugging Face hub reads it, and `config.json` over all files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from detectors.model_folder import CARD, Model, seal
from podcast import storage

TAGS = ("orca", "bioacoustics", "hydrophone", "sound-event-detection", "orcasound")
BASES = {"orcahello-v1": "orcasound/orcahello-srkw-detector-v1"}
"""The model on the hub that a detector's weights come from."""

COUNTS = {"sessions": "learned_sessions", "calls": "learned_calls", "tested": "tested_sessions"}
USE = """## Use

`podcast detect AUDIO --detector model:DIR`, where DIR is this folder. `config.json` says what it learned from, and holds the
SHA-256 of every other file.

## Licence

None is stated. Whoever publishes this names one in the header, after the licences of the recordings that it learned from.
"""


def finish(
    run: Path,
    files: Sequence[str],
    body: str,
    scores: Mapping[str, Any],
    *,
    version: str,
    strengths: str,
    recipe: str,
    parent: str,
    rounds: Sequence[str],
) -> Model:
    """Write card and `config.json` into the folder of a run that is done, which is a model from then on.

    `files` of the folder belong to it beside the card; what else lies there, such as the state of the training, does not. The
    card is `body` under a header made of `scores`, which also hold the detector's name and the counts; for the rest see `seal`.
    """
    detector = str(scores["detector"])
    storage.write(str(run / CARD), model_card(body, scores).encode())
    return seal(
        run,
        [CARD, *files],
        detector=detector,
        version=version,
        strengths=strengths,
        recipe=recipe,
        parent=parent,
        rounds=rounds,
        counts={name: int(scores[field]) for name, field in COUNTS.items()},
    )


def model_card(body: str, scores: Mapping[str, Any]) -> str:
    """A card as the hub reads it; its results are those on sessions that nothing was learned from, where there were any."""
    detector, tested = str(scores["detector"]), int(scores["tested_sessions"])
    calibration = scores.get("calibration_of_tested") or {}
    measured = {
        "edits_a_minute": ("Edits a minute", (scores.get("after") or {}).get("edits_a_minute")),
        "expected_calibration_error": ("Expected calibration error", calibration.get("error")),
    }
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Boxes on orca calls",
            dataset_type="reviewed-sessions",
            dataset_name=f"{tested} sessions that nothing was learned from",
            dataset_split="test",
            metric_type=kind,
            metric_name=name,
            metric_value=value,
        )
        for kind, (name, value) in measured.items()
        if tested and value is not None
    ]
    data = ModelCardData(
        library_name="orcasound-podcast",
        pipeline_tag="audio-classification",
        base_model=BASES.get(detector),
        tags=list(TAGS),
        model_name=detector if results else None,
        eval_results=results or None,
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body.strip()}\n\n{USE}"))
