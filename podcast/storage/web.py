"""Plain http(s) addresses: read only, those that the user named (`download`) and those that strangers wrote (`fetch`)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from podcast.errors import InputError, NotFoundError, StorageError

if TYPE_CHECKING:
    import httpx

    from podcast.storage.guard import Home


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

    def open_write(self, uri: str, private: bool = False) -> AbstractContextManager[BinaryIO]:  # noqa: ARG002
        raise StorageError(f"{uri}: a web address cannot be written to")

    def delete(self, uri: str) -> None:
        raise StorageError(f"{uri}: a web address cannot be written to")

    def replace(self, uri: str, old: bytes | None, new: bytes) -> bool:  # noqa: ARG002
        raise StorageError(f"{uri}: a web address cannot be written to")

    def tidy(self, uri: str) -> None:
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
        except (httpx.InvalidURL, UnicodeError) as error:
            raise InputError(f"{uri!r}: not a web address ({error})") from error


def download(uri: str, *, max_bytes: int, timeout_s: float) -> BinaryIO:
    """One web address as a seekable file: in memory up to 16 MiB, beyond on disk. For addresses that the user named.

    Raises StorageError for an answer other than 2xx, for more than `max_bytes`, for a transfer that takes longer than
    `timeout_s` seconds, and, after three tries, for a connection that fails; InputError for what is no web address.
    """
    import httpx

    with httpx.Client(follow_redirects=True, timeout=timeout_s) as client:
        return _download(uri, max_bytes, timeout_s, client)


def fetch(uri: str, *, max_bytes: int, timeout_s: float, home: Home | None = None) -> BinaryIO:
    """`download` for addresses that strangers wrote: from public hosts alone, at each redirect again, and from `home`.

    Raises InputError for a host that is not public. See `podcast.storage.guard`.
    """
    from podcast.storage import guard

    with guard.client(guard.Deadline(uri, timeout_s), home) as client:
        return _download(uri, max_bytes, timeout_s, client)


def _download(uri: str, max_bytes: int, timeout_s: float, client: httpx.Client) -> BinaryIO:
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
                return _download_once(uri, max_bytes, timeout_s, client)
    except httpx.HTTPStatusError as error:
        kind = NotFoundError if error.response.status_code in (404, 410) else StorageError
        raise kind(f"{uri}: the server answered {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise StorageError(f"{uri}: cannot be read ({error or type(error).__name__})") from error
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InputError(f"{uri!r}: not a web address ({error})") from error
    raise AssertionError("tenacity either returns or raises")


def _download_once(uri: str, max_bytes: int, timeout_s: float, client: httpx.Client) -> BinaryIO:
    file = tempfile.SpooledTemporaryFile(max_size=2**24)  # noqa: SIM115 (the caller closes it)
    deadline = time.monotonic() + timeout_s
    with client.stream("GET", uri) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            file.write(chunk)
            if time.monotonic() > deadline:
                raise StorageError(f"{uri}: not read within the {timeout_s:g} s that are allowed")
            if file.tell() > max_bytes:
                raise StorageError(f"{uri}: larger than the {max_bytes} bytes that are allowed")
    file.seek(0)
    return file  # type: ignore[return-value]
