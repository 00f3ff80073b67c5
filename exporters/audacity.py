"""Audacity label tracks, one file a session. See docs/formats/audacity.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exporters.base import WriteOptions
from exporters.folder import Folder
from podcast.errors import Refusal
from podcast.model import Annotation, Certainty, Review, Session
from podcast.report import Report


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One file `<session id>.txt` a completed session below the folder `to`, empty where people marked nothing."""

    with Folder(to, "audacity", options) as target:

        def put(folder: str, session: Session, review: Review) -> None:
            target.add(folder, f"{session.id}.txt", "".join(lines(review)))

        return target.run(sessions, put, every_source=True)


def lines(review: Review) -> Iterator[str]:
    """The label track: times in seconds, and a line of frequencies (Hz) below a box that has any."""
    for item in review.annotations:
        event = item.event
        yield f"{event.start_s:.6f}\t{event.end_s:.6f}\t{label(item)}\n"
        if event.low_hz is not None or event.high_hz is not None:
            yield "\\" + "".join(f"\t{-1.0 if hz is None else hz:.6f}" for hz in (event.low_hz, event.high_hz)) + "\n"


def label(item: Annotation) -> str:
    """Label, call type, and a question mark for an uncertain box: `Call S16 ?`."""
    doubt = "?" if item.certainty is Certainty.UNCERTAIN else ""
    return " ".join(" ".join(filter(None, (item.label, item.call_type, doubt))).split())
