"""Audio both ways: from its own address to the one that Label Studio's page plays, and from a task's address to samples."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from labelstudio.client import Server
from podcast import storage
from podcast.errors import InputError, StorageError

LOCAL_FILES = "/data/local-files/?d="
MAX_BYTES = 2**30
TIMEOUT_S = 600.0


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


def local_file(address: str, document_root: Path) -> Path:
    """The inverse of `page_address` for a local file. Raises InputError for one outside the document root, links resolved."""
    relative = parse_qs(urlsplit(address).query).get("d", [""])[0]
    path = (document_root / relative).resolve()
    if not path.is_relative_to(document_root.resolve()):
        raise InputError(f"{relative}: lies outside Label Studio's document root")
    return path


def audio_place(address: str) -> str:
    """The part of a task's address that files of one bucket, container, host or folder share: one of them speaks for all."""
    return "/".join(address.split("/")[:3])


@dataclass(frozen=True)
class TaskAudio:
    """Opens audio by the address in a task's data, which anybody may have written who may add a task.

    Local files are read directly where Label Studio's document root is on this machine, else through its server (`connect` makes
    the connection when it is needed). Clouds are read with this process's own credentials, web addresses of its own Azure account
    among them. Other web addresses are fetched without, and only from public hosts: else this machine could be made to ask its
    own network. Paths are read below `folders` alone, which the user named. Files take at most `max_bytes` and `timeout_s` s.
    """

    document_root: Path | None
    label_studio_url: str
    connect: Callable[[], Server]
    max_bytes: int = MAX_BYTES
    timeout_s: float = TIMEOUT_S
    folders: tuple[str, ...] = ()
    _servers: list[Server] = field(default_factory=list)

    def open(self, address: str) -> BinaryIO:
        """The audio as a seekable file. Raises InputError for an address that is not allowed, StorageError if it is not there."""
        address = address.removeprefix(self.label_studio_url.rstrip("/"))
        if address.startswith(LOCAL_FILES) and self.document_root is not None:
            return self._local(local_file(address, self.document_root))
        if address.startswith("/data/"):
            return self._server().open_audio(address, max_bytes=self.max_bytes, timeout_s=self.timeout_s)
        if address.startswith(("http://", "https://")):
            address = storage.page_address(address)
        scheme = urlsplit(address).scheme
        if scheme in ("http", "https"):
            with httpx.Client(follow_redirects=True, event_hooks={"request": [_refuse_private_hosts]}) as web:
                return storage.download(address, max_bytes=self.max_bytes, timeout_s=self.timeout_s, client=web)
        if (path := storage.local_path(address)) is not None and not self._is_below_a_folder(path):
            raise InputError(f"{address!r}: files are read below Label Studio's document root alone ({LOCAL_FILES}…)")
        return storage.open_read(address)

    def _is_below_a_folder(self, path: Path) -> bool:
        folders = (storage.local_path(folder) for folder in self.folders)
        return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders if folder)

    def _local(self, path: Path) -> BinaryIO:
        if path.is_file() and path.stat().st_size > self.max_bytes:
            raise StorageError(f"{path}: larger than the {self.max_bytes} bytes that are allowed")
        return storage.open_read(str(path))

    def _server(self) -> Server:
        if not self._servers:
            self._servers.append(self.connect())
        return self._servers[0]


def _refuse_private_hosts(request: httpx.Request) -> None:
    host = request.url.host
    try:
        found = socket.getaddrinfo(host, None)
    except OSError as error:
        raise StorageError(f"{request.url}: the host is not known") from error
    for *_, address in found:
        if not ipaddress.ip_address(address[0]).is_global:
            raise InputError(f"{request.url}: {host} is not a public host")
