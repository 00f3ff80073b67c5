"""The records that every importer makes and every exporter takes. All are immutable; all times in seconds or UTC.

Event times lie on a grid of one millisecond: importers receive float dust (2.4499999999999993) and Label Studio's page
produces any float, so rounding happens once, here, and everything downstream compares exactly.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from podcast.errors import InputError

EDGE_S = 0.1
"""A box may end this much past its recording, in seconds: browsers and codecs disagree about lengths. It is cut to the end."""

LONGEST_S = 1e7
"""No recording is longer, in seconds (116 days); beyond it lie slips of the pen, and times that no clock can hold."""

HIGHEST_HZ = 1e9

LONGEST_NAME = 200
"""Bytes of a session's id in UTF-8: files are named after it, and their names end at 255."""

CALL = "Call"
"""The label of an orca's sound where nobody said of which orcas: what detectors give and what sources without labels hold. All
labels: podcast/vocabulary.py."""


class ReviewState(StrEnum):
    """What people said of a session. Only `NO_CALLS` is a true negative."""

    UNREVIEWED = "unreviewed"
    CALLS = "calls"
    NO_CALLS = "no_calls"
    UNSURE = "unsure"
    SKIPPED = "skipped"


class Certainty(StrEnum):
    """How sure the annotator was of one box."""

    CERTAIN = "certain"
    UNCERTAIN = "uncertain"


class Outcome(StrEnum):
    """What became of the detection that an annotation came from; `ADDED` came from none."""

    ACCEPTED = "accepted"
    MOVED = "moved"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class SoundEvent:
    """A stretch of one recording, in seconds from the recording's first sample, optionally bounded in frequency (Hz).

    Times are rounded to the millisecond. Raises InputError unless 0 <= start_s < end_s <= LONGEST_S and 0 <= low_hz < high_hz,
    where there are frequencies.
    """

    start_s: float
    end_s: float
    low_hz: float | None = None
    high_hz: float | None = None

    def __post_init__(self) -> None:
        if not all(-LONGEST_S <= time <= LONGEST_S for time in (self.start_s, self.end_s)):
            raise InputError(
                f"times must be finite numbers up to {LONGEST_S:.0f}, not {self.start_s!r:.20} to {self.end_s!r:.20}"
            )
        object.__setattr__(self, "start_s", round(float(self.start_s), 3) + 0.0)
        object.__setattr__(self, "end_s", round(float(self.end_s), 3))
        if not 0 <= self.start_s < self.end_s:
            raise InputError(f"an event must have 0 <= start < end, not {self.start_s} to {self.end_s} s")
        bounds = [number for number in (self.low_hz, self.high_hz) if number is not None]
        if not all(0 <= number <= HIGHEST_HZ for number in bounds) or bounds != sorted(set(bounds)):
            raise InputError(f"an event must have 0 <= low < high, not {self.low_hz!r:.20} to {self.high_hz!r:.20} Hz")

    def __lt__(self, other: SoundEvent) -> bool:
        """By start, then end, then frequencies; an event without frequencies comes first."""
        return self._order() < other._order()

    def _order(self) -> tuple[float, ...]:
        return tuple(-1.0 if number is None else number for number in (self.start_s, self.end_s, self.low_hz, self.high_hz))

    @property
    def duration_s(self) -> float:
        """Length in seconds, on the millisecond grid."""
        return round(self.end_s - self.start_s, 3)


@dataclass(frozen=True, slots=True, order=True)
class ModelRun:
    """One detector with one set of weights; `str()` gives the `model_version` that Label Studio stores."""

    model: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.model}:{self.version}" if self.version else self.model

    @classmethod
    def parse(cls, model_version: str) -> ModelRun:
        """The inverse of `str()`."""
        model, _, version = model_version.partition(":")
        return cls(model, version)


@dataclass(frozen=True, slots=True, order=True)
class Detection:
    """What a model says of one event. `confidence` lies in 0..1; InputError otherwise."""

    event: SoundEvent
    label: str
    confidence: float
    model_run: ModelRun

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise InputError(f"confidence must lie between 0 and 1, not {self.confidence}")


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a person says of one event. `detection` is the model's box that it came from, None if it was added."""

    event: SoundEvent
    label: str
    certainty: Certainty
    annotator: str
    outcome: Outcome
    detection: Detection | None = None
    call_type: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of the listening before a submission; None for what nobody noted. Times in seconds.

    `open_s`: how long the page was open, all its openings together. The others are the page's own record: whether the audio had
    `loaded`, how much of the recording was played (`heard_s`, each second once), the recording's length as the page knew it
    (`length_s`), and the questions that the person answered with "Send it anyway" (`asked`).
    """

    open_s: float | None = None
    loaded: bool | None = None
    heard_s: float | None = None
    length_s: float | None = None
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """One person's submission for one session: all boxes, and the detections that were deleted (`rejected`)."""

    annotator: str
    state: ReviewState
    annotations: tuple[Annotation, ...] = ()
    rejected: tuple[Detection, ...] = ()
    submitted: datetime | None = None
    ground_truth: bool = False
    note: str = ""
    heard: Heard = Heard()


@dataclass(frozen=True, slots=True)
class Recording:
    """One WAV.

    `uri` is the address that its source gives, kept to the letter and exported again; `audio_uri` is where the samples can be
    read today; `listening_uri` is where the smaller copy lies that the page plays, empty if there is none. `source_guid` is the
    hydrophone node, empty if unknown. `start` is the aware UTC time of the first sample.
    """

    uri: str
    source_guid: str = ""
    start: datetime | None = None
    duration_s: float | None = None
    sha256: str = ""
    audio_uri: str = ""
    listening_uri: str = ""

    def __post_init__(self) -> None:
        if self.start is not None and self.start.utcoffset() != timedelta(0):
            raise InputError(f"{self.uri}: the start of a recording must be an aware UTC time, not {self.start!r}")


@dataclass(frozen=True, slots=True)
class Sighting:
    """What somebody, or some machine, reported of a node before the session was looked at.

    `time` is when it was reported (UTC), `start` to `end` where the sound is to be looked for. `source` says who reported, and
    whether it was right, in the words of whoever says so (`tp_human_only`); `category` and `tags` what was heard. `confidence`
    lies in 0..1; None if nobody gave one.
    """

    node: str
    time: datetime
    start: datetime
    end: datetime
    source: str = ""
    category: str = ""
    confidence: float | None = None
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """How `podcast plan` came to choose a session.

    `reason` is the part of the mix that chose it. `probability` is that of being chosen, whatever the reason; None where nothing
    was left to chance. `least` is the least that any session of the same node and month had, and `pool` how many there were.
    """

    reason: str
    probability: float | None = None
    least: float | None = None
    pool: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One recording of about a minute with what models (`detections`) and people (`reviews`, oldest first) say of it.

    Files are named after its `id`: InputError for one that cannot name a file (`check_name`).

    `absolute_time` is the name of the parent recording's start, as Pod.Cast files carry it. `model_runs` names the models that
    looked, including those that found nothing. `sightings` are the reports for whose sake it was made. `blind` sessions are heard
    without a model's boxes, which come once people have answered. `planned` is how a plan chose it; None if no plan did.
    """

    id: str
    recording: Recording
    absolute_time: str = ""
    round: str = ""
    detections: tuple[Detection, ...] = ()
    model_runs: tuple[ModelRun, ...] = ()
    reviews: tuple[Review, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    blind: bool = False
    planned: Planned | None = None

    def __post_init__(self) -> None:
        check_name(self.id)


def check_name(name: str) -> None:
    """Raise InputError for a session's or an annotator's name that cannot name a file everywhere: empty, too long, hidden, with a
    slash or a control character, or with half of a surrogate pair."""
    if any(letter in "/\\" or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        problem = "it holds a slash, a control character or half of a letter"
    elif not name or name.startswith("."):
        problem = "it is empty, or begins with a dot"
    elif len(name.encode()) > LONGEST_NAME:
        problem = f"it is longer than {LONGEST_NAME} bytes"
    else:
        return
    raise InputError(f"{name[:60]!r} cannot name a file: {problem}")


@dataclass(frozen=True, slots=True)
class Round:
    """A named batch of sessions, and the words that volunteers read about it."""

    name: str
    description: str = ""
