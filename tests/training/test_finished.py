"""A finished run is a model: its card as the hub's own library reads it, and what of the folder belongs to it."""

from __future__ import annotations

from pathlib import Path

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from training.finished import finish, model_card

SCORES = {
    "detector": "orcahello-v1",
    "learned_sessions": 30,
    "learned_calls": 45,
    "tested_sessions": 12,
    "after": {"edits_a_minute": 3.25},
    "calibration_of_tested": {"error": 0.041},
}


def test_the_card_is_one_that_the_hubs_library_reads() -> None:
    card = ModelCard(model_card("# Boxes of June: \u00fc\n\nText.", SCORES))
    data = card.data
    assert isinstance(data, ModelCardData)
    assert data.base_model == "orcasound/orcahello-srkw-detector-v1"
    assert (data.pipeline_tag, data.library_name) == ("audio-classification", "orcasound-podcast")
    results: list[EvalResult] = data.eval_results or []
    assert [(one.metric_type, one.metric_value, one.dataset_split) for one in results] == [
        ("edits_a_minute", 3.25, "test"),
        ("expected_calibration_error", 0.041, "test"),
    ]
    assert "12 sessions" in results[0].dataset_name
    assert card.text.strip().startswith("# Boxes of June: \u00fc\n\nText.\n\n## Use")


def test_a_card_without_a_test_claims_no_results() -> None:
    untested = {"detector": "energy", "tested_sessions": 0, "after": None, "calibration_of_tested": {"error": None}}
    header = yaml.safe_load(model_card("# Boxes", untested).split("---")[1])
    assert header.keys() == {"library_name", "pipeline_tag", "tags"}


def test_the_state_of_the_training_is_no_part_of_the_model(tmp_path: Path) -> None:
    for name in (
        "model.safetensors",
        "rules.json",
        "scores.json",
        "curves.png",
        "state.safetensors",
        "splits.json",
        "options.json",
    ):
        (tmp_path / name).write_text("{}")

    files = ["curves.png", "model.safetensors", "rules.json", "scores.json"]

    def made() -> bytes:
        told = {"version": "1", "strengths": "1", "recipe": "network", "parent": "starter:1"}
        model = finish(tmp_path, files, "# Boxes", SCORES, rounds=["b", "a"], **told)
        assert sorted(model.files) == ["README.md", *files]
        assert model.counts == {"sessions": 30, "calls": 45, "tested": 12}
        return (tmp_path / "config.json").read_bytes()

    assert made() == made()
