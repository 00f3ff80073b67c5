"""What an importer is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from podcast import storage
from podcast.errors import Refusal
from podcast.model import Session


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What an importer may need beside its source.

    `audio` is the folder (any storage URI) that holds `<session id>.wav`. With `audio_required` a session whose audio cannot
    be read is refused; without it length and hash stay unknown. `model_version` names the model where the source does not.
    `threshold` drops detections of a lower confidence; None leaves the choice to the format. `source_guid` is the node where
    neither source nor name tells it. `only` names the sessions that are wanted, where not all are.
    """

    audio: str | None = None
    audio_required: bool = True
    model_version: str | None = None
    threshold: float | None = None
    source_guid: str = ""
    only: frozenset[str] | None = None

    def wants(self, session_id: str) -> bool:
        """Whether a session is wanted: asked before its audio is opened."""
        return self.only is None or session_id in self.only


def own_name(source: str) -> str:
    """The name of a source's folder, also where that is `.`, or of its file without the suffix: for a round that has no other."""
    path = storage.local_path(source)
    name = path.resolve().name if path else storage.file_name(source)
    return re.sub(r"\.(tsv|csv|json|wav)$", "", name, flags=re.IGNORECASE)


Read = Callable[[str, ReadOptions], Iterator[Session | Refusal]]
"""Reads a source (a URI) as a stream: a bad file or line comes as a Refusal and the rest goes on. Raises InputError or
StorageError only if nothing at all can be read."""
