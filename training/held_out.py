"""How well detectors do on recordings that no weight was trained on, by recording and with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from detectors.base import Detector
from detectors.starter import RATE
from evaluation.edits import EditScores, score_edits
from evaluation.scores import ModelScores, score
from evaluation.scoring import Protocol, Span
from evaluation.tables import Labelled, Predicted
from training.loop import Recorded, Sounds
from training.sounds import mix

MINUTE_S = 60.0
DRAWS = 300
"""Of the bootstrap over recordings."""


def mixed_minutes(held: Sounds, tests: Sounds, minutes: int, seed: int) -> list[Recorded]:
    """`minutes` minutes for each held-out session: its calls in the backgrounds that are kept for tests, and in made ones.

    The dataset of each is the session, so that scores come by session.
    """
    made = []
    for number, session in enumerate(sorted(held.sessions())):
        _, own = held.split({session})
        for i in range(minutes if own.calls else 0):
            rng = np.random.default_rng([seed, 2, number, i])
            wave, spans = mix(rng, MINUTE_S, own.calls, (), tests.backgrounds, most_calls=8)
            calls = tuple(Span(start_s, end_s - start_s) for start_s, end_s in spans)
            made.append(Recorded(wave, Labelled(f"{session}, made {i}", session, "made", calls, MINUTE_S)))
    return [*made, *held.labelled]


def score_detectors(detectors: Mapping[str, Detector], recordings: Sequence[Recorded]) -> list[tuple[ModelScores, EditScores]]:
    """The strict scores of every detector and the edits that its boxes leave, by dataset and over all, with intervals."""
    truth = [recording.labelled for recording in recordings]
    lengths_s = {recording.labelled.name: len(recording.wave) / RATE for recording in recordings}
    models = [_predicted(name, detector, recordings) for name, detector in detectors.items()]
    return [
        (score(truth, model, lengths_s, Protocol.STRICT, 0.5, draws=DRAWS), score_edits(truth, model, lengths_s, 0.5))
        for model in models
    ]


def _predicted(name: str, detector: Detector, recordings: Sequence[Recorded]) -> Predicted:
    spans = {}
    for recording in recordings:
        [found] = detector.detect([(recording.wave[:][:, None], RATE)])  # of a slice, since it may lie on the disk
        spans[recording.labelled.name] = tuple(Span(box.event.start_s, box.event.duration_s, box.confidence) for box in found)
    return Predicted(name, spans, are_boxes=True)


def false_boxes_a_minute(detector: Detector, backgrounds: Sounds, threshold: float) -> float:
    """Boxes of at least `threshold` a minute of backgrounds, in which there is no call."""
    clips = backgrounds.backgrounds
    found = detector.detect([(clip.wave[:, None], RATE) for clip in clips])
    boxes = sum(box.confidence >= threshold for answer in found for box in answer)
    return boxes / max(sum(len(clip.wave) for clip in clips) / RATE / 60, 1e-9)
