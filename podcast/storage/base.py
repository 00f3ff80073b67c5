"""What a place for files must be able to do, and how its addresses are taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import SplitResult, quote, unquote, urlsplit

from podcast.errors import InputError


class Backend(Protocol):
    """One kind of place. Every method raises StorageError naming the URI."""

    def read(self, uri: str, start: int, length: int | None) -> bytes:
        """`length` bytes from `start`, fewer at the end; None reads to the end."""

    def open_read(self, uri: str) -> BinaryIO:
        """The content as a seekable binary file, to be closed by the caller."""

    def open_write(self, uri: str, private: bool = False) -> AbstractContextManager[BinaryIO]:
        """A writer whose content becomes visible when its block ends without an error, and never otherwise.

        A `private` file of this machine can be read by its owner alone; in a cloud the container says who may read.
        """

    def replace(self, uri: str, old: bytes | None, new: bytes) -> bool:
        """Write `new` if the content is still `old` (None: if there is no file); False, and nothing changed, otherwise."""

    def delete(self, uri: str) -> None:
        """Remove one file; nothing happens if there is none."""

    def tidy(self, uri: str) -> None:
        """Remove what writers that were killed have left below a folder; files that are being written stay."""

    def list_files(self, uri: str, suffix: str) -> Iterator[str]:
        """URIs of all files below `uri` whose name ends in `suffix`, in a stable order."""

    def list_folders(self, uri: str) -> Iterator[str]:
        """URIs of the folders directly below `uri`, sorted."""

    def exists(self, uri: str) -> bool:
        """Whether a file is there."""


QUOTED = ("file", "http", "https")
"""Schemes whose addresses are percent-encoded. `s3://` and `azure-blob://` carry names as they are, as Label Studio does."""


def split(uri: str) -> SplitResult:
    """A web address taken apart. Raises InputError for one that is malformed, such as `http://[::1`."""
    try:
        parts = urlsplit(uri)
        _ = parts.port  # looked at only now, and wrong where it is no number
    except ValueError as error:
        raise InputError(f"{uri!r}: not a web address ({error})") from error
    return parts


def scheme(uri: str) -> str:
    """The part before `://`; empty for a path."""
    return uri.partition("://")[0] if "://" in uri else ""


def join(uri: str, *names: str) -> str:
    """`uri` as a folder, with `names` below it. Raises InputError for a name that would leave the folder."""
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts:
            raise InputError(f"{name!r} would leave the folder {uri}")
    encode = quote if scheme(uri) in QUOTED else str
    return "/".join([uri.rstrip("/") or "/", *(encode(name) for name in names)])


def file_name(uri: str) -> str:
    """The last part of a URI, decoded; backslashes count as separators, since Pod.Cast wrote Windows paths."""
    path = unquote(split(uri).path) if scheme(uri) in QUOTED else uri.partition("://")[2] or uri
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def stem(uri: str) -> str:
    """`file_name` without its last suffix."""
    return file_name(uri).rsplit(".", 1)[0]


def name_below(uri: str, folder: str) -> str:
    """The inverse of `join`: the name of a file below `folder`, with slashes, as it is."""
    name = uri.removeprefix(folder.rstrip("/") + "/")
    return unquote(name) if scheme(uri) in QUOTED else name


def path_of(uri: str) -> Path:
    """The path behind a path or `file://` URI."""
    return Path(unquote(split(uri).path)) if uri.startswith("file://") else Path(uri)


def local_path(uri: str) -> Path | None:
    """The path behind a path or `file://` URI; None for any other address."""
    return path_of(uri) if scheme(uri) in ("", "file") else None
