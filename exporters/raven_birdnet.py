"""Raven selection tables as BirdNET-Analyzer writes and reads them, one file a session. See docs/formats/raven-birdnet.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exporters.base import CONFIDENCES, WriteOptions
from exporters.folder import Folder
from exporters.raven import one_line
from exporters.wav import Heights, known_length
from podcast import storage
from podcast.errors import Refusal
from podcast.model import Annotation, Review, Session, SoundEvent
from podcast.report import Report
from podcast.vocabulary import source

COLUMNS = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)", "Common Name"),
    *("Species Code", "Confidence", "Begin Path", "File Offset (s)", "Call Type", "Certainty", "Note"),
)
ENDING = ".BirdNET.selection.table.txt"
"""By it BirdNET-Analyzer finds the table of a recording."""
NO_CALL = "nocall"
"""The word of BirdNET-Analyzer for a recording in which there is nothing: it passes such a row over."""


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One file a completed session below the folder `to`; one in which nothing was marked has a row `nocall` over its length.

    A session without boxes whose length is unknown is refused.
    """
    heights = Heights(options)
    with Folder(to, "raven-birdnet", options) as target:

        def put(folder: str, session: Session, review: Review) -> None:
            rows = list(_rows(session, review, options, heights))
            target.add(folder, f"{session.id}{ENDING}", "".join("\t".join(row) + "\n" for row in (COLUMNS, *rows)))

        report = target.run(sessions, put, every_source=True)
    heights.warn(report)
    return report


def _rows(session: Session, review: Review, options: WriteOptions, heights: Heights) -> Iterator[tuple[str, ...]]:
    if review.annotations:
        boxes = [(item.event, *_said(item)) for item in review.annotations]
    else:
        length_s = known_length(session, options, "a table without a row is none to crowsetta")
        boxes = [(SoundEvent(0, length_s), NO_CALL, NO_CALL, "1.0", "", "", "")]
    nyquist_hz = heights.nyquist_hz(session, (event for event, *_ in boxes))
    path = f"{session.id}.wav" if options.audio is None else storage.join(options.audio, f"{session.id}.wav")
    for number, (event, name, code, confidence, *more) in enumerate(boxes, 1):
        high_hz = nyquist_hz if event.high_hz is None else event.high_hz
        span = [str(float(value)) for value in (event.start_s, event.end_s, event.low_hz or 0.0, high_hz)]
        yield (str(number), "Spectrogram 1", "1", *span, name, code, confidence, one_line(path), str(event.start_s), *more)


def _said(item: Annotation) -> tuple[str, str, str, str, str, str]:
    """Common Name, Species Code, Confidence, Call Type, Certainty, Note."""
    found = source(item.label)
    label = one_line(item.label)
    confidence = str(CONFIDENCES[item.certainty])
    return label, found.key if found else label, confidence, one_line(item.call_type), str(item.certainty), one_line(item.note)
