"""A campaign made of truth: nodes whose seas drift, minutes with real calls in them, and annotators who err at a set rate.

    corpus, _ = read_manifest(str(DATA / "manifest.tsv"))    # the licensed calls
    taught, held = dealt(corpus, seed)                       # no recording of a call, and no humpback, is on both sides
    pool = minutes("pool", NODES[:2], 20, when=1, seed=seed, sounds=taught)    # what there is to listen to; nothing is made yet
    made = pool[0].made()                                    # its samples and its calls, the same at every asking
    session = asked(pool[0], made, ear, (ANN,), seed)        # what the detector showed, and what people said of it
    lessons(reviewed([session, ...], Report()), {})          # from here on everything is the project's own
    learn(ear, lessons, lambda one: by_name[one.name].made().audio, ...)

`when` is counted in rounds: noise, ships and clicks of each node change with it. `Ear` is a detector that listens to a recording
once, which saves most of the time and changes no answer. A minute takes a third of a second to make, and is not kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from scipy import fft

from detectors.base import Framed
from detectors.frames import Frames
from detectors.rules import BoxRules, version
from detectors.starter import RATE
from evaluation.edits import same_edges
from podcast.audio import Samples, Wave
from podcast.model import (
    CALL,
    Annotation,
    Certainty,
    Detection,
    ModelRun,
    Outcome,
    Recording,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)
from podcast.overlap import best_pairs
from training.loop import Sounds
from training.sounds import BAND_HZ, Generator, band_level, disturbance, ship, varied

DATA = Path(os.environ.get("PODCAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
MINUTE_S = 60.0
MOST_CALLS = 16
SPREAD_DB = 6.0
"""Standard deviation of how loud the calls of one node are."""
AUDIBLE_DB = 0.0
"""Over the noise between 0.5 and 8 kHz: fainter calls are in no minute, since nobody would mark them."""
BEGIN = datetime(2025, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Node:
    """A hydrophone: the colour of its sea, how often ships, clicks and humpbacks are heard, how loud calls are over a quiet sea
    (dB), in what share of minutes there are calls, and by how many dB its noise grows from round to round."""

    name: str
    slope: float
    ships: float
    clicks: float
    humpbacks: float
    loud_db: float
    calls: float = 0.7
    drift_db: float = 0.0

    def noise_db(self, when: int) -> float:
        """Level of the noise in a round: it drifts, and no two rounds are alike."""
        return self.drift_db * (when - 1) + float(_rng("noise", self.name, when).normal(0, 1))


NODES = (
    Node("made_strait", slope=0.6, ships=0.5, clicks=0.7, humpbacks=0.1, loud_db=9.0, drift_db=0.7),
    Node("made_harbour", slope=0.4, ships=0.2, clicks=2.0, humpbacks=0.0, loud_db=8.0, drift_db=-0.3),
    Node("made_point", slope=0.9, ships=0.2, clicks=1.0, humpbacks=0.4, loud_db=8.0, drift_db=0.4),
    Node("made_haro", slope=1.1, ships=0.3, clicks=1.5, humpbacks=0.2, loud_db=10.0, drift_db=0.2),
)


@dataclass(frozen=True)
class Made:
    """The sound of one minute, and the calls in it."""

    samples: Samples
    calls: tuple[SoundEvent, ...]

    @property
    def audio(self) -> tuple[Samples, int]:
        """What a detector takes: samples of shape (frames, 1), and their rate in Hz."""
        return self.samples, RATE


@dataclass(frozen=True)
class Minute:
    """A minute that somebody could listen to. `key` makes it: the same key, the same calls in the same order, in any round."""

    name: str
    node: Node
    start: datetime
    when: int
    key: tuple[object, ...]
    sounds: Sounds

    def made(self) -> Made:
        """Its samples and its calls."""
        rng = _rng(*self.key)
        frames = round(MINUTE_S * RATE)
        wave, level = _noise(rng, self.node, self.when, frames)
        spans: list[tuple[int, int, bool]] = []
        others = [clip for clip in self.sounds.others if clip.source]
        for clips, count in (
            (others, int(rng.integers(1, 5)) if rng.random() < self.node.humpbacks else 0),
            (self.sounds.calls, int(rng.integers(1, MOST_CALLS + 1)) if rng.random() < self.node.calls else 0),
        ):
            for _ in range(count if clips else 0):
                sound = varied(rng, clips[int(rng.integers(len(clips)))].wave)[: frames - 1]
                first, loud_db = int(rng.integers(frames - len(sound))), rng.normal(self.node.loud_db, SPREAD_DB)
                loudness = 10 ** (loud_db / 20)
                taken = any(first < end and begin < first + len(sound) for begin, end, _ in spans)
                if taken or loudness < level * 10 ** (AUDIBLE_DB / 20):
                    continue
                wave[first : first + len(sound)] += loudness * sound / max(band_level(sound), 1e-9)
                spans.append((first, first + len(sound), clips is self.sounds.calls))
        calls = tuple(SoundEvent(first / RATE, end / RATE) for first, end, is_call in sorted(spans) if is_call)
        return Made((wave / max(float(np.abs(wave).max()), 1e-9)).astype(np.float32)[:, None], calls)


def dealt(sounds: Sounds, seed: int) -> tuple[Sounds, Sounds]:
    """What rounds are made of, and what is held out from them: calls by recording, about half the recordings on either side; the
    one large recording, 96 of 136 calls, is always in the rounds. Humpbacks by file."""
    sizes = {one: sum(clip.session == one for clip in sounds.calls) for one in sorted({clip.session for clip in sounds.calls})}
    largest = max(sizes, key=lambda one: sizes[one])
    others = _rng("dealt", seed).permutation([one for one in sizes if one != largest]).tolist()
    held = set(others[: (len(sizes) + 1) // 2])
    named = {id(clip): clip for clip in sounds.others if clip.source}
    humpbacks = list(named.values())
    order = _rng("humpbacks", seed).permutation(len(humpbacks)).tolist()
    half = {id(humpbacks[at]) for at in order[: len(order) // 2]}

    def side(*, held_out: bool) -> Sounds:
        calls = tuple(clip for clip in sounds.calls if (clip.session in held) is held_out)
        return Sounds(calls, tuple(clip for clip in humpbacks if (id(clip) in half) is held_out))

    return side(held_out=False), side(held_out=True)


def minutes(name: str, nodes: Sequence[Node], count: int, *, when: int, seed: int, sounds: Sounds) -> list[Minute]:
    """`count` minutes of a round, the nodes in turn, two hours apart. `when` is no part of what makes their calls, so that two
    rounds of one name differ in their noise alone."""
    return [
        Minute(
            f"{name}-{when}-{number:04d}",
            nodes[number % len(nodes)],
            BEGIN + timedelta(days=30 * when, hours=2 * number),
            when,
            (name, seed, number),
            sounds,
        )
        for number in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Annotator:
    """Somebody who listens to a minute and mends the boxes on the page, and errs at a set rate.

    Shares of: calls without a box that are missed, wrong boxes that are left, right boxes that are deleted, boxes that get the
    answer "uncertain". Edges are left where both lie within `tolerates_s` of the truth; else drawn with an error of standard
    deviation `edge_s`.
    """

    name: str
    misses: float = 0.08
    leaves: float = 0.08
    deletes: float = 0.03
    doubts: float = 0.03
    tolerates_s: float = 0.2
    edge_s: float = 0.06

    def review(self, rng: Generator, calls: Sequence[SoundEvent], shown: Sequence[Detection]) -> Review:
        """What they submit for a minute that really holds `calls`."""
        boxes = [detection.event for detection in shown]
        pairs = dict(best_pairs(boxes, calls, lambda one, other, _: 2.0 if same_edges(one, other) else 1.0))
        annotations, rejected = [], []
        for at, detection in enumerate(shown):
            wrong = at not in pairs
            if rng.random() >= (self.leaves if wrong else 1 - self.deletes):
                rejected.append(detection)
                continue
            call = boxes[at] if wrong else calls[pairs[at]]
            off_s = max(abs(call.start_s - boxes[at].start_s), abs(call.end_s - boxes[at].end_s))
            kept = off_s <= self.tolerates_s
            event = boxes[at] if kept else self._drawn(rng, call)
            annotations.append(self._said(rng, event, Outcome.ACCEPTED if kept else Outcome.MOVED, detection))
        for number, call in enumerate(calls):
            if number not in pairs.values() and rng.random() >= self.misses:
                annotations.append(self._said(rng, self._drawn(rng, call), Outcome.ADDED, None))
        state = ReviewState.CALLS if annotations else ReviewState.NO_CALLS
        return Review(self.name, state, tuple(annotations), tuple(rejected))

    def _drawn(self, rng: Generator, call: SoundEvent) -> SoundEvent:
        start_s = max(call.start_s + rng.normal(0, self.edge_s), 0.0)
        return SoundEvent(start_s, min(max(call.end_s + rng.normal(0, self.edge_s), start_s + 0.05), MINUTE_S))

    def _said(self, rng: Generator, event: SoundEvent, outcome: Outcome, detection: Detection | None) -> Annotation:
        certainty = Certainty.UNCERTAIN if rng.random() < self.doubts else Certainty.CERTAIN
        return Annotation(event, CALL, certainty, self.name, outcome, detection)


ANN, BOB = Annotator("ann"), Annotator("bob", misses=0.12, leaves=0.05, edge_s=0.09)
ACCEPTS_ALL = Annotator("eager", misses=1.0, leaves=1.0, deletes=0.0, doubts=0.0, tolerates_s=MINUTE_S)


@dataclass(frozen=True)
class Heard:
    """A minute that was reviewed, its calls, and its frames."""

    session: Session
    calls: tuple[SoundEvent, ...]
    frames: Frames

    @property
    def audio(self) -> tuple[Samples, int]:
        """In place of its sound, which is not kept: a sample a second by which an `Ear` knows it from all others."""
        name = hashlib.sha256(self.session.id.encode()).digest()
        return np.resize(np.frombuffer(name, np.uint8), round(MINUTE_S)).astype(np.float32)[:, None], 1


class Ear:
    """A detector that listens to a recording once: frames are kept by what was heard, for other rules too."""

    def __init__(self, detector: Framed, kept: dict[str, Frames] | None = None, rules: BoxRules | None = None) -> None:
        self.detector, self.kept, self.rules = detector, {} if kept is None else kept, rules
        self.strengths, self.fixed_cut = detector.strengths, detector.fixed_cut

    @cached_property
    def model_run(self) -> ModelRun:
        """See `Detector`."""
        return replace(self.detector.model_run, version=version(self.strengths, self.rules))

    def with_rules(self, rules: BoxRules | None) -> Ear:
        """The same ear, and what it has heard, with other rules."""
        return Ear(self.detector, self.kept, rules)

    def frames(self, samples: Samples, sample_rate: int) -> Frames:
        """See `Framed`."""
        heard = self.key(samples)
        if heard not in self.kept:
            self.kept[heard] = self.detector.frames(samples, sample_rate)
        return self.kept[heard]

    @staticmethod
    def key(samples: Samples) -> str:
        """By what frames are kept."""
        return hashlib.sha256(np.ascontiguousarray(samples[:: 1 + len(samples) // 20_000]).tobytes()).hexdigest()

    def remember(self, heard: Iterable[Heard]) -> None:
        """Know these minutes by what stands for their sound."""
        self.kept.update({self.key(one.audio[0]): one.frames for one in heard})

    def detect(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[Detection]]:
        """See `Detector`; without rules, a box's confidence is that of `energy`."""
        return [self.boxes(self.frames(samples, sample_rate)) for samples, sample_rate in recordings]

    def boxes(self, frames: Frames) -> list[Detection]:
        if self.rules is not None:
            return [Detection(event, CALL, chance, self.model_run) for event, chance in self.rules.boxes(frames)]
        found, boxes = self.fixed_cut.events(frames)
        means = [float(frames.strength[first : last + 1].mean()) for first, last in found]
        return [
            Detection(event, CALL, round(mean / (mean + 30.0), 4), self.model_run)
            for event, mean in zip(boxes, means, strict=True)
        ]


def asked(minute: Minute, made: Made, ear: Ear, annotators: Sequence[Annotator], seed: int) -> Session:
    """The session of a minute: the boxes that were shown, and the review of one of the annotators, in turn."""
    [shown] = ear.detect([made.audio])
    rng = _rng("asked", seed, minute.name)
    who = annotators[int(rng.integers(len(annotators)))]
    recording = Recording(f"made/{minute.name}.wav", minute.node.name, minute.start, MINUTE_S)
    return Session(
        minute.name,
        recording,
        round=minute.name.rsplit("-", 1)[0],
        detections=tuple(shown),
        model_runs=(ear.model_run,),
        reviews=(who.review(rng, made.calls, shown),),
    )


def listen(minute: Minute, ear: Ear, annotators: Sequence[Annotator], seed: int) -> Heard:
    """Make a minute, let it be reviewed (`asked`), and forget its sound."""
    made = minute.made()
    heard = Heard(asked(minute, made, ear, annotators, seed), made.calls, ear.frames(*made.audio))
    ear.remember([heard])
    return heard


def _noise(rng: Generator, node: Node, when: int, frames: int) -> tuple[Wave, float]:
    """Sea, ships and short sounds of a node in a round, and the level of sea and ship between 0.5 and 8 kHz; that of the sea is 1
    in a quiet round."""
    spectrum = fft.rfft(rng.standard_normal(frames, np.float32)) * _colour(node.slope, frames)
    level = 10 ** (node.noise_db(when) / 20)
    swell = np.interp(np.arange(frames), np.linspace(0, frames, 8), 10 ** (0.3 * rng.normal(size=8) / 2)).astype(np.float32)
    wave = level * swell * fft.irfft(spectrum, frames)
    if rng.random() < node.ships:
        near = ship(rng, frames)
        near_level = level * 10 ** (rng.uniform(-15, 0) / 20)
        wave += near * (near_level / band_level(near))
        level = float(np.hypot(level, near_level))
    for _ in range(rng.poisson(node.clicks)):
        short = disturbance(rng, frames)
        wave += short * (level * 10 ** (rng.uniform(-5, 20) / 20) / max(float(np.abs(short).max()), 1e-9))
    return wave, level


@lru_cache
def _colour(slope: float, frames: int) -> Wave:
    """What makes white noise fall with frequency, its level between 0.5 and 8 kHz then 1; of shape (frames // 2 + 1,)."""
    hertz = np.fft.rfftfreq(frames, 1 / RATE)
    shape = np.maximum(hertz, 50) ** -slope
    inside = (hertz > BAND_HZ[0]) & (hertz < BAND_HZ[1])
    colour: Wave = (shape / np.sqrt(2 * (shape[inside] ** 2).sum() / frames)).astype(np.float32)
    return colour


def _rng(*key: object) -> Generator:
    return np.random.default_rng(list(hashlib.sha256(repr(key).encode()).digest()))
