"""What S3 and Azure have in common: reading by ranges, whole writes, listing in parallel. Each adds six primitives."""

from __future__ import annotations

import io
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from podcast.errors import NotFoundError, StorageError

TRIES = 5
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
LISTINGS_AT_ONCE = 8
MEMORY_BYTES = 2**25
"""What an upload holds in memory before it goes to a temporary file."""
MAKING_CLIENT = threading.Lock()
"""Held while an SDK's client is looked up or made: of threads that ask together, `lru_cache` alone lets each make its own, which
costs a quarter of a second of processor time and a pool of connections a thread."""


class BrokenTransferError(Exception):
    """A connection that broke in the middle of a body: worth another try."""


@dataclass(frozen=True, slots=True)
class Stat:
    """A blob's length in bytes and the tag of its present version."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Place:
    """A URI taken apart: the bucket or container, and the blob's name, `prefix` for a folder."""

    container: str
    name: str

    @property
    def prefix(self) -> str:
        """The name as the beginning of all names below it."""
        return f"{self.name.rstrip('/')}/" if self.name.strip("/") else ""


class BlobStore(ABC):
    """A `Backend` over the six primitives at its end."""

    def read(self, uri: str, start: int, length: int | None) -> bytes:
        """See `Backend`; one request."""
        return self.get(uri, start, length, None)

    def get(self, uri: str, start: int, length: int | None, etag: str | None) -> bytes:
        """A range of the version `etag` (None: of the present one), tried again where the connection breaks."""
        if length == 0:
            return b""
        tries = Retrying(
            retry=retry_if_exception_type(BrokenTransferError),
            stop=stop_after_attempt(TRIES),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            reraise=True,
        )
        try:
            return tries(self._get, uri, start, length, etag)
        except BrokenTransferError as error:
            raise StorageError(f"{uri}: the connection broke {TRIES} times ({error})") from error

    def open_read(self, uri: str) -> BinaryIO:
        """See `Backend`; blocks are fetched as they are needed."""
        stat = self._stat(uri)
        if stat is None:
            raise NotFoundError(f"{uri}: there is no such file")
        return cast(BinaryIO, io.BufferedReader(_BlobFile(self, uri, stat), buffer_size=2**16))

    @contextmanager
    def open_write(self, uri: str, private: bool = False) -> Iterator[BinaryIO]:  # noqa: ARG002
        """See `Backend`; both services show an upload only when it is complete."""
        with tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES) as file:
            yield cast(BinaryIO, file)
            file.seek(0)
            self._put(uri, cast(BinaryIO, file))

    def replace(self, uri: str, old: bytes | None, new: bytes) -> bool:
        """See `Backend`; the service itself compares the version, so two writers in the same instant are kept apart."""
        if old is None:
            return self._put_if(uri, new, None)
        stat = self._stat(uri)
        if stat is None or self.get(uri, 0, None, stat.etag) != old:
            return False
        return self._put_if(uri, new, stat.etag)

    def tidy(self, uri: str) -> None:
        """See `Backend`; an upload that broke off leaves no blob, so only the address is checked."""
        self.place(uri)

    def list_files(self, uri: str, suffix: str) -> Iterator[str]:
        """See `Backend`; the folders directly below are listed in parallel."""
        files, folders = self._level(uri)
        with ThreadPoolExecutor(LISTINGS_AT_ONCE, thread_name_prefix="list") as pool:
            below = dict(zip(folders, pool.map(lambda folder: list(self._all(folder)), folders), strict=True))
        for entry in [*files, *folders]:
            for name in below.get(entry, [entry]):
                if name.lower().endswith(suffix):
                    yield name

    def list_folders(self, uri: str) -> Iterator[str]:
        """See `Backend`."""
        yield from (folder.rstrip("/") for folder in self._level(uri)[1])

    def exists(self, uri: str) -> bool:
        """See `Backend`."""
        return self._stat(uri) is not None

    @abstractmethod
    def _get(self, uri: str, start: int, length: int | None, etag: str | None) -> bytes:
        """A range of one blob, of the version `etag` if given. BrokenTransferError where another try may help."""

    @abstractmethod
    def _stat(self, uri: str) -> Stat | None:
        """Size and version; None if there is no such blob."""

    @abstractmethod
    def _put(self, uri: str, file: BinaryIO) -> None:
        """Upload a file from its beginning."""

    @abstractmethod
    def _put_if(self, uri: str, content: bytes, etag: str | None) -> bool:
        """Upload if the version is still `etag` (None: if there is no blob); False otherwise."""

    @abstractmethod
    def delete(self, uri: str) -> None:
        """See `Backend`."""

    @abstractmethod
    def _entries(self, uri: str, one_level: bool) -> Iterator[str]:
        """URIs below a folder, in order; with `one_level`, folders as one entry that ends in a slash."""

    def _all(self, uri: str) -> Iterator[str]:
        return self._entries(uri, one_level=False)

    def _level(self, uri: str) -> tuple[list[str], list[str]]:
        entries = list(self._entries(uri, one_level=True))
        if not entries and self.place(uri).prefix:
            raise NotFoundError(f"{uri}: there is no such folder")
        return [entry for entry in entries if not entry.endswith("/")], [entry for entry in entries if entry.endswith("/")]

    @abstractmethod
    def place(self, uri: str) -> Place:
        """The URI taken apart. Raises InputError for one without a container."""


class _BlobFile(io.RawIOBase):
    """A seekable reader of one version of a blob. Blocks double from 64 KiB, so that a header costs one small request."""

    FIRST, LARGEST = 2**16, 2**23

    def __init__(self, store: BlobStore, uri: str, stat: Stat) -> None:
        super().__init__()
        self._store, self._uri, self._stat = store, uri, stat
        self._at = self._block_start = 0
        self._block, self._next = b"", self.FIRST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._stat.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._stat.size:
            return 0
        if not self._block_start <= self._at < self._block_start + len(self._block):
            self._fetch()
        piece = self._block[self._at - self._block_start :][: len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _fetch(self) -> None:
        length = min(self._next, self._stat.size - self._at)
        self._block = self._store.get(self._uri, self._at, length, self._stat.etag)
        self._block_start, self._next = self._at, min(self._next * 2, self.LARGEST)
