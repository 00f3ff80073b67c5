"""A session's WAV: how long it is, how high it reaches, and whether it is the audio that was labelled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from exporters.base import WriteOptions
from podcast import audio
from podcast.errors import InputError, StorageError
from podcast.model import EDGE_S, Session, SoundEvent
from podcast.report import Report

ARCHIVE_NYQUIST_HZ = 24_000.0
"""Half the rate of Orcasound's archive, where the recording itself cannot be asked."""


def check_length(file: BinaryIO, source: str, session: Session, last_box_s: float) -> float:
    """The length of an open WAV in seconds, by its header; the file is left at its beginning.

    Raises InputError if it is no WAV of PCM samples, has another length than the session that was labelled, or ends before a box
    does.
    """
    audio.check_wav(file, source)
    duration_s, labelled_s = audio.probe_file(file, source).duration_s, session.recording.duration_s
    file.seek(0)
    if labelled_s is not None and abs(labelled_s - duration_s) > EDGE_S:
        raise InputError(f"{source} lasts {duration_s} s, but the session that was labelled {labelled_s} s")
    if last_box_s > duration_s + EDGE_S:
        raise InputError(f"a box ends at {last_box_s} s, past the end of {source} at {duration_s} s")
    return duration_s


def check_digest(digest: str, source: str, session: Session) -> str:
    """`digest`, if it is the sha256 that was noted for the session, or none was. Raises InputError otherwise."""
    if session.recording.sha256 not in ("", digest):
        raise InputError(f"{source} is not the audio that was labelled: its sha256 is {digest}, not {session.recording.sha256}")
    return digest


def known_length(session: Session, options: WriteOptions, why: str) -> float:
    """The session's length in seconds, by its source or its audio. Raises InputError with `why` it is needed if neither tells."""
    if session.recording.duration_s:
        return session.recording.duration_s
    try:
        with options.open(session) as file:
            return audio.probe_file(file, session.recording.audio_uri).duration_s
    except (InputError, StorageError) as error:
        raise InputError(f"its length is unknown, and {why} ({error})") from error


class Heights:
    """How high a box without frequencies reaches, for formats that demand a number; counts what could not be read."""

    def __init__(self, options: WriteOptions) -> None:
        self._options = options
        self._deaf: list[str] = []

    def nyquist_hz(self, session: Session, events: Iterable[SoundEvent]) -> float:
        """Nyquist's frequency of the session's audio, which is read only if one of the events has no upper bound."""
        if all(event.high_hz is not None for event in events):
            return ARCHIVE_NYQUIST_HZ
        try:
            with self._options.open(session) as file:
                return audio.probe_file(file, session.recording.audio_uri).sample_rate / 2
        except (InputError, StorageError) as error:
            self._deaf.append(str(error))
            return ARCHIVE_NYQUIST_HZ

    def warn(self, report: Report) -> None:
        """Say of how many sessions it could not be told."""
        if self._deaf:
            report.warn(
                f"the audio of {len(self._deaf)} sessions cannot be read here ({self._deaf[0]}): boxes without frequencies "
                f"reach to {ARCHIVE_NYQUIST_HZ:g} Hz; name the folder that holds it with --audio"
            )
