"""Raven selection tables, one file a session, written by crowsetta. See docs/formats/raven.md."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from exporters.base import WriteOptions
from exporters.folder import Folder
from exporters.wav import Heights
from podcast.errors import Refusal
from podcast.model import Review, Session
from podcast.report import Report


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One file `<session id>.selections.txt` a completed session below the folder `to`, a header alone for no boxes."""
    heights = Heights(options)
    with Folder(to, "raven", options) as target:

        def put(folder: str, session: Session, review: Review) -> None:
            nyquist_hz = heights.nyquist_hz(session, (item.event for item in review.annotations))
            target.add(folder, f"{session.id}.selections.txt", table(review, nyquist_hz).decode())

        report = target.run(sessions, put, every_source=True)
    heights.warn(report)
    return report


def table(review: Review, nyquist_hz: float) -> bytes:
    """The selection table; a box without frequencies reaches from 0 to `nyquist_hz`."""
    import pandas as pd  # two seconds to import, and only this format needs it
    from crowsetta.formats.bbox import Raven

    columns = {
        "Selection": range(1, len(review.annotations) + 1),
        "View": ["Spectrogram 1"] * len(review.annotations),
        "Channel": [1] * len(review.annotations),
        "begin_time_s": [item.event.start_s for item in review.annotations],
        "end_time_s": [item.event.end_s for item in review.annotations],
        "low_freq_hz": [item.event.low_hz or 0.0 for item in review.annotations],
        "high_freq_hz": [nyquist_hz if item.event.high_hz is None else item.event.high_hz for item in review.annotations],
        "annotation": [one_line(item.label) for item in review.annotations],
        "Call Type": [one_line(item.call_type) for item in review.annotations],
        "Certainty": [str(item.certainty) for item in review.annotations],
        "Note": [one_line(item.note) for item in review.annotations],
    }
    with tempfile.TemporaryDirectory(prefix="podcast-raven-") as folder:
        path = Path(folder) / "table.txt"
        Raven(df=pd.DataFrame(columns), annot_path=path, annot_col="Annotation").to_file(path)
        return path.read_bytes()


def one_line(text: str) -> str:
    """Text on one line without tabs or quotation marks: Raven knows no quoting."""
    return " ".join(text.replace('"', "'").split())
