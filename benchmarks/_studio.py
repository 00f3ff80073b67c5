"""A Label Studio for benchmarks that may be killed: it comes back with what it held."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.servers import Account, Child, free_port, label_studio
from labelstudio.client import Server
from labelstudio.labels import LabelConfig
from podcast.model import Round

Json = dict[str, Any]


@dataclass
class Studio:
    """Its data lie below `folder`; it serves audio below `document_root`."""

    folder: Path
    document_root: Path
    account: Account = field(default_factory=lambda: Account("a@example.org", secrets.token_urlsafe(9), secrets.token_hex(20)))
    port: int = field(default_factory=free_port)
    _stack: ExitStack = field(default_factory=ExitStack)
    _child: Child | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """For the time of the block."""
        self.start()
        try:
            yield
        finally:
            self._stack.close()

    def start(self) -> None:
        """Start it again where it was."""
        self._child = self._stack.enter_context(label_studio(self.folder, self.port, self.document_root, self.account))

    def kill(self) -> None:
        """SIGKILL to it and all that it started."""
        assert self._child
        os.killpg(self._child.process.pid, signal.SIGKILL)
        self._stack.close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def server(self) -> Server:
        """A client."""
        return Server(self.url, self.account.token)

    @property
    def env(self) -> dict[str, str]:
        """The settings of a command that talks to it."""
        root = str(self.document_root)
        named = {"LABEL_STUDIO_URL": self.url, "LABEL_STUDIO_API_KEY": self.account.token}
        return {**named, "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": root, "ML_BACKEND_URL": ""}

    def bring_in(self, name: str, tasks: list[Json]) -> None:
        """A round with tasks as they are, annotations included."""
        project, _ = self.server.ensure_project(Round(name), LabelConfig.load())
        self.server.import_tasks(project["id"], tasks)

    def round_named_as(self, folder: Path) -> object:
        """What the round of this folder's name holds: sessions with data and boxes, whatever their order and numbers.

        The round is deleted, so that the next import makes it anew.
        """
        server = self.server
        project = server.find_project(folder.name)
        if project is None:
            return None
        tasks = sorted(server.tasks(project["id"]), key=lambda task: str(task[1]["session_id"]))
        boxes: dict[int, list[str]] = {number: [] for number, _ in tasks}
        for prediction in server.predictions(project["id"]):
            boxes[prediction["task"]].append(str((prediction["model_version"], prediction["result"])))
        storages = [item.path for item in server.sdk.import_storage.local.list(project=project["id"])]
        server.sdk.projects.delete(project["id"])
        held = [({**data, "round": ""}, sorted(boxes[number])) for number, data in tasks]
        return {"tasks": held, "storages": storages, "model_version": project["model_version"]}
