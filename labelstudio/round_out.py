"""Sessions out of a round, live or from Label Studio's own export file, with all that people said of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labelstudio.client import Server
from labelstudio.json_export import read_export
from labelstudio.labels import LabelConfig
from labelstudio.results import is_number
from labelstudio.sessions import from_task, task_name
from podcast.errors import InputError, Notice, Refusal
from podcast.model import Recording, Session
from podcast.times import parse_utc

Json = dict[str, Any]
Sessions = Iterator[Session | Refusal]


@dataclass(slots=True)
class Round:
    """A round in Label Studio, read session by session."""

    server: Server
    project: Json

    @classmethod
    def find(cls, server: Server, name: str, project_id: int | None = None) -> Round:
        """The round of this name, or project number. Raises InputError if there is none."""
        project = server.find_project(name, project_id)
        if project is None:
            raise InputError(f"Label Studio has no round {name!r}; `podcast rounds` lists them")
        return cls(server, project)

    @property
    def size(self) -> int:
        """How many sessions it has."""
        return int(self.project["task_number"] or 0)

    @property
    def description(self) -> str:
        """What volunteers read about it."""
        return str(self.project.get("description") or "")

    def submitted(self, *, with_predictions: bool = False) -> Sessions:
        """The sessions that somebody has submitted.

        `with_predictions` is for those who must know what became of each prediction; see `Server.export`.
        """
        return self._to_sessions(self.server.export(self.project["id"], with_predictions=with_predictions))

    def all(self, addresses: dict[tuple[str, str], str]) -> Sessions:
        """Every session, those that nobody has submitted last; the address of each one's task is added to `addresses`, by round
        and session id."""
        return self._to_sessions(self._noted(addresses))

    def _noted(self, addresses: dict[tuple[str, str], str]) -> Iterator[Json]:
        number, submitted = self.project["id"], set()
        for task in self.server.export(number, with_predictions=True):
            submitted.add(task["id"])
            yield _with_address(task, self.server.url, number, addresses)
        for task_id, data in self.server.tasks(number):
            if task_id not in submitted:
                yield _with_address({"id": task_id, "data": data, "annotations": []}, self.server.url, number, addresses)

    def _to_sessions(self, tasks: Iterable[Json]) -> Sessions:
        config = LabelConfig.parse(self.project["label_config"], f"the labeling configuration of project {self.project['id']}")
        return to_sessions(tasks, config, self.server.users())


def held(server: Server) -> Iterator[tuple[str, Recording]]:
    """The sessions of every round, whoever has submitted them: their ids and recordings, as far as the tasks tell."""
    for project in server.rounds():
        for _, data in server.tasks(project["id"]):
            if not isinstance(name := data.get("session_id"), str):
                continue  # another kind of project
            duration_s, texts = (
                data.get("duration_s"),
                {field: str(data.get(field) or "") for field in ("uri", "source_guid", "sha256")},
            )
            start = parse_utc(str(data.get("start") or ""))
            yield name, Recording(start=start, duration_s=duration_s if is_number(duration_s) else None, **texts)


def file_sessions(
    uri: str,
    label_studio_url: str = "",
    addresses: dict[tuple[str, str], str] | None = None,
    config: LabelConfig | None = None,
) -> Sessions:
    """The sessions of Label Studio's JSON export, with the addresses of their tasks at `label_studio_url` as in `Round.all`.

    `config` is the page that the round had, if it was another than the project's own.
    """
    noted = {} if addresses is None else addresses
    tasks = (_with_address(task, label_studio_url, task.get("project"), noted) for task in read_export(uri))
    return to_sessions(tasks, config or LabelConfig.load())


def to_sessions(tasks: Iterable[Json], config: LabelConfig, users: Mapping[int, str] | None = None) -> Sessions:
    """Exported tasks as sessions; one that cannot be read comes as a Refusal, a part of one that is left out as a Notice."""
    for task in tasks:
        name = task_name(task)
        said: dict[str, None] = {}
        try:
            yield from_task(task, config, users, said.setdefault)
        except InputError as error:
            yield Refusal(name, str(error).removeprefix(f"{name}: "))
        else:
            yield from (Notice(name, words) for words in said)


def _with_address(task: Json, url: str, project: Any, addresses: dict[tuple[str, str], str]) -> Json:
    data = task.get("data")
    if isinstance(data, Mapping) and isinstance(project, int) and isinstance(task.get("id"), int):
        key = (str(data.get("round", "")), str(data.get("session_id", "")))
        addresses[key] = f"{url.rstrip('/')}/projects/{project}/data?task={task['id']}"
    return task
