"""A folder of WAVs without predictions: one session a file."""

from __future__ import annotations

from collections.abc import Iterator

from importers.base import ReadOptions
from importers.recordings import AudioFolder
from podcast import storage
from podcast.errors import PodcastError, Refusal
from podcast.model import Session


def read(source: str, options: ReadOptions) -> Iterator[Session | Refusal]:
    """All WAVs below `source`, in order of their names; a damaged one is refused."""
    folders: dict[str, AudioFolder] = {}
    for uri in storage.list_files(source, ".wav"):
        session_id = storage.file_name(uri)[: -len(".wav")]
        if not options.wants(session_id):
            continue
        beside, _, _ = uri.rpartition("/")
        folder = folders.setdefault(beside, AudioFolder(beside, beside, required=True))
        try:
            recording, name = folder.recording(session_id, storage.file_name(uri), options.source_guid)
            yield Session(session_id, recording, name.parent)
        except PodcastError as error:
            yield Refusal(uri, str(error).removeprefix(f"{uri}: "))
