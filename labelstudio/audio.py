"""Audio both ways: from its own address to the one that Label Studio's page plays, and from a task's address to samples."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from labelstudio.client import Server
from labelstudio.cloud import storage_prefixes
from labelstudio.served import LOCAL_FILES, local_file, open_served, served_path
from podcast import storage
from podcast.errors import InputError

MAX_BYTES = 2**30
TIMEOUT_S = 600.0
WEB = ("http", "https")
PREFIXES_KEPT_S = 10.0
"""How long the storages of a project are taken to stay as they are: a request for predictions asks for many files at once."""


def page_address(audio_uri: str, document_root: Path | None) -> str:
    """What the page plays for audio at `audio_uri`: web and cloud addresses, and files through Label Studio.

    Raises InputError for a file that Label Studio cannot serve, saying what to set.
    """
    path = storage.local_path(audio_uri)
    if path is None:
        return storage.page_address(audio_uri)
    path = path.resolve()
    if document_root is None:
        raise InputError(
            f"{path}: Label Studio serves files only below its document root; "
            "set LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, here and where Label Studio runs"
        )
    root = document_root.resolve()
    if root not in path.parents or path.parent == root:
        raise InputError(f"{path}: must lie in a folder below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, which is {root}")
    return LOCAL_FILES + quote(str(path.relative_to(root)))


def audio_place(address: str) -> str:
    """The part of a task's address that files of one bucket, container, host or folder share: one of them speaks for all."""
    return "/".join(address.split("/")[:3])


@dataclass(frozen=True)
class TaskAudio:
    """Opens audio by the address in a task's data, which anybody may have written who may add a task (docs/adr/0065).

    Local files are read directly where Label Studio's document root is on this machine, else through its server (`connect` makes
    the connection when it is needed). Clouds are read with this process's own credentials, but below `prefixes` alone, or, where
    none are named, below what the storages of the task's project cover. Other web addresses are fetched without credentials, from
    public hosts alone. Files take at most `max_bytes`, and `timeout_s` seconds. The user may name `folders`, below which paths
    and cloud addresses are read too.
    """

    document_root: Path | None
    label_studio_url: str
    connect: Callable[[], Server]
    max_bytes: int = MAX_BYTES
    timeout_s: float = TIMEOUT_S
    folders: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    projects: set[int] = field(default_factory=set)
    """Projects whose storages count for every address: those of the rounds that are read."""
    _servers: list[Server] = field(default_factory=list)
    _covered: dict[int, tuple[float, tuple[str, ...]]] = field(default_factory=dict)

    def open(self, address: str, project: int | None = None) -> BinaryIO:
        """The audio of a task, of `project` where it is known, as a seekable file.

        Raises InputError for an address that is not allowed, StorageError if it is not there, is too large or takes too long.
        """
        served = served_path(address, self.label_studio_url)
        if served is not None:
            if served.startswith(LOCAL_FILES) and self.document_root is not None:
                return self._local(local_file(served, self.document_root))
            return open_served(self._server(), served, max_bytes=self.max_bytes, timeout_s=self.timeout_s)
        if storage.scheme(address) in WEB:
            # An address of this process's own account in the cloud is a cloud address; it may be public all the same.
            cloud = storage.page_address(address)
            if cloud == address or not self._is_covered(cloud, project):
                return storage.fetch(address, max_bytes=self.max_bytes, timeout_s=self.timeout_s)
            address = cloud
        elif (path := storage.local_path(address)) is not None:
            if not self._is_below_a_folder(path):
                raise InputError(f"{address!r}: files are read below Label Studio's document root alone ({LOCAL_FILES}…)")
            return self._local(path)
        elif not self._is_covered(address, project):
            raise InputError(
                f"{address!r}: lies outside the storages of the round; name what tasks may point to in AUDIO_PREFIXES"
            )
        return storage.limited(storage.open_read(address), address, self.max_bytes, self.timeout_s)

    def _local(self, path: Path) -> BinaryIO:
        with suppress(OSError):  # what is wrong with it is told when it is opened
            if not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{path}: not a file")
        return storage.limited(storage.open_read(str(path)), str(path), self.max_bytes, self.timeout_s)

    def _is_below_a_folder(self, path: Path) -> bool:
        folders = (storage.local_path(folder) for folder in self.folders)
        return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders if folder)

    def _is_covered(self, address: str, project: int | None) -> bool:
        """Whether a cloud address lies below a prefix; names that would lead out of it again do not."""
        if any(name in (".", "..") for name in address.split("/")):
            return False
        storage.backend(address)  # refuses kinds of addresses that nothing reads
        named = (*map(storage.page_address, self.prefixes), *self.folders)
        if _is_below(address, named) or self.prefixes:
            return _is_below(address, named)
        projects = self.projects | ({project} if project is not None else set())
        return any(_is_below(address, self._covered_by(number)) for number in sorted(projects))

    def _covered_by(self, project: int) -> tuple[str, ...]:
        asked, prefixes = self._covered.get(project, (-PREFIXES_KEPT_S, ()))
        if time.monotonic() - asked > PREFIXES_KEPT_S:
            prefixes = storage_prefixes(self._server(), project)
            self._covered[project] = time.monotonic(), prefixes
        return prefixes

    def _server(self) -> Server:
        if not self._servers:
            self._servers.append(self.connect())
        return self._servers[0]


def _is_below(address: str, prefixes: tuple[str, ...]) -> bool:
    return any(address.startswith(prefix.rstrip("/") + "/") for prefix in prefixes)
