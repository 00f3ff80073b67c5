"""Read, write, list and look for files by URI. The one room that knows where bytes live.

A URI is a path, `file://`, `https://`, `s3://bucket/name` or `azure-blob://container/name`; web addresses of Azure's blob
storage go to Azure's backend. `BACKENDS` maps a scheme to a `Backend`. Writes appear whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from podcast.errors import InputError, StorageError
from podcast.parallel import in_order
from podcast.storage.azure import AzureBlobs, is_azure_address, use_account
from podcast.storage.base import Backend, file_name, join, local_path, name_below, scheme, split, stem
from podcast.storage.limits import limited
from podcast.storage.local import LocalFiles
from podcast.storage.page import PageStorage
from podcast.storage.s3 import S3
from podcast.storage.web import Web, download, fetch

__all__ = [
    "BACKENDS",
    "S3",
    "Backend",
    "PageStorage",
    "backend",
    "delete",
    "download",
    "exists",
    "fetch",
    "file_name",
    "join",
    "limited",
    "list_files",
    "list_folders",
    "local_path",
    "name_below",
    "open_read",
    "open_write",
    "page_address",
    "page_storage",
    "read",
    "read_all",
    "replace",
    "scheme",
    "split",
    "stem",
    "tidy",
    "use_account",
    "write",
]

AT_ONCE = 16
"""Transfers that run at the same time where a function says "in parallel"."""


def read(uri: str, start: int = 0, length: int | None = None) -> bytes:
    """The bytes of one file, or `length` of them from `start`."""
    return backend(uri).read(uri, start, length)


def read_all(uris: Iterable[str], fetch: Callable[[str], bytes] = read, at_once: int = AT_ONCE) -> Iterator[bytes | StorageError]:
    """The bytes of many files, in the order of `uris`, fetched in parallel; an error takes the place of a file without one.

    At most `at_once` files are fetched or held before they are taken.
    """

    def attempt(uri: str) -> bytes | StorageError:
        try:
            return fetch(uri)
        except StorageError as error:
            return error

    return in_order(attempt, uris, at_once, at_once)


def open_read(uri: str) -> BinaryIO:
    """One file as a seekable binary stream."""
    return backend(uri).open_read(uri)


def open_write(uri: str, *, private: bool = False) -> AbstractContextManager[BinaryIO]:
    """A block that writes one file; the file appears whole when the block ends, and not at all after an error.

    A `private` file of this machine can be read by its owner alone; in a cloud the container says who may read.
    """
    return backend(uri).open_write(uri, private)


def write(uri: str, content: bytes, *, private: bool = False) -> None:
    """Write one whole file; for `private` see `open_write`."""
    with open_write(uri, private=private) as file:
        file.write(content)


def replace(uri: str, old: bytes | None, new: bytes) -> bool:
    """Write `new` if the content is still `old` (None: if there is no file yet); False, and nothing changed, otherwise."""
    return backend(uri).replace(uri, old, new)


def delete(uri: str) -> None:
    """Remove one file; nothing happens if there is none."""
    backend(uri).delete(uri)


def tidy(uri: str) -> None:
    """Remove what writers that were killed have left below a folder; files that are being written stay."""
    backend(uri).tidy(uri)


def list_files(uri: str, suffix: str = "") -> Iterator[str]:
    """URIs of all files below `uri` whose name ends in `suffix` (upper or lower case), in a stable order."""
    return backend(uri).list_files(uri, suffix.lower())


def list_folders(uri: str) -> Iterator[str]:
    """URIs of the folders directly below `uri`, sorted."""
    return backend(uri).list_folders(uri)


def exists(uri: str) -> bool:
    """Whether a file (not a folder) is there."""
    return backend(uri).exists(uri)


def page_address(uri: str) -> str:
    """The address by which Label Studio's page gets a blob: web addresses of the own Azure account become azure-blob://."""
    store = backend(uri)
    if isinstance(store, AzureBlobs) and scheme(uri) != "azure-blob" and store.page_storage(uri):
        place = store.place(uri)
        return f"azure-blob://{place.container}/{place.name}"
    return uri


def page_storage(uri: str) -> PageStorage | None:
    """What Label Studio has to know to play a blob; None for addresses that it does not play through a storage object."""
    store = backend(uri)
    return store.page_storage(uri) if isinstance(store, S3 | AzureBlobs) else None


def backend(uri: str) -> Backend:
    """What reads and writes `uri`. Raises InputError for a scheme that nothing reads."""
    if is_azure_address(uri):
        return BACKENDS["azure-blob"]
    if scheme(uri) not in BACKENDS:
        known = ", ".join(f"{name}://" for name in BACKENDS if name)
        raise InputError(f"{uri}: addresses of this kind cannot be read; expected a path or {known}")
    return BACKENDS[scheme(uri)]


BACKENDS: dict[str, Backend] = {
    "": LocalFiles(),
    "file": LocalFiles(),
    "http": Web(),
    "https": Web(),
    "s3": S3(),
    "azure-blob": AzureBlobs(),
}
