"""The parts of a data card that tell of its annotators, of what models did to them, and of what the sea holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evaluation.agreement import Measure
from evaluation.anchoring import Anchoring
from evaluation.blind import BlindReport
from evaluation.edits import EDGE_S, ReviewEdits
from evaluation.estimate import Estimate
from podcast.nodes import find_node
from releases.markdown import table
from releases.records import Pseudonyms


def agreement(measures: Iterable[Measure], names: Pseudonyms) -> str:
    """How far people agree."""
    cells = [
        [
            item.round,
            " and ".join(sorted(names[name] for name in item.annotators)) or "all",
            item.name,
            item.sessions,
            "undefined" if item.value is None else f"{item.value:.2f} ({item.low:.2f} to {item.high:.2f})",
        ]
        for item in measures
    ]
    if not cells:
        return "## Agreement\n\nNo session has two sure reviews, so nothing can be said about agreement."
    return "## Agreement\n\nWith 95 % intervals over sessions; all numbers in `agreement.csv`.\n\n" + table(
        ["round", "annotators", "measure", "sessions", "value"], cells
    )


def anchoring(rows: Iterable[Anchoring], names: Pseudonyms, overlap: float) -> str:
    """What became of the boxes that the model showed; nothing where none was shown."""
    cells = [
        [
            names[row.annotator],
            row.model_version,
            row.shown,
            _share(row.accepted, row.shown),
            _share(row.moved, row.shown),
            _share(row.deleted, row.shown),
            row.added,
            _share(row.added_found, row.added),
            _share(row.found, row.boxes),
        ]
        for row in rows
    ]
    if not cells:
        return ""
    columns = ["annotator", "model version", "shown", "untouched", "moved", "deleted", "added", "recall, added", "recall, all"]
    return (
        "## Did the model lead its annotators?\n\nShares of the boxes that the model showed; boxes that people added; and the "
        f"model's recall (overlap {overlap}) against added boxes, which owe nothing to it, and against all boxes. Counts in "
        "`anchoring.csv`.\n\n"
    ) + table(columns, cells)


def blind(found: BlindReport, names: Pseudonyms) -> str:
    """Blind sessions against shown ones; nothing where none was blind."""
    if not found.design.blind:
        return ""
    cells = [
        [
            names[row.annotator] or "all",
            row.model_version,
            row.words,
            *("none" if value is None else f"{value:.2f}" for value in (row.blind, row.shown, row.detectable)),
            "unknown" if row.chance is None else f"{row.chance:.3f}",
        ]
        for row in found.rows
    ]
    columns = ["annotator", "model version", "what", "blind", "shown", "a difference to be seen", "by chance"]
    unknown = f" Of {found.without_model} answered blind sessions no prediction is known." if found.without_model else ""
    return (
        f"## Blind and shown\n\n{found.design.sentence}{unknown}\n\n`by chance` is how often chance alone makes as large a "
        "difference; `a difference to be seen` is what so many sessions would show nine times out of ten. Numbers in `blind.csv`."
        + (f"\n\n{table(columns, cells)}" if cells else "\n\nNobody has answered both kinds yet.")
    )


def edits(made: ReviewEdits) -> str:
    """What people had to change; nothing where they changed no model's boxes."""
    cells = [
        [
            row.name,
            row.recordings,
            f"{row.edits.seconds / 60:.1f}",
            row.edits.kept,
            row.edits.moved,
            row.edits.deleted,
            row.edits.added,
            f"{row.edits.a_minute or 0:.1f}" + (f" ({row.interval[0]:.1f} to {row.interval[1]:.1f})" if row.interval else ""),
            f"{row.edits.from_nothing or 0:.1f}",
        ]
        for row in made.rows()
    ]
    if not cells:
        return ""
    left_out = f" {made.without_length} reviews of sessions of unknown length are left out." if made.without_length else ""
    columns = ["model version", "reviews", "minutes", "kept", "moved", "deleted", "added", "edits a minute", "from nothing"]
    return (
        f"## What annotators had to change\n\nBoxes that were deleted, added, or had an edge moved by more than {EDGE_S} s, a "
        "minute of reviewed audio, with 95 % intervals over reviews; `from nothing` is what an empty page would have taken."
        f"{left_out}\n\n"
    ) + table(columns, cells)


def sea(rows: Sequence[Estimate]) -> str:
    """Estimates for the pools that rounds were planned from; nothing where no plan says with which probability it chose."""
    if not rows:
        return ""
    cells = [
        [
            row.round,
            find_node(row.node).name or "unknown",
            row.month or "unknown",
            row.pool,
            f"{row.with_calls} of {row.answered}" + (f" ({row.unsure} unsure)" if row.unsure else ""),
            f"{row.minutes:.0f} ({row.low:.0f} to {row.high:.0f})",
        ]
        for row in rows
    ]
    return (
        "## What the sea holds\n\nMinutes with calls among all that a round was planned from, heard or not, by month (UTC): each "
        "session counts one over the probability with which it was chosen. The 95 % intervals hold with few calls, with none, "
        "too; unsure sessions count as without calls at the lower end, and as with calls at the upper.\n\n"
    ) + table(["round", "hydrophone", "month", "pool, sessions", "with calls", "minutes with calls"], cells)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"
