"""Raven selection tables, one file a session, written by crowsetta. See docs/formats/raven.md."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from exporters.base import WriteOptions
from exporters.folder import Folder
from podcast import audio
from podcast.errors import InputError, Refusal, StorageError
from podcast.model import Review, Session
from podcast.report import Report

ARCHIVE_NYQUIST_HZ = 24_000.0
"""Half the rate of Orcasound's archive, where the recording itself cannot be asked."""


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One file `<session id>.selections.txt` a completed session below the folder `to`, a header alone for no call."""
    deaf: list[str] = []
    with Folder(to, "raven", options) as target:

        def put(folder: str, session: Session, review: Review) -> None:
            nyquist_hz = ARCHIVE_NYQUIST_HZ
            if any(item.event.high_hz is None for item in review.annotations):
                try:
                    with options.open(session) as file:
                        nyquist_hz = audio.probe_file(file, session.recording.audio_uri).sample_rate / 2
                except (InputError, StorageError) as error:
                    deaf.append(str(error))
            target.add(folder, f"{session.id}.selections.txt", table(review, nyquist_hz).decode())

        report = target.run(sessions, put)
    if deaf:
        report.warn(
            f"the audio of {len(deaf)} sessions cannot be read here ({deaf[0]}): boxes without frequencies reach to "
            f"{ARCHIVE_NYQUIST_HZ:g} Hz; name the folder that holds it with --audio"
        )
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
        "annotation": [_plain(item.label) for item in review.annotations],
        "Call Type": [_plain(item.call_type) for item in review.annotations],
        "Certainty": [str(item.certainty) for item in review.annotations],
        "Note": [_plain(item.note) for item in review.annotations],
    }
    with tempfile.TemporaryDirectory(prefix="podcast-raven-") as folder:
        path = Path(folder) / "table.txt"
        Raven(df=pd.DataFrame(columns), annot_path=path, annot_col="Annotation").to_file(path)
        return path.read_bytes()


def _plain(text: str) -> str:
    """Text on one line without tabs or quotation marks: Raven knows no quoting."""
    return " ".join(text.replace('"', "'").split())
