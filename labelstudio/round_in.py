"""Sessions into a round: the project, its tasks, and all that its page and its ML backend need."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from labelstudio.audio import audio_place, page_address
from labelstudio.blind import chosen
from labelstudio.client import Server
from labelstudio.cloud import audio_problem, ensure_cloud_storage
from labelstudio.labels import LabelConfig
from labelstudio.lease import Say
from labelstudio.page import page as own_page
from labelstudio.second import ask_second
from labelstudio.served import LOCAL_FILES
from labelstudio.sync import Target, sync
from podcast import storage
from podcast.draw import drawn
from podcast.errors import InputError, PodcastError, Refusal
from podcast.listening import copy_uri, with_copies
from podcast.model import ModelRun, Recording, Round, Session
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
    """What an import did: the report, the round's project, and whether it was made just now.

    There is no project if there was none, and the source gave no session to make one for.
    """

    report: Report
    project: dict[str, Any] | None
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
    page: LabelConfig | None = None,
    presign: bool = False,
    copies: bool = False,
    blind: float = 0.0,
    second: float = 0.0,
    say: Say = lambda _: None,
) -> Brought:
    """Sessions into a round; doing it again changes nothing that has not changed.

    With `copies` the page plays listening copies, made where they are missing. `advance` is told of sessions that are ready. The
    share `blind` is heard without boxes, beside what the source says; the share `second` goes to two people.

    The project is made once the source has given its first session, so that a typo in a source or a detector leaves none behind.
    A new project gets `page`, or else the project's own; one that is there keeps what it has. `say` is told if another import has
    to be waited for.
    """
    there = server.check_name(round_, project)
    first, sessions = _opened(sessions)
    if not there and not first:
        report = Report(Counter(created=0, updated=0, unchanged=0, refused=0))
        list(report.accepted(sessions))
        return Brought(report, None, False)
    found, made = server.ensure_project(round_, page or own_page(), project)
    played, notes = _Played(document_root), Report()
    if copies:
        sessions = with_copies(sessions, played.place, notes)
    config = LabelConfig.parse(found["label_config"])
    target = Target(server, found["id"], round_.name, config, played.address, played.copy, chosen(blind))
    report = sync(target, _told(sessions, advance), say)
    report.add(notes)
    if second:
        report.counts["second"] = ask_second(server, found["id"], lambda name: drawn("second", round_.name, name, second))
    if page and not config.means_the_same(page):
        report.warn("the round has a page of its own already, and keeps it: change it in Settings, Labeling Interface")
    for folder in sorted(played.folders):
        server.ensure_local_files(found["id"], folder)
    for place in sorted(played.clouds, key=lambda item: (item.kind, item.container)):
        ensure_cloud_storage(server, found["id"], place, presign=presign)
    if played.runs and report.counts["created"] + report.counts["updated"]:
        server.show_model_version(found, str(newest(played.runs)))
        if report.counts["created"] and (shown := _shown_instead(server, found["id"], played.runs)):
            report.warn(
                f"the round shows the boxes of {shown}, which the new sessions do not have: their pages are empty; `podcast "
                f"models refresh` shows those of the model in service, Settings, Annotation those of {newest(played.runs)}"
            )
    for sample in played.samples.values():
        if problem := audio_problem(server, found["id"], sample):
            report.warn(f"the page does not get {sample} yet: {problem}; try `podcast doctor`")
    if ml_backend:
        _connect(server, found["id"], ml_backend)
    return Brought(report, found, made)


def _shown_instead(server: Server, project_id: int, runs: Iterable[ModelRun]) -> str:
    """The model version whose stored boxes a round shows, if it is none of `runs`; empty otherwise."""
    shown = str(server.project(project_id)["model_version"] or "")
    return shown if shown in server.prediction_counts(project_id) and shown not in map(str, runs) else ""


def newest(runs: Mapping[ModelRun, int]) -> ModelRun:
    """Of the runs that an import gave (and for how many sessions each), the one for the page to show.

    That of the model that looked at the most sessions, in its highest version, numbers counting as numbers: v10 is newer than v9.
    """
    sessions: Counter[str] = Counter()
    for run, count in runs.items():
        sessions[run.model] += count
    model = max(sessions, key=lambda name: (sessions[name], name))
    return max((run for run in runs if run.model == model), key=lambda run: _natural(run.version))


def _natural(version: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", version)]


def _opened(sessions: Iterable[Session | Refusal]) -> tuple[Session | None, Iterator[Session | Refusal]]:
    """The first session of a source, if it gives one, and all that it gives, from the start."""
    ahead: list[Session | Refusal] = []
    rest = iter(sessions)
    for item in rest:
        ahead.append(item)
        if isinstance(item, Session):
            return item, chain(ahead, rest)
    return None, iter(ahead)


def _told(sessions: Iterable[Session | Refusal], advance: Callable[[int], None]) -> Iterator[Session | Refusal]:
    for item in sessions:
        yield item
        advance(1)


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
        self.runs: Counter[ModelRun] = Counter()
        self.samples: dict[str, str] = {}

    def place(self, recording: Recording) -> str:
        """Where a listening copy goes; nowhere for a recording that is refused anyway.

        Raises InputError where none can be written, or the page would not get it.
        """
        try:
            page_address(recording.audio_uri, self._root)
        except InputError:
            return ""
        uri = copy_uri(recording)
        page_address(uri, self._root)
        return uri

    def copy(self, session: Session) -> str:
        """The address of a session's listening copy, empty if it has none."""
        uri = session.recording.listening_uri
        return page_address(uri, self._root) if uri else ""

    def address(self, session: Session) -> str:
        """The address of a session's recording."""
        uri = session.recording.audio_uri
        address = page_address(uri, self._root)
        self.runs.update(session.model_runs)
        path = storage.local_path(uri)
        if self._root and path is not None and address.startswith(LOCAL_FILES):
            self.folders.add(self._root / path.resolve().relative_to(self._root).parts[0])
        elif path is None and (cloud := storage.page_storage(uri)):
            self.clouds.add(cloud)
        played = self.copy(session) or address
        self.samples.setdefault(audio_place(played), played)
        return address
