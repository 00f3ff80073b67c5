"""Bring sessions into a Label Studio project so that doing it twice, or at once, changes nothing.

What the project holds is read once. A session is known by its `session_id` in the round's project. People's annotations are never
changed or deleted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from labelstudio.blind import is_blind
from labelstudio.client import Server
from labelstudio.doubles import remove_doubles
from labelstudio.index import Index
from labelstudio.labels import RECORDING, LabelConfig
from labelstudio.lease import Lease, Say, sole_writer
from labelstudio.sessions import from_annotation
from labelstudio.tasks import to_predictions, to_tasks
from podcast.errors import InputError, Refusal, UnavailableError
from podcast.model import Review, Session
from podcast.report import Report

Json = dict[str, Any]

BATCH = 1000
PATIENCE_S = 60.0
"""How long an import waits for a Label Studio that went away (a restart takes 8 s)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where sessions go: the round's project, its labeling configuration, the address of a session's recording and of its copy.

    `address` and `copy` may raise InputError; the session is then refused. Without `copy` the page plays the recordings. `blind`
    says which sessions that are not there yet are to be heard without boxes.
    """

    server: Server
    project_id: int
    round_name: str
    config: LabelConfig
    address: Callable[[Session], str]
    copy: Callable[[Session], str] = lambda _: ""
    blind: Callable[[Session], bool] = lambda session: session.blind


def sync(
    target: Target,
    sessions: Iterable[Session | Refusal],
    say: Say = lambda _: None,
) -> Report:
    """Create tasks that are missing, and update those whose data or predictions differ.

    Predictions of the same model version are replaced, those of others kept. A review is added where nobody has submitted
    anything yet; where people have, it is refused unless it says the same. Second tasks of a session that nobody touched are
    removed. `say` is called if another import has to be waited for. The report counts created, updated, unchanged and refused.

    What is in the round stays blind, or not, as it was made; a blind session gets its predictions once people have answered.
    """
    report = Report()
    report.counts.update(created=0, updated=0, unchanged=0, refused=0)
    key = target.server.signing_key
    with sole_writer(target.server, target.project_id, say) as lease, closing(Index(target.server, target.project_id)) as index:

        def blind(session: Session) -> bool:
            stored = index.data_of(session.id)
            return target.blind(session) if stored is None else is_blind(stored, "audio", key)

        tasks = to_tasks(sessions, target.round_name, target.config, target.address, report, key, target.copy, blind)
        writer = _Writer(target, report, lease, index)
        writer.mend()
        while batch := list(itertools.islice(tasks, BATCH)):
            writer.write(batch)
    return report


@dataclass(slots=True)
class _Writer:
    """Writes batches into the project that it alone may write into."""

    target: Target
    report: Report
    lease: Lease
    index: Index
    size: int = 0

    def mend(self) -> None:
        """Remove second tasks of a session that nobody touched, and note how many tasks there are."""
        removed = remove_doubles(self.target.server, self.target.project_id, self.index.doubles(), self.lease.check)
        self.index.forget(removed)
        self.size = self.index.size
        if removed:
            self.report.warn(f"{len(removed)} sessions had a second task that nobody had touched; it was removed")

    def write(self, batch: list[tuple[Session, Json]]) -> None:
        """Create or update the tasks of a batch, and look whether the project then holds what it should."""
        missing: list[Json] = []
        stored: list[tuple[Session, Json]] = []
        for session, task in batch:
            try:
                if self.index.find(task) is None:
                    missing.append(task)
                else:
                    stored.append((session, task))
            except InputError as error:
                self.report.refuse(Refusal(f"session {session.id}", str(error)))
        self._create(missing)
        self.report.counts["created"] += len(missing)
        if stored:
            self.lease.check()
            _update(self.target, stored, self.index, self.report)
        self.size += len(missing)
        self._look()

    def _create(self, tasks: list[Json]) -> None:
        """Import tasks in one request. If the server goes away, wait for it and send only what had not arrived."""
        for attempt in _patiently():
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    self.index.refresh()
                missing = [task for task in tasks if self.index.find(task) is None]
                if missing:
                    self.lease.check()
                    self.target.server.import_tasks(self.target.project_id, missing)

    def _look(self) -> None:
        """Whether the project holds as many tasks as it should; if not, somebody else may have written the same."""
        for attempt in _patiently():
            with attempt:
                if self.target.server.project(self.target.project_id)["task_number"] != self.size:
                    self.index.refresh()
                    self.mend()


def _patiently() -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(UnavailableError),
        stop=stop_after_delay(PATIENCE_S),
        wait=wait_exponential(multiplier=0.5, max=5),
        reraise=True,
    )


def _update(target: Target, batch: list[tuple[Session, Json]], index: Index, report: Report) -> None:
    """Bring tasks that were there before the batch up to date; predictions of all of them in one request."""
    additions: list[Json] = []
    outdated: list[int] = []
    changed: set[str] = set()
    for session, task in batch:
        task_id, data = index.find(task) or (0, {})
        incoming = {key: value for key, value in task["data"].items() if value not in (None, "")}
        if data.get("sha256") and incoming.get("sha256", data["sha256"]) != data["sha256"]:
            report.refuse(
                Refusal(f"session {session.id}", "its audio is not the audio that this round was made with (sha256 differs)")
            )
            continue
        for prediction in to_predictions(session, target.config) if index.is_done(task_id) else task["predictions"]:
            same, others = index.predictions(task_id, prediction)
            outdated += others
            if not same:
                additions.append({**prediction, "task": task_id})
            if others or not same:
                changed.add(session.id)
        wanted = {**{key: value for key, value in data.items() if key != RECORDING}, **incoming}
        if data != wanted:
            target.server.update_task(task_id, wanted)
            changed.add(session.id)
        if session.reviews:
            reviewed = _add_reviews(target, task_id, session, task["annotations"])
            if reviewed is None:
                report.refuse(Refusal(f"session {session.id}", "people have submitted other boxes for it; theirs were kept"))
                continue
            changed |= {session.id} if reviewed else set()
        report.counts["updated" if session.id in changed else "unchanged"] += 1
    if additions:
        target.server.import_predictions(target.project_id, additions)
    for prediction_id in outdated:
        target.server.delete_prediction(prediction_id)


def _add_reviews(target: Target, task_id: int, session: Session, annotations: list[Json]) -> bool | None:
    """Add a session's reviews to a task without submissions: True if added, False if they are there, None if others are."""
    stored = target.server.annotations(task_id)
    if stored:
        duration_s = session.recording.duration_s
        try:
            said = [_boxes(from_annotation(item, duration_s, target.config, {})) for item in stored]
        except InputError:
            return None
        return False if all(_boxes(review) in said for review in session.reviews) else None
    for annotation in annotations:
        target.server.add_annotation(task_id, annotation)
    return True


def _boxes(review: Review) -> object:
    return review.state, [(item.event.start_s, item.event.end_s, item.label, item.certainty) for item in review.annotations]
