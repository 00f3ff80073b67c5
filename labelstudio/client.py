"""A thin client over label-studio-sdk: find or make a round's project, and stream its content.

Requests that fail on the way raise ServiceError with what to do. Reads are tried again by the SDK; writes never are on their
own, since Label Studio's import does no deduplication (`sync.py` looks first what has arrived).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import ijson
import label_studio_sdk
from label_studio_sdk.core.api_error import ApiError

from labelstudio.labels import LabelConfig
from labelstudio.signed import signing_key
from podcast.errors import InputError, ServiceError, UnavailableError
from podcast.model import Round
from podcast.spool import Spool

Json = dict[str, Any]

PAGE_SIZE = 1000
TITLE_LENGTHS = (3, 50)
FLAT_FIELDS = {"annotation_id", "annotator"}
"""What the rows of Label Studio's JSON_MIN and CSV exports have, and its tasks have not."""


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
            return str(self.get_json("/api/version").get("release", "unknown"))

    def account(self) -> int:
        """The number of the account whose key this is."""
        with self._clear_errors():
            return int(self.sdk.users.whoami().id)

    def get_json(self, path: str, params: Mapping[str, Any] | None = None) -> Json:
        """One answer of Label Studio's API as it is."""
        with self._clear_errors():
            answer = self.http.get(path, params=dict(params or {}), headers=self._headers())
            answer.raise_for_status()
            return dict(answer.json())

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
        with self._clear_errors():
            found = [project.id for project in self.sdk.projects.list(title=name) if project.title == name]
        if len(found) > 1:
            raise InputError(f"round {name!r}: projects {found} all have this title; name one with --project")
        return self.project(found[0]) if found else None

    def project(self, project_id: int) -> Json:
        """One project. Raises InputError if it is not there."""
        with self._clear_errors(missing=f"Label Studio has no project {project_id}"):
            return dict(self.sdk.projects.get(project_id).dict())

    def ensure_project(self, round_: Round, config: LabelConfig, project_id: int | None = None) -> tuple[Json, bool]:
        """The round's project, and whether it was made just now.

        A project that is there keeps its labeling configuration (its maintainer may have added labels); its description is
        brought up to date. Raises InputError if its configuration lacks a control that this project needs.
        """
        project = self.find_project(round_.name, project_id)
        if project is None:
            if not TITLE_LENGTHS[0] <= len(round_.name) <= TITLE_LENGTHS[1]:
                raise InputError(
                    f"round {round_.name!r}: Label Studio takes names of {TITLE_LENGTHS[0]} to {TITLE_LENGTHS[1]} letters"
                )
            with self._clear_errors():
                project_id = self.sdk.projects.create(
                    title=round_.name,
                    description=round_.description,
                    label_config=config.xml,
                    show_skip_button=True,
                    enable_empty_annotation=True,
                ).id
            return self.project(project_id or 0), True
        LabelConfig.parse(project["label_config"], f"the labeling configuration of project {project['id']}")
        if round_.description and project["description"] != round_.description:
            with self._clear_errors():
                self.sdk.projects.update(project["id"], description=round_.description)
        return project, False

    def show_model_version(self, project: Json, model_version: str) -> None:
        """Let the label stream show the predictions of this version, unless the project already chose a living version."""
        if project.get("model_version") != model_version:
            with self._clear_errors():
                self.sdk.projects.update(project["id"], model_version=model_version)

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
        """Connect the ML backend at `url` to the project; True if it was made just now."""
        login: Json = {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password} if user else {}
        with self._clear_errors(hint=f"is the ML backend at {url} up, and may Label Studio reach it? Try `podcast doctor`"):
            if any(backend["url"] == url for backend in self.ml_backends(project_id)):
                return False
            self.sdk.ml.create(project=project_id, url=url, title="Orca calls", **login)
        return True

    def ml_backends(self, project_id: int) -> list[Json]:
        """The ML backends of a project; `state` is CO for connected."""
        with self._clear_errors():
            return [backend.dict() for backend in self.sdk.ml.list(project=project_id)]

    # Content

    def tasks(self, project_id: int) -> Iterator[tuple[int, Json]]:
        """Number and data of every task, page by page."""
        with self._clear_errors():
            # Without resolve_uri=False, cloud addresses come as proxy addresses, and every task seems to have changed.
            wanted = {"include": ["id", "data"], "fields": "task_only", "resolve_uri": False}
            for task in self.sdk.tasks.list(project=project_id, page_size=PAGE_SIZE, **wanted):
                yield int(task.id), dict(task.data or {})

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
        self._post(f"/api/projects/{project_id}/import", tasks)

    def import_predictions(self, project_id: int, predictions: list[Json]) -> None:
        """Add predictions, each naming its `task`, in one request, tried once."""
        self._post(f"/api/projects/{project_id}/import/predictions", predictions)

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

    def retrieve_predictions(self, project_id: int) -> None:
        """Label Studio's "Retrieve predictions" for every task: it asks the ML backend about those that lack its version."""
        everything = {"selectedItems": {"all": True, "excluded": []}}
        self._post(f"/api/dm/actions?id=retrieve_tasks_predictions&project={project_id}", everything)

    # Inside

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = self.sdk._client_wrapper.get_headers()
        return headers

    def _post(self, path: str, body: Any) -> None:
        """One request as it is: the SDK goes through every value of a large body and takes seconds over it."""
        with self._clear_errors():
            self.http.post(path, json=body, headers=self._headers()).raise_for_status()

    @contextmanager
    def _stream(self, path: str, params: Mapping[str, Any]) -> Iterator[BinaryIO]:
        with (
            self._clear_errors(),
            self.http.stream("GET", path, params=dict(params), headers=self._headers()) as response,
        ):
            response.raise_for_status()
            yield io.BufferedReader(_Body(response.iter_bytes()), 2**16)

    @contextmanager
    def _clear_errors(self, missing: str = "", hint: str = "") -> Iterator[None]:
        """Turn what the SDK and the connection raise into this project's errors."""
        try:
            yield
        except (ApiError, httpx.HTTPStatusError) as error:
            status, body = _status(error)
            if status == httpx.codes.UNAUTHORIZED:
                raise InputError(f"Label Studio at {self.url} refuses the key in LABEL_STUDIO_API_KEY") from error
            if status == httpx.codes.NOT_FOUND and missing:
                raise InputError(missing) from error
            kind = ServiceError if status and status < httpx.codes.INTERNAL_SERVER_ERROR else UnavailableError
            raise kind(f"Label Studio answered {status}: {body}{f' ({hint})' if hint else ''}") from error
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise UnavailableError(f"Label Studio at {self.url} does not answer ({problem}); is it running?") from error


def read_tasks(body: BinaryIO) -> Iterator[Json]:
    """The tasks of Label Studio's JSON export, one at a time. Raises InputError for anything but a JSON list of objects."""
    try:
        for task in ijson.items(body, "item", use_float=True):
            if not isinstance(task, dict):
                raise InputError(f"expected Label Studio's JSON export, a list of tasks, but found {type(task).__name__} in it")
            if "data" not in task and task.keys() >= FLAT_FIELDS:
                raise InputError(flat_export("JSON_MIN"))
            yield task
    except ijson.JSONError as error:
        raise InputError(f"not Label Studio's JSON export: {error}") from error


def flat_export(name: str) -> str:
    """What to say of an export of Label Studio that holds boxes, but not where they came from."""
    return f"this is Label Studio's {name} export, which leaves out scores, deleted predictions and skips; choose JSON"


def _status(error: ApiError | httpx.HTTPStatusError) -> tuple[int | None, str]:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code, "" if error.response.is_stream_consumed else str(error)
    body = error.body
    if isinstance(body, Mapping):
        body = body.get("validation_errors") or body.get("detail") or body
    return error.status_code, body if isinstance(body, str) else json.dumps(body, default=str)


class _Body(io.RawIOBase):
    """A response's chunks as a readable file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
