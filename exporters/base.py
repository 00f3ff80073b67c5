"""What an exporter is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from podcast import storage
from podcast.errors import Refusal
from podcast.model import Certainty, Session
from podcast.report import Report


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """`annotator` chooses among several reviews of a session: `latest`, `ground-truth`, `all`, or one annotator's name.

    `open_audio` opens a recording by its `audio_uri`. Of a round that is an address which anybody may have written who may add a
    task, so only the caller can say what may be read; it raises InputError or StorageError. `audio` is a folder with
    `<session id>.wav`, which then stands for those addresses. `round` is the round that was asked for, if one was. `min_heard`
    leaves out answers of which less than this share was heard (`podcast.heard`), None none.
    """

    annotator: str = "latest"
    open_audio: Callable[[str], BinaryIO] = storage.open_read
    audio: str | None = None
    round: str = ""
    min_heard: float | None = None

    def open(self, session: Session) -> BinaryIO:
        """The session's audio as a seekable file. Raises InputError or StorageError if it may not or cannot be read."""
        return self.open_audio(audio_address(session, self.audio))


CONFIDENCES = {Certainty.CERTAIN: 1.0, Certainty.UNCERTAIN: 0.5}
"""The confidence of a person's box, for formats that ask for one: a model's would doubt what a person has confirmed."""


def audio_address(session: Session, folder: str | None) -> str:
    """Where the session's audio is: `<session id>.wav` in `folder`, or without one what the session itself says."""
    return session.recording.audio_uri if folder is None else storage.join(folder, f"{session.id}.wav")


Write = Callable[[Iterable[Session | Refusal], str, WriteOptions], Report]
"""Writes a stream of sessions below a folder (a URI). The same sessions in any order give the same bytes. Counts what was
written and what was left out by review state; what the format cannot hold goes to a sidecar and a warning."""
