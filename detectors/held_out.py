"""How well detectors do on recordings that no weight was trained on, by recording and with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from detectors.base import Detector
from detectors.sounds import RATE, mix
from detectors.training import Labelled, Sounds
from podcast.scoring import (
    Confidence,
    Protocol,
    Span,
    Truth,
    average_precision,
    bootstrap_interval,
    confidence_per_second,
    truth_per_second,
)

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Score:
    """Average precision over the seconds of one recording group, with its 95 % bootstrap interval over minutes."""

    group: str
    detector: str
    average_precision: float | None
    interval: tuple[float, float] | None
    minutes: float
    positive_seconds: int

    def as_dict(self) -> dict[str, object]:
        """For `scores.json`."""
        return asdict(self)


def mixed_minutes(held: Sounds, tests: Sounds, minutes: int, seed: int) -> list[Labelled]:
    """`minutes` minutes for each held-out session: its calls in the backgrounds that are kept for tests, and in made ones."""
    made = []
    for number, session in enumerate(sorted(held.sessions())):
        _, own = held.split({session})
        for i in range(minutes if own.calls else 0):
            rng = np.random.default_rng([seed, 2, number, i])
            wave, spans = mix(rng, MINUTE_S, own.calls, (), tests.backgrounds, most_calls=8)
            made.append(Labelled(wave, tuple(spans), session))
    return [*made, *held.labelled]


def score(detectors: Mapping[str, Detector], recordings: Sequence[Labelled], protocol: Protocol = Protocol.STRICT) -> list[Score]:
    """Every detector on every group of recordings, and on all of them."""
    scores = []
    for name, detector in detectors.items():
        seconds = [_seconds(detector, recording, protocol) for recording in recordings]
        for group in [*sorted({recording.session for recording in recordings}), "all"]:
            members = [s for s, r in zip(seconds, recordings, strict=True) if group in (r.session, "all")]
            scores.append(_score(group, name, members))
    return scores


def _seconds(detector: Detector, recording: Labelled, protocol: Protocol) -> tuple[Truth, Confidence]:
    length_s = len(recording.wave) / RATE
    [found] = detector.detect([(recording.wave[:, None], RATE)])
    truth = [Span(start, end - start) for start, end in recording.spans]
    boxes = [Span(box.event.start_s, box.event.duration_s, box.confidence) for box in found]
    return truth_per_second(truth, length_s, protocol), confidence_per_second(boxes, length_s, protocol)


def _score(group: str, detector: str, seconds: Sequence[tuple[Truth, Confidence]]) -> Score:
    def precision(members: Sequence[int]) -> float | None:
        truth, confidence = (np.concatenate(part) for part in zip(*(seconds[i] for i in members), strict=True))
        return average_precision(truth, confidence)

    truth = np.concatenate([truth for truth, _ in seconds])
    interval = bootstrap_interval(precision, len(seconds), rounds=300)
    return Score(group, detector, precision(range(len(seconds))), interval, len(truth) / 60, int(truth.sum()))


def false_boxes_a_minute(detector: Detector, backgrounds: Sounds, threshold: float) -> float:
    """Boxes of at least `threshold` a minute of backgrounds, in which there is no call."""
    clips = backgrounds.backgrounds
    found = detector.detect([(clip.wave[:, None], RATE) for clip in clips])
    boxes = sum(box.confidence >= threshold for answer in found for box in answer)
    return boxes / max(sum(len(clip.wave) for clip in clips) / RATE / 60, 1e-9)
