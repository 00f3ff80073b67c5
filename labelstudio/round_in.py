"""Sessions into a round: the project, its tasks, and all that its page and its ML backend need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelstudio.audio import audio_place, page_address
from labelstudio.client import Server
from labelstudio.cloud import audio_problem, ensure_cloud_storage
from labelstudio.labels import LabelConfig
from labelstudio.served import LOCAL_FILES
from labelstudio.sync import Target, sync
from podcast import storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import Round, Session
from podcast.report import Report
from podcast.storage import PageStorage


@dataclass(frozen=True, slots=True)
class MlBackend:
    """The ML backend that a round is connected to, and the login that it asks for."""

    url: str
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Brought:
    """What an import did: the report, the round's project, and whether it was made just now."""

    report: Report
    project: dict[str, Any]
    made: bool


def bring_in(
    server: Server,
    round_: Round,
    sessions: Iterable[Session | Refusal],
    document_root: Path | None,
    ml_backend: MlBackend | None = None,
    advance: Callable[[int], None] = lambda _: None,
    *,
    project: int | None = None,
    presign: bool = False,
) -> Brought:
    """Sessions into a round; doing it again changes nothing that has not changed. `advance` is told of sessions done."""
    found, made = server.ensure_project(round_, LabelConfig.load(), project)
    played = _Played(document_root)
    target = Target(server, found["id"], round_.name, LabelConfig.parse(found["label_config"]), played.address)
    report = sync(target, sessions, advance)
    for folder in sorted(played.folders):
        server.ensure_local_files(found["id"], folder)
    for place in sorted(played.clouds, key=lambda item: (item.kind, item.container)):
        ensure_cloud_storage(server, found["id"], place, presign=presign)
    if played.model_versions and report.counts["created"] + report.counts["updated"]:
        server.show_model_version(found, max(played.model_versions))
    for sample in played.samples.values():
        if problem := audio_problem(server, found["id"], sample):
            report.warn(f"the page does not get {sample} yet: {problem}; try `podcast doctor`")
    if ml_backend:
        _connect(server, found["id"], ml_backend)
    return Brought(report, found, made)


def _connect(server: Server, project_id: int, ml_backend: MlBackend) -> None:
    """Connect the ML backend, after the tasks, so that a backend that is down loses nothing."""
    try:
        server.ensure_ml_backend(project_id, ml_backend.url, ml_backend.user, ml_backend.password)
    except InputError:
        raise
    except PodcastError as error:
        raise type(error)(f"the sessions are in Label Studio, but not the ML backend: {error}; run it again") from error


class _Played:
    """What the page plays, remembering what Label Studio has to serve, and an address of each place to try."""

    def __init__(self, document_root: Path | None) -> None:
        self._root = document_root.resolve() if document_root else None
        self.folders: set[Path] = set()
        self.clouds: set[PageStorage] = set()
        self.model_versions: set[str] = set()
        self.samples: dict[str, str] = {}

    def address(self, session: Session) -> str:
        uri = session.recording.audio_uri
        address = page_address(uri, self._root)
        self.model_versions |= {str(run) for run in session.model_runs}
        path = storage.local_path(uri)
        if self._root and path is not None and address.startswith(LOCAL_FILES):
            self.folders.add(self._root / path.resolve().relative_to(self._root).parts[0])
        elif path is None and (cloud := storage.page_storage(uri)):
            self.clouds.add(cloud)
        self.samples.setdefault(audio_place(address), address)
        return address
