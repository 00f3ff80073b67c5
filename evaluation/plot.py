"""Pictures: precision and recall, and the course of a training."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from evaluation.calibration import Calibration
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


def png(figure: Figure) -> bytes:
    """A picture as PNG: the same figure and the same matplotlib give the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def plot_calibration(found: Calibration) -> bytes:
    """The share of boxes that lie on a call by their confidence, with 95 % intervals, and how many boxes there are, as PNG."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    shares, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    shares.plot([0, 1], [0, 1], linestyle=":", color="grey")
    for one in found.bins:
        low, high = one.interval or (one.share, one.share)
        shares.plot([one.confidence] * 2, [low, high], color="tab:blue", alpha=0.5)
        shares.plot(one.confidence, one.share, "o", color="tab:blue")
        counts.bar(one.low, one.boxes, one.high - one.low, align="edge", color="tab:blue", alpha=0.5, edgecolor="white")
    title = "Is the confidence a probability?"
    if found.error is not None:
        title += f"\nexpected calibration error {found.error:.3f}"
    shares.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="Share of boxes on a call", title=title)
    counts.set(xlabel="Confidence", ylabel="Boxes")
    return png(figure)


def plot_training(curves: Sequence[Mapping[str, float]], to: str) -> None:
    """Loss and held-out average precision by epoch, as PNG."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    loss, precision = figure.subplots(2, 1, sharex=True)
    epochs = [curve["epoch"] for curve in curves]
    loss.plot(epochs, [curve["loss"] for curve in curves])
    loss.set(ylabel="Loss", title="Training")
    precision.plot(epochs, [curve["precision"] for curve in curves])
    precision.set(xlabel="Epoch", ylabel="Held-out average\nprecision of frames", ylim=(0, 1))
    for axes in (loss, precision):
        axes.grid(alpha=0.3)
    with storage.open_write(to) as file:
        figure.savefig(file, format="png", dpi=150)
