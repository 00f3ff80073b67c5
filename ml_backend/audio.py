"""A task's audio address to its bytes, within limits: the page's addresses, and never a file outside Label Studio's root."""

from __future__ import annotations

import ipaddress
import socket
from functools import cached_property
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

import httpx

from podcast import storage
from podcast.errors import InputError, StorageError
from podcast.labelstudio.client import LOCAL_FILES, Server
from podcast.settings import Settings


class AudioSource:
    """Opens task audio. Local files are read directly where Label Studio's root is on this machine, else through its server.

    Clouds are read with this process's own credentials, web addresses of its own Azure account among them. Other web addresses
    are fetched without, and only from public hosts: anyone who may add a task could otherwise make this server ask its own
    network.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.label_studio_local_files_document_root
        self._web = httpx.Client(follow_redirects=True, event_hooks={"request": [_refuse_private_hosts]})

    @cached_property
    def _server(self) -> Server:
        return Server(self._settings.label_studio_url, self._settings.label_studio_api_key)

    def open(self, address: str) -> BinaryIO:
        """The audio as a seekable file. Raises InputError for an address that is not allowed, StorageError if it is not there."""
        max_bytes, timeout_s = self._settings.ml_audio_max_bytes, self._settings.ml_audio_timeout_s
        address = address.removeprefix(self._settings.label_studio_url.rstrip("/"))
        if address.startswith(LOCAL_FILES) and self._root is not None:
            return self._local(parse_qs(urlsplit(address).query).get("d", [""])[0], self._root)
        if address.startswith("/data/"):
            return self._server.open_audio(address, max_bytes=max_bytes, timeout_s=timeout_s)
        if address.startswith(("http://", "https://")):
            address = storage.page_address(address)
        scheme = urlsplit(address).scheme
        if scheme in ("http", "https"):
            return storage.download(address, max_bytes=max_bytes, timeout_s=timeout_s, client=self._web)
        if scheme in ("", "file"):
            raise InputError(f"{address!r}: files are read below Label Studio's document root alone ({LOCAL_FILES}…)")
        return storage.open_read(address)

    def _local(self, relative: str, root: Path) -> BinaryIO:
        path = (root / relative).resolve()
        if not path.is_relative_to(root.resolve()):
            raise InputError(f"{relative}: lies outside Label Studio's document root")
        if path.is_file() and path.stat().st_size > self._settings.ml_audio_max_bytes:
            raise StorageError(f"{relative}: larger than the {self._settings.ml_audio_max_bytes} bytes that are allowed")
        return storage.open_read(str(path))


def _refuse_private_hosts(request: httpx.Request) -> None:
    host = request.url.host
    try:
        found = socket.getaddrinfo(host, None)
    except OSError as error:
        raise StorageError(f"{request.url}: the host is not known") from error
    for *_, address in found:
        if not ipaddress.ip_address(address[0]).is_global:
            raise InputError(f"{request.url}: {host} is not a public host")
