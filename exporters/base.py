"""What an exporter is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from podcast import storage
from podcast.errors import Refusal
from podcast.model import Session
from podcast.report import Report


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """`annotator` chooses among several reviews of a session: `latest`, `ground-truth`, `all`, or one annotator's name.

    `open_audio` opens a recording by its `audio_uri`. Of a round that is an address which anybody may have written who may add a
    task, so only the caller can say what may be read; it raises InputError or StorageError.
    """

    annotator: str = "latest"
    open_audio: Callable[[str], BinaryIO] = storage.open_read


Write = Callable[[Iterable[Session | Refusal], str, WriteOptions], Report]
"""Writes a stream of sessions below a folder (a URI). The same sessions in any order give the same bytes. Counts what was
written and what was left out by review state; what the format cannot hold goes to a sidecar and a warning."""
