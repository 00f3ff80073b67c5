"""What a model takes for orcas: how often it boxes sounds that people named, by what made them (docs/adr/0102)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from evaluation.edits import shown
from evaluation.scoring import Span
from evaluation.tables import Labelled, Predicted, SoundsOf
from podcast import storage
from podcast.dataset_table import number
from podcast.errors import InputError
from podcast.overlap import touches
from podcast.reading import Table
from podcast.vocabulary import Kind, is_call, source

COLUMNS = ("session_id", "start_time_s", "end_time_s", "source")


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """One model and the sounds of one source, in `hours` of audio.

    `sounds` are those that no call overlaps, `boxed` those of them that a box of the model touches, `boxes` the boxes that touch
    one and no call.
    """

    source: str
    kind: str
    sounds: int
    boxed: int
    boxes: int
    hours: float

    @property
    def share(self) -> float | None:
        """Share of the sounds that are boxed; None without one."""
        return self.boxed / self.sounds if self.sounds else None

    @property
    def per_hour(self) -> float | None:
        """Boxes per hour of all audio that is scored; None without any."""
        return self.boxes / self.hours if self.hours else None

    def as_dict(self) -> dict[str, object]:
        """For JSON; shares and rates to three decimals."""
        rates = {"share": self.share, "per_hour": self.per_hour}
        return {**asdict(self), **{name: rate if rate is None else round(rate, 3) for name, rate in rates.items()}}


def false_alarms(
    truth: Sequence[Labelled], model: Predicted, length_s: Mapping[str, float], threshold: float
) -> list[FalseAlarms]:
    """One row a source that is among the named sounds, by name. `length_s` gives every recording's length in seconds."""
    sounds: Counter[str] = Counter()
    boxed: Counter[str] = Counter()
    boxes: Counter[str] = Counter()
    for recording in truth:
        calls = [span for span in recording.spans if span.duration_s > 0]
        alone = [(label, span) for label, span in recording.sounds if not touches(span, calls)]
        found = [box for box in shown(model, recording.name, threshold) if box.confidence >= threshold]
        wrong = [box for box in found if not touches(box, calls)]
        sounds.update(label for label, _ in alone)
        boxed.update(label for label, span in alone if touches(span, found))
        for label in {label for label, _ in alone}:
            named = [span for own, span in alone if own == label]
            boxes[label] += sum(touches(box, named) for box in wrong)
    hours = sum(length_s[recording.name] for recording in truth) / 3600
    return [
        FalseAlarms(
            label, str(known.kind if (known := source(label)) else Kind.UNKNOWN), sounds[label], boxed[label], boxes[label], hours
        )
        for label in sorted(sounds)
    ]


def with_sounds(truth: Sequence[Labelled], uri: str) -> list[Labelled]:
    """The recordings, each with the named sounds that a release's `sounds.csv` has of it; errors are those of `read_sounds`."""
    named = read_sounds(uri)
    return [replace(recording, sounds=recording.sounds + named.get(recording.name, ())) for recording in truth]


def read_sounds(uri: str) -> SoundsOf:
    """Named sounds by session from a release's `sounds.csv`. Raises InputError naming the line and column that is wrong."""
    found: dict[str, list[tuple[str, Span]]] = {}
    with storage.open_read(uri) as file:
        for line in Table(file, uri, ",", COLUMNS, multiline=True):
            if line.problem:
                raise InputError(f"{line.where}: {line.problem}")
            try:
                start_s, end_s = number(line.cells["start_time_s"]), number(line.cells["end_time_s"])
            except InputError as error:
                raise InputError(f"{line.where}, start_time_s and end_time_s: {error}") from error
            label = line.cells["source"]
            if is_call(label):
                raise InputError(f"{line.where}, source: {label!r} is an orca, and no false alarm")
            found.setdefault(line.cells["session_id"], []).append((label, Span(start_s, end_s - start_s)))
    return {name: tuple(sounds) for name, sounds in found.items()}
