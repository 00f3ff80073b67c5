"""The precision-recall picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation.scores import ModelScores
from podcast import storage


def plot_curves(scores: Sequence[ModelScores], to: str) -> None:
    """One curve a model, over all seconds of all datasets, as PNG."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    for model in scores:
        if model.curve:
            overall = f"{model.overall:.3f}" if model.overall is not None else "no calls"
            axes.step(*zip(*model.curve, strict=True), where="post", label=f"{model.model} ({overall})")
    axes.set(
        xlim=(0, 1.01), ylim=(0, 1.01), xlabel="Recall (seconds with calls)", ylabel="Precision", title="Precision and recall"
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", title="AUPRC", fontsize="small")
    with storage.open_write(to) as file:
        figure.savefig(file, format="png", dpi=150)
