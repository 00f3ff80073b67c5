"""A plan at a glance, as PNG: when its sessions lie, why each was chosen, and how they spread over nodes and hours."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from planning.interest import PARTS
from planning.missed import CLUES
from planning.plan import Choice
from podcast.nodes import find_node
from podcast.times import PACIFIC

COLOURS = dict(zip((*PARTS, *CLUES), ("#e67700", "#0b7285", "#862e9c", "#868e96", "#c92a2a", "#f783ac", "#2f9e44"), strict=True))
NODES = 20


def picture(choices: Sequence[Choice]) -> bytes:
    """The plan as PNG; the same plan and the same matplotlib give the same bytes."""
    with rc_context({"text.parse_math": False}):  # a dollar sign in a name is a dollar sign
        figure = Figure(figsize=(9, 6), layout="constrained")
        times, nodes, hours = figure.subplot_mosaic([["times", "times"], ["nodes", "hours"]], height_ratios=(3, 2)).values()
        reasons = sorted({choice.planned.reason for choice in choices}, key=[*COLOURS].index)
        order = [node for node, _ in Counter(choice.node for choice in choices).most_common(NODES)][::-1]
        below, left = [0] * 24, [0] * len(order)
        for reason in reasons:
            chosen = [choice for choice in choices if choice.planned.reason == reason]
            dated = [choice.start.astimezone(PACIFIC) for choice in chosen if choice.start]
            clock = [start.hour + start.minute / 60 for start in dated]
            times.scatter(dated, clock, s=14, color=COLOURS[reason], label=f"{reason} ({len(chosen)})")  # type: ignore[arg-type]
            by_hour, by_node = Counter(start.hour for start in dated), Counter(choice.node for choice in chosen)
            hours.bar(range(24), [by_hour[hour] for hour in range(24)], bottom=below, color=COLOURS[reason])
            nodes.barh(range(len(order)), [by_node[node] for node in order], left=left, color=COLOURS[reason])
            below = [total + by_hour[hour] for hour, total in enumerate(below)]
            left = [total + by_node[node] for node, total in zip(order, left, strict=True)]
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        times.xaxis.set_major_locator(locator)
        times.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=PACIFIC))  # type: ignore[no-untyped-call]
        times.set(
            ylim=(0, 24), yticks=range(0, 25, 6), ylabel="hour of day, Pacific", title=f"{len(choices)} sessions, by reason"
        )
        nodes.set_yticks(range(len(order)), [(find_node(node).name or "unknown node")[:30] for node in order])
        nodes.set(xlabel="sessions", title="By hydrophone")
        hours.set(xlabel="hour of day, Pacific", ylabel="sessions", title="By hour", xticks=range(0, 24, 6))
        figure.legend(*times.get_legend_handles_labels(), loc="outside lower center", ncols=len(reasons) or 1, fontsize=8)
        FigureCanvasAgg(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()
