"""Sessions to test with: by hand, and any (hypothesis)."""

from __future__ import annotations

import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from podcast.model import (
    Annotation,
    Certainty,
    Detection,
    Heard,
    ModelRun,
    Outcome,
    Recording,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)

RUN = ModelRun("starter", "1")
NODE = "rpi_orcasound_lab"


def box(start_s: float, end_s: float, annotator: str = "ann@x.org", **more: Any) -> Annotation:
    given = {"label": "Call", "certainty": Certainty.CERTAIN, "outcome": Outcome.ADDED} | more
    return Annotation(SoundEvent(start_s, end_s), annotator=annotator, **given)


def review(annotator: str, state: ReviewState, boxes: Sequence[tuple[float, float]] = (), **more: Any) -> Review:
    return Review(annotator, state, tuple(box(*times, annotator) for times in boxes), **more)


def session(name: str, *reviews: Review, start: datetime | None = None, node: str = NODE, **more: Any) -> Session:
    recording = Recording(
        f"https://example.org/{name}.wav", node, start, more.pop("duration_s", 60.0), audio_uri=more.pop("audio_uri", "")
    )
    return Session(name, recording, round=more.pop("round", "round1"), reviews=reviews, **more)


def spread(count: int, *reviews: Review, node: str = NODE, every_s: float = 7200.0) -> list[Session]:
    """Sessions of one node, far enough apart for splits of their own."""
    first = datetime(2020, 7, 1, 12, tzinfo=UTC)
    starts = [first + timedelta(seconds=every_s * number) for number in range(count)]
    return [
        session(f"{node.replace('rpi_', '')}-{number:04d}", *reviews, start=start, node=node)
        for number, start in enumerate(starts)
    ]


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=12)
NAMES = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=20).filter(
    lambda name: not name.startswith(".")
)
MOMENTS = st.integers(0, 2_000_000_000_000).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
RUNS = st.builds(
    ModelRun, st.text(string.ascii_letters + "-_;% ", min_size=1, max_size=8), st.text(string.ascii_letters + ".;:", max_size=5)
)


@st.composite
def events(draw: st.DrawFn) -> SoundEvent:
    start_ms, length_ms = draw(st.integers(0, 59_000)), draw(st.integers(1, 1000))
    low = draw(st.none() | st.integers(0, 1000))
    high = draw(st.none() | st.integers(1001, 24_000))
    return SoundEvent(start_ms / 1000, (start_ms + length_ms) / 1000, low, high)


SECONDS = st.integers(0, 4_000_000).map(lambda ms: ms / 1000)
HEARD = st.builds(
    Heard,
    st.none() | SECONDS,
    st.none() | st.booleans(),
    st.none() | SECONDS,
    st.none() | SECONDS.filter(bool),
    st.lists(st.sampled_from(["not_heard", "a;b", "%3B"]), max_size=2).map(tuple),
)
DETECTIONS = st.builds(Detection, events(), WORDS.filter(bool), st.floats(0, 1), RUNS)


@st.composite
def any_review(draw: st.DrawFn) -> Review:
    annotator = draw(st.sampled_from(["", "ann@x.org", "bob@x.org", "annotator-007"]))
    state = draw(st.sampled_from(ReviewState))
    count = draw(st.integers(1, 4)) if state is ReviewState.CALLS else 0
    if state is ReviewState.UNSURE:
        count = draw(st.integers(0, 2))
    annotations = [
        Annotation(
            draw(events()),
            draw(WORDS),
            draw(st.sampled_from(Certainty)),
            annotator,
            draw(st.sampled_from(Outcome)),
            draw(st.none() | DETECTIONS),
            draw(WORDS),
            draw(WORDS),
        )
        for _ in range(count)
    ]
    rejected = draw(st.lists(DETECTIONS, max_size=2))
    return Review(
        annotator,
        state,
        tuple(annotations),
        tuple(rejected),
        draw(st.none() | MOMENTS),
        draw(st.booleans()),
        draw(WORDS),
        draw(HEARD),
    )


@st.composite
def any_session(draw: st.DrawFn) -> Session:
    recording = Recording(
        draw(WORDS),
        draw(st.sampled_from(["", NODE, "rpi_bush_point", "elsewhere"])),
        draw(st.none() | MOMENTS),
        draw(st.none() | st.integers(60_000, 3_600_000).map(lambda ms: ms / 1000)),
        draw(st.just("") | st.binary(min_size=32, max_size=32).map(bytes.hex)),
    )
    return Session(
        draw(NAMES),
        recording,
        draw(WORDS),
        "round 1",
        tuple(draw(st.lists(DETECTIONS, max_size=3))),
        tuple(draw(st.lists(RUNS, max_size=3))),
        tuple(draw(st.lists(any_review(), max_size=3))),
    )


ROUNDS = st.lists(any_session(), min_size=1, max_size=6, unique_by=lambda item: item.id)
