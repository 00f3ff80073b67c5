"""A thin client over label-studio-sdk: find or make a round's project, and stream its content.

Requests that fail on the way raise ServiceError with what to do. Reads are tried again by the SDK; writes never are on their
own, since Label Studio's import does no deduplication (`sync.py` looks first what has arrived).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx
import ijson
import label_studio_sdk
from label_studio_sdk.core.api_error import ApiError

from labelstudio.answers import Body, in_short, status_and_body
from labelstudio.json_export import read_tasks
from labelstudio.labels import LabelConfig
from labelstudio.signed import signing_key
from podcast.errors import InputError, ServiceError, UnavailableError
from podcast.model import Round
from podcast.spool import Spool

Json = dict[str, Any]

PAGE_SIZE = 1000
TITLE_LENGTHS = (3, 50)
TRAINING = "Training: "
"""How a description of an ML backend begins that a trainer wrote; the add-on shows it to maintainers."""


STATE = ("id", "data", "is_labeled", "overlap", "total_annotations")


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task's number and data; `done` once as many as are asked (`people`) have answered; so many `answers` there are."""

    id: int
    data: Json
    done: bool
    people: int
    answers: int


class Server:
    """One Label Studio, spoken to with one account's key (a legacy token or a personal access token)."""

    def __init__(self, url: str, api_key: str, *, signing_secret: str = "", timeout_s: float = 600.0) -> None:
        if not api_key:
            raise InputError(
                "no key for Label Studio: set LABEL_STUDIO_API_KEY to an access token (Label Studio, Account & Settings)"
            )
        self.url = url.rstrip("/")
        self.signing_key = signing_key(signing_secret or api_key)
        self.http = httpx.Client(base_url=self.url, timeout=timeout_s, follow_redirects=True)
        with self._clear_errors():
            self.sdk: Any = label_studio_sdk.LabelStudio(  # type: ignore[no-untyped-call]  # loads half of pandas: only here
                base_url=self.url, api_key=api_key, httpx_client=self.http
            )

    # The server and its accounts

    def version(self) -> str:
        """Label Studio's version. Raises ServiceError if the server is away, InputError if it refuses the key."""
        with self._clear_errors():
            self.sdk.users.whoami()
            return str(self.request("GET", "/api/version").get("release", "unknown"))

    def account(self) -> int:
        """The number of the account whose key this is."""
        with self._clear_errors():
            return int(self.sdk.users.whoami().id)

    def addon(self) -> Json | None:
        """What the add-on says of itself (`tested`, `label_studio`, `sure`); None where Label Studio runs without it."""
        with self._clear_errors():
            answer = self.http.get("/rounds/health")
            there = answer.status_code == httpx.codes.OK and "json" in answer.headers.get("Content-Type", "")
            return dict(answer.json()) if there else None

    def users(self) -> dict[int, str]:
        """Account numbers and their addresses."""
        with self._clear_errors():
            return {user.id: user.email or str(user.id) for user in self.sdk.users.list() if user.id is not None}

    # Rounds

    def rounds(self) -> list[Json]:
        """All projects with their counts, as the REST API lists them, by title."""
        with self._clear_errors():
            projects = [project.dict() for project in self.sdk.projects.list(page_size=100)]
        return sorted(projects, key=lambda project: (str(project["title"]), project["id"]))

    def find_project(self, name: str, project_id: int | None = None) -> Json | None:
        """The project of a round by its title, or by number. Raises InputError if there are several of that title."""
        if project_id is not None:
            return self.project(project_id)
        found = self._titled(name)
        if len(found) > 1:
            raise InputError(f"round {name!r}: projects {found} all have this title; name one with --project")
        return self.project(found[0]) if found else None

    def project(self, project_id: int) -> Json:
        """One project. Raises InputError if it is not there."""
        with self._clear_errors(missing=f"Label Studio has no project {project_id}"):
            return dict(self.sdk.projects.get(project_id).dict())

    def check_name(self, round_: Round, project_id: int | None = None) -> Json | None:
        """The round's project, if it is there. Raises InputError if it is not, and none could be made of that name."""
        project = self.find_project(round_.name, project_id)
        if project is None and not TITLE_LENGTHS[0] <= len(round_.name) <= TITLE_LENGTHS[1]:
            raise InputError(
                f"round {round_.name!r}: Label Studio takes names of {TITLE_LENGTHS[0]} to {TITLE_LENGTHS[1]} letters"
            )
        return project

    def ensure_project(self, round_: Round, config: LabelConfig, project_id: int | None = None) -> tuple[Json, bool]:
        """The round's project, and whether it was made just now.

        A project that is there keeps its labeling configuration (its maintainer may have added labels); its description is
        brought up to date. Raises InputError if its configuration lacks a control that this project needs, or has a label
        that the vocabulary does not have.
        """
        project = self.check_name(round_, project_id)
        if project is None:
            return self._make_project(round_, config)
        place = f"the labeling configuration of project {project['id']}"
        LabelConfig.parse(project["label_config"], place).check(place)
        if round_.description and project["description"] != round_.description:
            with self._clear_errors():
                self.sdk.projects.update(project["id"], description=round_.description)
        return project, False

    def prediction_counts(self, project_id: int) -> dict[str, int]:
        """How many predictions of each model version a project holds."""
        stored = self.request("GET", f"/api/projects/{project_id}/model-versions?extended=true")["static"]
        return {str(row["model_version"]): int(row["count"]) for row in stored if row["count"]}

    def show_model_version(self, project: Json, model_version: str) -> None:
        """Let the label stream show the predictions of this version, unless `project` already shows some that are there.

        What it shows is a version of stored predictions or, for "whatever the ML backend says", the title of one: both are the
        maintainer's choice. `project` is as it was before its import: Label Studio itself sets the last version of a task's.
        """
        shown, number = project.get("model_version"), project["id"]
        if shown in {*self.prediction_counts(number), *(row["title"] for row in self.ml_backends(number))}:
            return
        with self._clear_errors():
            self.sdk.projects.update(number, model_version=model_version)

    def ensure_local_files(self, project_id: int, folder: Path) -> bool:
        """A local-files storage that covers `folder`, so that Label Studio serves it; True if it was made just now.

        It is never synced: that would make a second set of tasks.
        """
        with self._clear_errors(hint="is LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true set where Label Studio runs?"):
            for found in self.sdk.import_storage.local.list(project=project_id):
                if folder == Path(found.path or "/nowhere") or Path(found.path or "/nowhere") in folder.parents:
                    return False
            self.sdk.import_storage.local.create(
                project=project_id, path=str(folder), title="audio (never sync)", use_blob_urls=True
            )
        return True

    def ensure_ml_backend(self, project_id: int, url: str, user: str = "", password: str = "") -> bool:
        """Connect the ML backend at `url` to the project; True if it was made just now.

        One that is there gets the login anew if it has another, or does not work; without `user` its login is left as it is.
        """
        login: Json = {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password} if user else {}
        with self._clear_errors(hint=f"is the ML backend at {url} up, and may Label Studio reach it? Try `podcast doctor`"):
            for backend in self.ml_backends(project_id):
                if backend["url"] == url:
                    if login and (backend["basic_auth_user"] != user or not self.is_connected(backend["id"])):
                        self.sdk.ml.update(backend["id"], project=project_id, url=url, **login)
                    return False
            self.sdk.ml.create(project=project_id, url=url, title="Orca calls", **login)
        return True

    def ml_backends(self, project_id: int) -> list[Json]:
        """The ML backends of a project; `state` is CO for connected."""
        with self._clear_errors():
            return [backend.dict() for backend in self.sdk.ml.list(project=project_id)]

    def is_connected(self, ml_backend_id: int) -> bool:
        """Whether Label Studio reaches an ML backend; it tries anew."""
        return bool(self.request("GET", f"/api/ml/{ml_backend_id}")["state"] == "CO")

    def tell_at_ml_backends(self, project_id: int, words: str, user: str = "", password: str = "") -> None:
        """Let the ML backends of a project say what is being learned; a description that a maintainer wrote stays."""
        login: Json = {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password} if user else {}
        for backend in self.ml_backends(project_id):
            if not backend["description"] or backend["description"].startswith(TRAINING):
                told = {"project": project_id, "url": backend["url"], "description": TRAINING + words, **login}
                self.request("PATCH", f"/api/ml/{backend['id']}", told)

    # Content

    def tasks(self, project_id: int) -> Iterator[tuple[int, Json]]:
        """Number and data of every task, page by page."""
        return ((task.id, task.data) for task in self.task_states(project_id))

    def task_states(self, project_id: int) -> Iterator[TaskState]:
        """Every task and how far it is, page by page."""
        with self._clear_errors():
            # Without resolve_uri=False, cloud addresses come as proxy addresses, and every task seems to have changed.
            wanted = {"include": list(STATE), "fields": "task_only", "resolve_uri": False}
            for task in self.sdk.tasks.list(project=project_id, page_size=PAGE_SIZE, **wanted):
                yield TaskState(int(task.id), dict(task.data or {}), *(getattr(task, name) for name in STATE[2:]))

    def ask_people(self, task_id: int, people: int, *, again: bool) -> None:
        """Let so many people answer a task; one that was done is in the stream again only if `again` says so."""
        self.request("PATCH", f"/api/tasks/{task_id}/", {"overlap": people, **({"is_labeled": False} if again else {})})

    def update_task(self, task_id: int, data: Json) -> None:
        """Replace a task's data."""
        with self._clear_errors():
            self.sdk.tasks.update(str(task_id), data=data)

    def annotations(self, task_id: int) -> list[Json]:
        """A task's submissions."""
        with self._clear_errors():
            return [annotation.dict() for annotation in self.sdk.annotations.list(task_id)]

    def add_annotation(self, task_id: int, annotation: Json) -> None:
        """Add one submission to a task."""
        with self._clear_errors():
            self.sdk.annotations.create(task_id, **annotation, request_options={"max_retries": 0})

    def predictions(self, project_id: int, task_id: int | None = None) -> Iterator[Json]:
        """Every stored prediction, streamed."""
        scope = {"project": project_id} if task_id is None else {"project": project_id, "task": task_id}
        with self._stream("/api/predictions/", scope) as body:
            yield from ijson.items(body, "item", use_float=True)

    def import_tasks(self, project_id: int, tasks: list[Json]) -> None:
        """One import request, tried once."""
        self.request("POST", f"/api/projects/{project_id}/import", tasks)

    def import_predictions(self, project_id: int, predictions: list[Json]) -> None:
        """Add predictions, each naming its `task`, in one request, tried once."""
        self.request("POST", f"/api/projects/{project_id}/import/predictions", predictions)

    def is_touched(self, task_id: int) -> bool | None:
        """Whether people have answered, skipped, begun or commented on a task; None if it is gone."""
        try:
            task = self.request("GET", f"/api/tasks/{task_id}/", missing="gone")
        except InputError:
            return None
        counts = ("total_annotations", "cancelled_annotations", "draft_exists", "comment_count")
        return bool(task.get("annotations") or task.get("drafts") or any(task.get(name) for name in counts))

    def delete_tasks(self, project_id: int, task_ids: list[int]) -> None:
        """Delete tasks, with their predictions."""
        chosen = {"selectedItems": {"all": False, "included": task_ids}}
        self.request("POST", f"/api/dm/actions?id=delete_tasks&project={project_id}", chosen)

    def delete_prediction(self, prediction_id: int) -> None:
        """Delete one prediction; annotations made from it keep their own copy."""
        with self._clear_errors():
            self.sdk.predictions.delete(prediction_id)

    def export(self, project_id: int, *, with_predictions: bool = False) -> Iterator[Json]:
        """Every task that has an annotation, streamed from Label Studio's own JSON export.

        The export names predictions by number alone; `with_predictions` puts them in, at the cost of one more listing. Only
        then is it sure what became of each: Label Studio copies the prediction into an annotation only where the project's
        model version is a version, not the title of an ML backend.
        """
        with Spool() as spool:
            for prediction in self.predictions(project_id) if with_predictions else ():
                spool.add(str(prediction["task"]), str(prediction["id"]), prediction)
            with self._stream(f"/api/projects/{project_id}/export", {"exportType": "JSON"}) as body:
                for task in read_tasks(body):
                    if with_predictions:
                        task["predictions"] = list(spool.group(str(task["id"])))
                    yield task

    def retrieve_predictions(self, project_id: int, task_ids: list[int] | None = None) -> None:
        """Label Studio's "Retrieve predictions" for tasks, or all: it asks the ML backend about those that lack its version."""
        chosen = {"all": True, "excluded": []} if task_ids is None else {"all": False, "included": task_ids}
        self.request("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project_id}", {"selectedItems": chosen})

    # Inside

    def _titled(self, name: str) -> list[int]:
        with self._clear_errors():
            return sorted(int(project.id) for project in self.sdk.projects.list(title=name) if project.title == name)

    def _make_project(self, round_: Round, config: LabelConfig) -> tuple[Json, bool]:
        """A new project. Of two that were made at once the first stays, and the other, which is empty, is deleted again."""
        with self._clear_errors():
            number = int(
                self.sdk.projects.create(
                    title=round_.name,
                    description=round_.description,
                    label_config=config.xml,
                    show_skip_button=True,
                    enable_empty_annotation=True,
                ).id
            )
        first = self._titled(round_.name)[0]
        if first != number:
            with self._clear_errors():
                self.sdk.projects.delete(number)
        return self.project(first), first == number

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = self.sdk._client_wrapper.get_headers()
        return headers

    def request(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None, missing: str = ""
    ) -> Any:
        """One request as it is, tried once: the SDK goes through every value of a large body and takes seconds over it.

        Gives the JSON of the answer. Where there is nothing at the path, raises InputError with the words of `missing`.
        """
        with self._clear_errors(missing):
            answer = self.http.request(method, path, json=body, params=params, headers=self._headers())
            answer.raise_for_status()
            try:
                return answer.json() if answer.content else None
            except ValueError as error:
                raise ServiceError(f"Label Studio answered {path} with {in_short(answer.text)}{self._path_hint()}") from error

    def _path_hint(self) -> str:
        path = urlsplit(self.url).path
        return f" (LABEL_STUDIO_URL has the path {path!r}: leave it away)" if path else ""

    @contextmanager
    def _stream(self, path: str, params: Mapping[str, Any]) -> Iterator[BinaryIO]:
        with (
            self._clear_errors(),
            self.http.stream("GET", path, params=dict(params), headers=self._headers()) as response,
        ):
            response.raise_for_status()
            yield io.BufferedReader(Body(response.iter_bytes()), 2**16)

    @contextmanager
    def _clear_errors(self, missing: str = "", hint: str = "") -> Iterator[None]:
        """Turn what the SDK and the connection raise into this project's errors."""
        try:
            yield
        except (ApiError, httpx.HTTPStatusError) as error:
            status, body = status_and_body(error)
            hint = f"{f' ({hint})' if hint else ''}{self._path_hint() if status == httpx.codes.NOT_FOUND else ''}"
            if status == httpx.codes.UNAUTHORIZED:
                raise InputError(f"Label Studio at {self.url} refuses the key in LABEL_STUDIO_API_KEY") from error
            if status == httpx.codes.NOT_FOUND and missing:
                raise InputError(missing) from error
            kind = ServiceError if status and status < httpx.codes.INTERNAL_SERVER_ERROR else UnavailableError
            raise kind(f"Label Studio answered {status}: {in_short(body)}{hint}") from error
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise UnavailableError(f"Label Studio at {self.url} does not answer ({problem}); is it running?") from error
