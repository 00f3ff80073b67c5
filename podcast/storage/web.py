"""Plain http(s) addresses: read only."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from podcast.errors import NotFoundError, StorageError

if TYPE_CHECKING:
    import httpx


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

    def replace(self, uri: str, old: bytes | None, new: bytes) -> bool:  # noqa: ARG002
        raise StorageError(f"{uri}: a web address cannot be written to")

    def list_files(self, uri: str, suffix: str) -> Iterator[str]:  # noqa: ARG002
        raise StorageError(f"{uri}: a web address cannot be listed; name a folder, or a bucket by its own scheme")

    def list_folders(self, uri: str) -> Iterator[str]:
        return self.list_files(uri, "")

    def exists(self, uri: str) -> bool:
        import httpx

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
    # Imported here: it takes as long to load as numpy, and workers of the pipeline never need it.
    import httpx

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
        kind = NotFoundError if error.response.status_code in (404, 410) else StorageError
        raise kind(f"{uri}: the server answered {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise StorageError(f"{uri}: cannot be read ({error or type(error).__name__})") from error
    raise AssertionError("tenacity either returns or raises")


def _download_once(
    uri: str, max_bytes: int, timeout_s: float, headers: dict[str, str] | None, client: httpx.Client | None
) -> BinaryIO:
    import httpx

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
