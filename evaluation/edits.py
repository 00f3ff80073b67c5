"""Edits a minute: how many boxes must be deleted, added or moved to turn a pre-label into what people said (docs/adr/0110).

A box of the prediction and one of the truth that overlap may be a pair, each in one at most. A pair costs nothing where both
edges lie within `EDGE_S`, and one edit where an edge must be moved further; a predicted box without a partner must be deleted, a
true one added. Of all ways to pair them the one with the fewest edits counts, so no order of boxes matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evaluation.scoring import Span, bootstrap_interval, boxes
from evaluation.tables import Labelled, Predicted
from podcast.heard import unheard
from podcast.model import Annotation, Detection, Outcome, Review, Session
from podcast.overlap import Stretch, best_pairs
from podcast.reviews import COMPLETED, calls_of, counted, others_of
from podcast.vocabulary import is_call

EDGE_S = 0.2
"""An edge this far off, in seconds, is left as it is."""
DRAWS = 1000
FROM_NOTHING = "from nothing"
"""In place of a model version: the annotator began with an empty page."""


@dataclass(frozen=True, slots=True)
class Edits:
    """Boxes that were right as they were (`kept`), had an edge moved, were deleted, or added, in `seconds` of audio."""

    kept: int = 0
    moved: int = 0
    deleted: int = 0
    added: int = 0
    seconds: float = 0.0

    def __add__(self, other: Edits) -> Edits:
        return Edits(
            self.kept + other.kept,
            self.moved + other.moved,
            self.deleted + other.deleted,
            self.added + other.added,
            self.seconds + other.seconds,
        )

    @property
    def count(self) -> int:
        """All edits; a box is one, whether one edge of it moved or both."""
        return self.moved + self.deleted + self.added

    @property
    def a_minute(self) -> float | None:
        """Edits per minute of audio; None without audio."""
        return 60 * self.count / self.seconds if self.seconds else None

    @property
    def from_nothing(self) -> float | None:
        """What an empty page would have taken, a minute: every true box is added."""
        return 60 * (self.kept + self.moved + self.added) / self.seconds if self.seconds else None


@dataclass(frozen=True, slots=True)
class EditRow:
    """The edits over some recordings; `interval` is of edits a minute (95 %, bootstrap over recordings), None for one alone."""

    name: str
    recordings: int
    edits: Edits
    interval: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON; rates a minute are rounded to three decimals."""
        edits = self.edits
        return {
            "name": self.name,
            "recordings": self.recordings,
            "minutes": round(edits.seconds / 60, 3),
            "kept": edits.kept,
            "moved": edits.moved,
            "deleted": edits.deleted,
            "added": edits.added,
            "edits_a_minute": _rounded(edits.a_minute),
            "interval": self.interval and [_rounded(end) for end in self.interval],
            "from_nothing_a_minute": _rounded(edits.from_nothing),
        }


@dataclass(frozen=True, slots=True)
class EditScores:
    """The edits of one model by recording, dataset and hydrophone, each sorted by name, and over all."""

    recordings: tuple[EditRow, ...]
    datasets: tuple[EditRow, ...]
    hydrophones: tuple[EditRow, ...]
    all: EditRow


def edits(predicted: Sequence[Stretch], truth: Sequence[Stretch], seconds: float) -> Edits:
    """The fewest edits that turn `predicted` into `truth`, in a recording of `seconds`."""
    pairs = best_pairs(predicted, truth, lambda one, other, _: 2.0 if same_edges(one, other) else 1.0)
    kept = sum(same_edges(predicted[row], truth[column]) for row, column in pairs)
    return Edits(kept, len(pairs) - kept, len(predicted) - len(pairs), len(truth) - len(pairs), seconds)


def same_edges(one: Stretch, other: Stretch) -> bool:
    """Whether both edges lie within `EDGE_S`, to the millisecond."""
    return max(abs(one.start_s - other.start_s), abs(one.end_s - other.end_s)) <= EDGE_S + 5e-4


def shown(model: Predicted, name: str, threshold: float) -> Sequence[Span]:
    """The boxes that predictions put on the page: all that `podcast detect` wrote, or windows joined over `threshold`."""
    spans = model.spans.get(name, ())
    return [span for span in spans if span.duration_s > 0] if model.are_boxes else boxes(spans, threshold)


def score_edits(
    truth: Sequence[Labelled], model: Predicted, length_s: Mapping[str, float], threshold: float, *, draws: int = DRAWS
) -> EditScores:
    """The edits that one model's predictions leave. `threshold` is for scores a window alone, `draws` for the intervals."""
    found = {
        recording.name: edits(
            shown(model, recording.name, threshold),
            [span for span in recording.spans if span.duration_s > 0],
            length_s[recording.name],
        )
        for recording in truth
    }

    def rows(key: Callable[[Labelled], str]) -> tuple[EditRow, ...]:
        names = sorted({key(recording) for recording in truth})
        return tuple(
            edit_row(name, [found[recording.name] for recording in truth if key(recording) == name], draws) for name in names
        )

    return EditScores(
        rows(lambda recording: recording.name),
        rows(lambda recording: recording.dataset),
        rows(lambda recording: recording.hydrophone),
        edit_row("all", list(found.values()), draws),
    )


def edit_row(name: str, found: Sequence[Edits], draws: int = DRAWS) -> EditRow:
    """The sum over recordings, with its interval."""
    counts, seconds = (np.array(column) for column in ([item.count for item in found], [item.seconds for item in found]))

    def a_minute(members: Sequence[int]) -> float | None:
        return float(60 * counts[members].sum() / seconds[members].sum()) if seconds[members].sum() else None

    interval = bootstrap_interval(a_minute, len(found), rounds=draws) if draws else None
    return EditRow(name, len(found), sum(found, Edits()), interval)


@dataclass(slots=True)
class ReviewEdits:
    """What people really changed, by model version, of calls: a box that was said to be another sound counts as deleted.

    Fill it with `add`, session by session.

    Reviews count that say "calls" or "no calls", but for those before which nothing was heard (`unheard`), as if nobody had given
    them, and those of which nothing tells how long their session is (`without_length`).
    """

    without_length: int = 0
    unheard: int = 0
    _found: dict[str, list[Edits]] = field(default_factory=dict)

    def add(self, session: Session) -> None:
        """Take one session; each review of it counts its audio once."""
        silent = [review for review in session.reviews if unheard(review, session.recording.duration_s)]
        self.unheard += sum(review.state in COMPLETED for review in silent)
        said = tuple(review for review in session.reviews if review not in silent)
        for review in counted(replace(session, reviews=said)):
            if review.state not in COMPLETED:
                continue
            if not session.recording.duration_s:
                self.without_length += 1
                continue
            for version, made in _of_review(session, review, session.recording.duration_s):
                self._found.setdefault(version, []).append(made)

    def rows(self) -> Iterator[EditRow]:
        """By model version; `recordings` counts reviews here."""
        for version in sorted(self._found):
            yield edit_row(version, self._found[version])


def _of_review(session: Session, review: Review, seconds: float) -> Iterator[tuple[str, Edits]]:
    """A review begins from one model's boxes. One that names none of them began from nothing, unless every model found none; and
    one of a blind session did."""
    origins = [item.detection for item in review.annotations if item.detection]
    versions = {str(detection.model_run) for detection in (*origins, *review.rejected)}
    if not versions and not session.detections and not session.blind:
        versions = {str(run) for run in session.model_runs}
    calls = calls_of(review.annotations)
    predicted = [item for item in calls if item.outcome is not Outcome.ADDED and not _is_other(item.detection)]
    kept = sum(_is_kept(item) for item in predicted)
    named = [item.detection for item in others_of(review.annotations) if item.detection]
    deleted = sum(not _is_other(detection) for detection in (*named, *review.rejected))
    made = Edits(kept, len(predicted) - kept, deleted, len(calls) - len(predicted), seconds)
    yield versions.pop() if len(versions) == 1 else FROM_NOTHING, made


def _is_other(detection: Detection | None) -> bool:
    return detection is not None and not is_call(detection.label)


def _is_kept(item: Annotation) -> bool:
    if item.outcome is Outcome.MOVED:
        return item.detection is not None and same_edges(item.event, item.detection.event)
    return item.outcome is Outcome.ACCEPTED


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
