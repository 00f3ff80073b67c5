"""The card of what was learned: from what, what it saves, and how far its probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detectors.rules import BoxRules


def card(rules: BoxRules, scores: Mapping[str, Any]) -> str:
    """The card of rules as Markdown; `scores` as `training.learned.learn` gives them."""
    head = (
        f"# Box rules and scores for {rules.detector}\n\n"
        f"Learned from {scores['learned_calls']} calls in {scores['learned_sessions']} sessions, beginning from "
        f"`{scores['began_from']}`. SHA-256 of the rules: `{rules.digest}`."
    )
    return "\n\n".join([head, _edits(scores, "with these rules"), *_probability(rules, scores)]) + "\n"


def network_card(rules: BoxRules | None, scores: Mapping[str, Any]) -> str:
    """The card of a network; `scores` as `training.fine_tuning.fine_tune` gives them, `rules` those that were learned for it."""
    name, negatives = scores["detector"], scores["negatives"]
    parts = [
        f"# Weights of {name}\n\n"
        f"Learned from {scores['learned_calls']} calls in {scores['learned_sessions']} sessions, and "
        f"{', '.join(f'{count} {label}' for label, count in negatives.items()) or 'no sound'} that people said are no calls, "
        f"beginning from `{scores['began_from']}`. SHA-256 of the weights: `{scores['weights_sha256']}`.",
        _edits(scores, "with these weights"),
    ]
    if rules:
        parts += _probability(rules, scores)
    else:
        parts.append(
            "## Is the confidence a probability?\n\nNo: boxes are cut and scored by the fixed rules of this detector, since the "
            f"sessions dealt to `dev` could teach none ({scores['without_rules']})."
        )
    return "\n\n".join(parts) + "\n"


def _probability(rules: BoxRules, scores: Mapping[str, Any]) -> list[str]:
    return [
        "## Is the confidence a probability?\n\n"
        f"Boxes from {rules.least:g} on, of recordings that the score had not learned from (each fold of recordings scored by "
        "what the others taught):\n\n" + reliability(scores["calibration_across_folds"]) + "\n\n![Reliability](reliability.png)",
        "## Thresholds\n\nFor `threshold=precision:0.9` and the like: boxes from this probability on.\n\n"
        + _table(("asked", "least probability", "reached", "95 % interval"), map(_threshold, scores["thresholds"])),
    ]


def reliability(found: Mapping[str, Any]) -> str:
    """The reliability table, and the expected calibration error in a sentence."""
    rows = [
        (
            f"{one['low']:.1f} to {one['high']:.1f}",
            one["boxes"],
            f"{one['confidence']:.2f}",
            f"{one['share']:.2f}" + (f" ({one['interval'][0]:.2f} to {one['interval'][1]:.2f})" if one["interval"] else ""),
        )
        for one in found["bins"]
    ]
    error = "Nothing was boxed." if found["error"] is None else f"Expected calibration error: {found['error']:.3f}"
    if found["interval"]:
        error += f" ({found['interval'][0]:.3f} to {found['interval'][1]:.3f})"
    if found["by_chance"]:
        error += ". With so many boxes, confidences that are all right would show {:.3f}, and up to {:.3f}".format(
            *found["by_chance"]
        )
    return _table(("confidence", "boxes", "mean confidence", "share on calls"), rows) + f"\n\n{error}"


def _edits(scores: Mapping[str, Any], after: str) -> str:
    if not scores["before"]:
        return "## Edits a minute\n\nNo session was left for a test: all reviewed ones belong to what is learned from."
    rows = [
        (
            name,
            f"{row['edits_a_minute']:.2f}"
            + (f" ({row['interval'][0]:.2f} to {row['interval'][1]:.2f})" if row["interval"] else ""),
            *(row[count] for count in ("kept", "moved", "deleted", "added")),
        )
        for name, row in ((f"before ({scores['began_from']})", scores["before"]), (after, scores["after"]))
    ]
    before = scores["before"]
    return (
        f"## Edits a minute\n\nOn {scores['tested_sessions']} sessions ({before['minutes']:.1f} minutes) of recordings that "
        f"nothing was learned from; an empty page takes {before['from_nothing_a_minute']:.2f}.\n\n"
        + _table(("", "edits a minute", "kept", "moved", "deleted", "added"), rows)
    )


def _threshold(answer: Mapping[str, Any]) -> Sequence[object]:
    if "refused" in answer:
        return answer["asked"], "refused", answer["refused"], ""
    low, high = answer["interval"]
    return answer["asked"], f"{answer['least']:.2f}", f"{answer['value']:.2f}", f"{low:.2f} to {high:.2f}"


def _table(header: Sequence[object], rows: Any) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
