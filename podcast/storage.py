"""Read, write, list and look for files by URI: a path, `file://` or `https://`. The one room that knows where bytes live.

A backend is a class with the five methods of `Backend`; `BACKENDS` maps a URI's scheme to it. Writes appear whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote, unquote, urlsplit

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from podcast.errors import InputError, StorageError


class Backend(Protocol):
    """What a place for files must be able to do. Every method raises StorageError naming the URI."""

    def read(self, uri: str, start: int, length: int | None) -> bytes:
        """`length` bytes from `start`, fewer at the end; None reads to the end."""

    def open_read(self, uri: str) -> BinaryIO:
        """The content as a seekable binary file, to be closed by the caller."""

    def open_write(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """A writer whose content becomes visible when its block ends without an error, and never otherwise."""

    def list_files(self, uri: str, suffix: str) -> Iterator[str]:
        """URIs of all files below `uri` whose name ends in `suffix`, sorted."""

    def exists(self, uri: str) -> bool:
        """Whether a file is there."""


def read(uri: str, start: int = 0, length: int | None = None) -> bytes:
    """The bytes of one file, or `length` of them from `start`."""
    return _backend(uri).read(uri, start, length)


def open_read(uri: str) -> BinaryIO:
    """One file as a seekable binary stream."""
    return _backend(uri).open_read(uri)


def open_write(uri: str) -> AbstractContextManager[BinaryIO]:
    """A block that writes one file; the file appears whole when the block ends, and not at all after an error."""
    return _backend(uri).open_write(uri)


def write(uri: str, content: bytes) -> None:
    """Write one whole file."""
    with open_write(uri) as file:
        file.write(content)


def list_files(uri: str, suffix: str = "") -> Iterator[str]:
    """URIs of all files below `uri` whose name ends in `suffix` (upper or lower case), sorted."""
    return _backend(uri).list_files(uri, suffix.lower())


def exists(uri: str) -> bool:
    """Whether a file (not a folder) is there."""
    return _backend(uri).exists(uri)


def join(uri: str, *names: str) -> str:
    """`uri` as a folder, with `names` below it. Raises InputError for a name that would leave the folder."""
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts:
            raise InputError(f"{name!r} would leave the folder {uri}")
    encode = quote if urlsplit(uri).scheme in ("file", "http", "https") else str
    return "/".join([uri.rstrip("/") or "/", *(encode(name) for name in names)])


def file_name(uri: str) -> str:
    """The last part of a URI, decoded; backslashes count as separators, since Pod.Cast wrote Windows paths."""
    path = unquote(urlsplit(uri).path) if "://" in uri else uri
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def stem(uri: str) -> str:
    """`file_name` without its last suffix."""
    return file_name(uri).rsplit(".", 1)[0]


def local_path(uri: str) -> Path | None:
    """The path behind a path or `file://` URI; None for any other address."""
    return _path(uri) if _scheme(uri) in ("", "file") else None


def _scheme(uri: str) -> str:
    return urlsplit(uri).scheme if "://" in uri else ""


def _backend(uri: str) -> Backend:
    scheme = _scheme(uri)
    if scheme not in BACKENDS:
        known = ", ".join(f"{name}://" for name in BACKENDS if name)
        raise InputError(f"{uri}: addresses of this kind cannot be read; expected a path or {known}")
    return BACKENDS[scheme]


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path)) if uri.startswith("file://") else Path(uri)


class LocalFiles:
    """Paths and `file://` URIs."""

    def read(self, uri: str, start: int, length: int | None) -> bytes:
        with self.open_read(uri) as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def open_read(self, uri: str) -> BinaryIO:
        try:
            return _path(uri).open("rb")
        except OSError as error:
            raise StorageError(f"{uri}: cannot be read ({error.strerror})") from error

    @contextmanager
    def open_write(self, uri: str) -> Iterator[BinaryIO]:
        path, temporary = _path(uri), None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as file:
                temporary = Path(file.name)
                yield file  # type: ignore[misc]
            temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(path)
            temporary = None
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"{uri}: cannot be written ({error.strerror}); nothing was changed there") from error
        finally:
            if temporary:
                temporary.unlink(missing_ok=True)

    def list_files(self, uri: str, suffix: str) -> Iterator[str]:
        root = _path(uri)
        if not root.is_dir():
            raise StorageError(f"{uri}: there is no such folder")
        for folder, folders, names in os.walk(root):
            folders.sort()
            folders[:] = [name for name in folders if not name.startswith(".")]
            below = os.path.relpath(folder, root)
            for name in sorted(names):
                if name.lower().endswith(suffix) and not name.startswith("."):
                    yield join(uri, name) if below == "." else join(uri, below, name)

    def exists(self, uri: str) -> bool:
        return _path(uri).is_file()


class Web:
    """Plain http(s) addresses: read only, at most `MAX_BYTES` and `TIMEOUT_S` seconds a file, tried three times."""

    MAX_BYTES = 2**30
    TIMEOUT_S = 600.0

    def read(self, uri: str, start: int, length: int | None) -> bytes:
        with self.open_read(uri) as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def open_read(self, uri: str) -> BinaryIO:
        return download(uri, max_bytes=self.MAX_BYTES, timeout_s=self.TIMEOUT_S)

    def open_write(self, uri: str) -> AbstractContextManager[BinaryIO]:
        raise StorageError(f"{uri}: a web address cannot be written to")

    def list_files(self, uri: str, suffix: str) -> Iterator[str]:  # noqa: ARG002
        raise StorageError(f"{uri}: a web address cannot be listed; name a folder, or a bucket by its own scheme")

    def exists(self, uri: str) -> bool:
        try:
            return httpx.head(uri, follow_redirects=True, timeout=self.TIMEOUT_S).is_success
        except httpx.HTTPError as error:
            raise StorageError(f"{uri}: cannot be reached ({error})") from error


def download(
    uri: str, *, max_bytes: int, timeout_s: float, headers: dict[str, str] | None = None, client: httpx.Client | None = None
) -> BinaryIO:
    """One web address as a seekable file: in memory up to 16 MiB, beyond on disk.

    Raises StorageError for an answer other than 2xx, for more than `max_bytes`, for a transfer that takes longer than
    `timeout_s` seconds, and, after three tries, for a connection that fails.
    """
    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(httpx.TransportError),
            stop=stop_after_attempt(3),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            reraise=True,
        ):
            with attempt:
                return _download_once(uri, max_bytes, timeout_s, headers, client)
    except httpx.HTTPStatusError as error:
        raise StorageError(f"{uri}: the server answered {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise StorageError(f"{uri}: cannot be read ({error or type(error).__name__})") from error
    raise AssertionError("tenacity either returns or raises")


def _download_once(
    uri: str, max_bytes: int, timeout_s: float, headers: dict[str, str] | None, client: httpx.Client | None
) -> BinaryIO:
    stream = client.stream if client else httpx.stream
    file = tempfile.SpooledTemporaryFile(max_size=2**24)  # noqa: SIM115 (the caller closes it)
    deadline = time.monotonic() + timeout_s
    with stream("GET", uri, headers=headers, follow_redirects=True, timeout=timeout_s) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            file.write(chunk)
            if time.monotonic() > deadline:
                raise StorageError(f"{uri}: not read within the {timeout_s:g} s that are allowed")
            if file.tell() > max_bytes:
                raise StorageError(f"{uri}: larger than the {max_bytes} bytes that are allowed")
    file.seek(0)
    return file  # type: ignore[return-value]


_UMASK = os.umask(0)
os.umask(_UMASK)

BACKENDS: dict[str, Backend] = {"": LocalFiles(), "file": LocalFiles(), "http": Web(), "https": Web()}
