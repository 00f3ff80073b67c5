"""The pictures of a data card as PNG. The same numbers and the same matplotlib give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, radians

from matplotlib import rc_context
from matplotlib.figure import Figure

from evaluation.plot import png
from podcast.model import Certainty
from podcast.nodes import Node, find_node
from podcast.splits import SPLITS
from podcast.vocabulary import source
from releases.summary import Summary

CERTAIN, UNCERTAIN, HOURS = "#0b7285", "#e67700", "#868e96"
NODES = 40
"""As many have room in the picture by node: those with the most time."""

NAME_LETTERS = 40


def pictures(summary: Summary) -> Iterator[tuple[str, bytes]]:
    """File name and content of every picture."""
    with rc_context({"text.parse_math": False}):  # a dollar sign in a name is a dollar sign
        made = [("map.png", _map(summary)), ("nodes.png", _nodes(summary)), ("hours.png", _hours(summary))]
        if summary.sounds:
            made.append(("sounds.png", _sounds(summary)))
    yield from made


def _map(summary: Summary) -> bytes:
    """Nodes by their place, without a coastline; the area of a dot grows with the hours that were reviewed there."""
    figure = Figure(figsize=(6, 6.5), layout="constrained")
    axes = figure.add_subplot(xlabel="longitude (degrees east)", ylabel="latitude (degrees north)")
    placed = [node for node in map(find_node, sorted(summary.node_seconds)) if node.latitude is not None]
    for node in placed:
        hours = summary.node_seconds[node.source_guid] / 3600
        axes.scatter(node.longitude or 0, node.latitude or 0, s=40 + 60 * hours**0.5, color=CERTAIN, alpha=0.7, linewidths=0)
    for node, height in _label_places(placed):
        hours, calls = summary.node_seconds[node.source_guid] / 3600, _calls(summary, node.source_guid)
        axes.annotate(
            f"{node.name}\n{hours:.1f} h, {calls} calls",
            (node.longitude or 0, node.latitude or 0),
            xytext=(-122.1, height),
            fontsize=8,
            va="center",
            arrowprops={"arrowstyle": "-", "color": HOURS, "linewidth": 0.6},
        )
    axes.set(title="Hydrophones: hours reviewed and calls", xlim=(-123.4, -121.4), ylim=(47.2, 48.9))
    axes.set_xticks([-123.2, -122.8, -122.4, -122.0])
    axes.set_aspect(1 / cos(radians(48)))
    axes.grid(alpha=0.3)
    unplaced = [_name(name) for name in sorted(summary.node_seconds) if find_node(name).latitude is None]
    if unplaced:
        shown = ", ".join(unplaced[:4]) + (f" and {len(unplaced) - 4} more" if len(unplaced) > 4 else "")
        axes.text(0.02, 0.02, f"not on the map: {shown}", transform=axes.transAxes, fontsize=7)
    return png(figure)


def _label_places(nodes: list[Node]) -> Iterator[tuple[Node, float]]:
    """Each node and the latitude of its words, which stand in one column and do not overlap."""
    below = 0.0
    for node in sorted(nodes, key=lambda node: (node.latitude or 0, node.name)):
        below = max(node.latitude or 0, below + 0.11)
        yield node, below


def _nodes(summary: Summary) -> bytes:
    most = [node for node, _ in summary.node_seconds.most_common(NODES)]
    figure = Figure(figsize=(7, 1.8 + 0.35 * len(most)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    nodes = sorted(most, key=lambda node: (find_node(node).name, node), reverse=True)
    names = [_name(node) for node in nodes]
    certain = [summary.node_calls[node, Certainty.CERTAIN] for node in nodes]
    left.barh(names, certain, color=CERTAIN, label="certain")
    uncertain = [summary.node_calls[node, Certainty.UNCERTAIN] for node in nodes]
    left.barh(names, uncertain, left=certain, color=UNCERTAIN, label="uncertain")
    left.set(xlabel="calls", title="Calls per hydrophone")
    figure.legend(fontsize=7, loc="outside lower left", ncols=2)
    right.barh(names, [summary.node_seconds[node] / 3600 for node in nodes], color=HOURS)
    right.set(xlabel="hours", title="Hours reviewed")
    return png(figure)


def _hours(summary: Summary) -> bytes:
    figure = Figure(figsize=(7, 4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.bar(range(24), [summary.hour_calls[hour] for hour in range(24)], color=CERTAIN)
    upper.set(ylabel="calls", title="Calls and reviewed time by hour of day")
    lower.bar(range(24), [summary.hour_seconds[hour] / 3600 for hour in range(24)], color=HOURS)
    lower.set(ylabel="hours", xlabel="hour of day, Pacific local time", xticks=range(0, 24, 2))
    return png(figure)


def _sounds(summary: Summary) -> bytes:
    """Boxes that are no calls, by source and split: the darker, the more they are kept for tests."""
    names = sorted(
        {label for _, label in summary.sounds}, key=lambda label: sum(summary.sounds[split, label] for split in SPLITS)
    )
    figure = Figure(figsize=(7, 1.6 + 0.35 * len(names)), layout="constrained")
    axes = figure.add_subplot(xlabel="boxes", title="Other sounds, by source")
    left = [0] * len(names)
    for split, alpha in zip(SPLITS, (0.4, 0.7, 1.0), strict=True):
        counts = [summary.sounds[split, label] for label in names]
        colours = [(found.colour if (found := source(label)) else HOURS, alpha) for label in names]
        axes.barh(range(len(names)), counts, left=left, color=colours, label=split)
        left = [sum(pair) for pair in zip(left, counts, strict=True)]
    axes.set_yticks(range(len(names)), [name[:NAME_LETTERS] for name in names])
    figure.legend(fontsize=7, loc="outside lower left", ncols=len(SPLITS))
    return png(figure)


def _name(node: str) -> str:
    """A node's name on one line, short enough for a picture."""
    name = " ".join((find_node(node).name or node).split())
    return (name if len(name) <= NAME_LETTERS else f"{name[:NAME_LETTERS]}…") or "unknown"


def _calls(summary: Summary, node: str) -> int:
    return sum(summary.node_calls[node, certainty] for certainty in Certainty)
