"""A session's WAV before it is copied: is it the audio that was labelled? Asked by the AudioFolder and by releases."""

from __future__ import annotations

from typing import BinaryIO

from podcast import audio
from podcast.errors import InputError
from podcast.model import EDGE_S, Session


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
