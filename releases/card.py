"""The README of a release: what is in it, how it was made, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evaluation.agreement import Measure
from evaluation.anchoring import Anchoring
from evaluation.blind import BlindReport
from evaluation.edits import ReviewEdits
from evaluation.estimate import Estimate
from podcast.heard import HeardCounts
from podcast.model import ReviewState
from podcast.nodes import find_node
from podcast.splits import LEFT_OUT, SPLITS
from podcast.times import format_utc
from podcast.vocabulary import Kind, source
from releases import card_people
from releases.markdown import plain, table
from releases.records import Pseudonyms
from releases.summary import Summary

DEFAULT_LICENCE = "CC BY-NC-SA 4.0"


@dataclass(frozen=True, slots=True)
class CardWords:
    """What the numbers do not tell.

    `rounds` maps a round to the words that its volunteers read about it; `empty` says which splits are empty, and why.
    `too_little_heard` answers were left out, for less than the share `min_heard` was heard; None where nobody asked for it.
    """

    name: str
    licence: str = DEFAULT_LICENCE
    audio: bool = True
    gap_s: float = 0.0
    overlap: float = 0.5
    rounds: Mapping[str, str] = field(default_factory=dict)
    empty: str = ""
    min_heard: float | None = None
    too_little_heard: int = 0


def card(
    words: CardWords,
    summary: Summary,
    measures: Iterable[Measure],
    anchoring: Iterable[Anchoring],
    blind: BlindReport,
    edits: ReviewEdits,
    sea: Sequence[Estimate],
    names: Pseudonyms,
) -> str:
    """The README as Markdown."""
    sections = [
        f"# {plain(words.name)}\n\n{description(summary)}",
        _files(words),
        _numbers(summary),
        _sounds(summary),
        _rounds(words, summary),
        _labelling(words, summary),
        _heard(words, summary.heard),
        card_people.agreement(measures, names),
        card_people.anchoring(anchoring, names, words.overlap),
        card_people.blind(blind, names),
        card_people.edits(edits),
        card_people.sea(sea),
        _limits(words, summary, sea=bool(sea)),
        f"## Licence\n\nUnder {plain(words.licence)}. Please name Orcasound, its volunteers and this release, "
        f"{plain(words.name)}.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def description(summary: Summary) -> str:
    """What the release holds, in a sentence."""
    span = f", recorded from {format_utc(summary.first)} to {format_utc(summary.last)}" if summary.first else ""
    calls, sessions = sum(summary.split_calls.values()), sum(summary.sessions.values())
    released = summary.state_total(ReviewState.CALLS) + summary.state_total(ReviewState.NO_CALLS)
    return (
        f"Calls of orcas on Orcasound's hydrophones, labelled by people: {calls} boxes in {released} sessions "
        f"({_hours(sum(summary.node_seconds.values()))} h) that are ready for training and testing, of {sessions} sessions in "
        f"all{span}."
    )


def _files(words: CardWords) -> str:
    audio = "`wav/`: one WAV a session, bytes as they were labelled" if words.audio else "The audio is not part of this release"
    return (
        "## Files\n\n"
        f"- {audio}\n"
        "- `train.tsv`, `dev.tsv`, `test.tsv`: the Pod.Cast columns, one row a call; a session without calls is one row with "
        "`0.0 0.0`. `date` and time are Pacific local time of the session's own start (a tape's name where no time is known)\n"
        "- `sessions.csv`: one row a session, every state; `annotations.csv`: one row a released call, with votes, certainty, "
        "call type and UTC; `sounds.csv`: one row a sound that people marked and that was no orca; `reviews.csv`: one row a "
        "submission; `review_boxes.csv`: every prediction and every submitted or deleted box behind them\n"
        "- `agreement.csv`, `anchoring.csv`, `blind.csv`, `map.png`, `nodes.png`, `hours.png`, `CHANGELOG`, `SHA256SUMS` (check "
        "with `sha256sum -c SHA256SUMS`)\n"
        "- `croissant.json`: every table and its columns for machines; `CITATION.cff`: how to cite this release\n\n"
        "Times are seconds from a session's first sample, to the millisecond; moments end in Z and are UTC. Empty means "
        "unknown.\n\n"
        "Cells are as people wrote them, and one that begins with `=`, `+`, `-` or an at sign is a formula to a spreadsheet: "
        "import the tables with every column as text and without evaluating formulas; never open them by a double click."
    )


def _numbers(summary: Summary) -> str:
    states = list(ReviewState)
    rows = [
        [split, *(summary.sessions[split, state] for state in states), summary.split_calls[split]]
        for split in (*SPLITS, LEFT_OUT)
        if split in SPLITS or any(summary.sessions[split, state] for state in states)
    ]
    nodes = [
        [find_node(node).name or "unknown", node, _hours(summary.node_seconds[node]), certain, uncertain]
        for node in sorted(summary.node_seconds)
        for certain, uncertain in [(summary.node_calls[node, "certain"], summary.node_calls[node, "uncertain"])]
    ]
    types = [[name or "(none given)", count] for name, count in sorted(summary.call_types.items())]
    return "\n\n".join(
        [
            "## Numbers\n\nSessions by split and state, and calls in `calls` sessions:",
            table(["split", *map(str, states), "calls"], rows),
            "Only `calls` and `no_calls` are in the three tables. `unsure`, `skipped` and `unreviewed` sessions are in "
            "`sessions.csv` alone: **they are not negatives**."
            + (
                f" Split `{LEFT_OUT}`: sessions that would tie two splits together."
                if LEFT_OUT in [row[0] for row in rows]
                else ""
            ),
            table(["hydrophone", "node", "hours", "calls, certain", "calls, uncertain"], nodes),
            "![Map of the hydrophones](map.png)\n\n![Calls per hydrophone](nodes.png)\n\n![Calls by hour of day](hours.png)",
            table(["call type", "boxes"], types),
        ]
    )


def _sounds(summary: Summary) -> str:
    """What was heard beside orcas; nothing where nobody marked anything."""
    if not summary.sounds:
        return ""
    rows = []
    for label in sorted({label for _, label in summary.sounds}):
        kind = found.kind if (found := source(label)) else Kind.UNKNOWN
        rows.append([label, kind, *(summary.sounds[split, label] for split in SPLITS), f"{summary.sound_ms[label] / 1000:.0f}"])
    return (
        "## Other sounds\n\nWhat people marked that was no orca, by what made it: the rows of `sounds.csv`. They are negatives "
        "with a name: a model that boxes them takes a ship or a humpback for an orca. Where `over_call` is yes an orca calls at "
        "the same time. Not every such sound was marked.\n\n"
        + table(["source", "kind", *SPLITS, "seconds"], rows)
        + "\n\n![Other sounds by source](sounds.png)"
    )


def _rounds(words: CardWords, summary: Summary) -> str:
    rows = [[name or "(no name)", count, words.rounds.get(name, "")] for name, count in sorted(summary.rounds.items())]
    return "## Rounds\n\n" + table(["round", "sessions", "what volunteers read"], rows)


def _labelling(words: CardWords, summary: Summary) -> str:
    several = sum(count for reviewers, count in summary.reviewers.items() if reviewers > 1)
    models = ", ".join(map(plain, sorted(summary.model_versions))) or "none"
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(summary.outcomes.items())) or "none"
    return (
        "## How it was labelled\n\n"
        f"People listened to each session, saw its spectrogram and a model's boxes (models: {models}), and accepted, moved or "
        f"deleted these or added their own. Of the released boxes: {outcomes}.\n\n"
        f"{several} sessions have several annotators. Boxes of different people that overlap by {words.overlap} (intersection "
        "over union) are one box; the box that is released was really drawn by one of them, and `votes` of `reviewers` is kept. "
        "A box that half of them or fewer drew is `uncertain`. Only if all say so is a session `no_calls`; where they do not "
        "agree it is `unsure`.\n\n"
        "Splits are by recording: no two sessions of one recording, of the same audio, or less than "
        f"{words.gap_s:g} s apart at one node are on two sides."
    )


def _heard(words: CardWords, heard: HeardCounts) -> str:
    left_out = (
        ""
        if words.min_heard is None
        else f" {words.too_little_heard} more answers were left out, as if nobody had given them: less than a share of "
        f"{words.min_heard:g} of the recording was heard."
    )
    return (
        "## Was it heard?\n\n"
        f"Of {heard.answers} answers {heard.faster_than_sound} came faster than the sound: the audio had not loaded "
        f"({heard.not_loaded}), the page was open for less time than the recording lasts ({heard.open_too_short}), or less than "
        f"all of the recording was played ({heard.heard_in_part}). Nothing is known of {heard.unknown}.{left_out} `reviews.csv` "
        "has what is known of each. Somebody who reads spectrograms well may be right without having heard every second."
    )


def _limits(words: CardWords, summary: Summary, *, sea: bool) -> str:
    lines = [
        "Absence of a box means that nobody heard a call there, not that no whale was there.",
        "Annotators saw the model's boxes first; the table above tells how far that may have led them.",
        "Boxes bound calls in time; frequencies are given where a source had them, never measured by annotators.",
        "The tables hold uncertain boxes too; `annotations.csv` tells which (`certainty`).",
        "Sessions were chosen because a model or a person expected whales: shares of calls are not those of the sea"
        + (", but for those under What the sea holds." if sea else "."),
    ]
    if uncertain := summary.certainties["uncertain"]:
        lines.append(f"{uncertain} of {sum(summary.certainties.values())} boxes are uncertain.")
    if summary.untimed:
        lines.append(f"{summary.untimed} sessions have no known time; they are missing from the picture by hour.")
    if words.empty:
        lines.append(f"{words.empty[:1].upper()}{words.empty[1:]}.")
    return "## Known limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}"
