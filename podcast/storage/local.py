"""Paths and `file://` URIs."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from podcast.errors import InputError, NotFoundError, StorageError
from podcast.storage.base import join, path_of


class LocalFiles:
    """Files of this machine. A file is written beside its place and then renamed."""

    def read(self, uri: str, start: int, length: int | None) -> bytes:
        with self.open_read(uri) as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def open_read(self, uri: str) -> BinaryIO:
        try:
            return path_of(uri).open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"{uri}: there is no such file") from error
        except OSError as error:
            raise StorageError(f"{uri}: cannot be read ({error.strerror})") from error
        except ValueError as error:  # a NUL, or half of a surrogate pair
            raise InputError(f"{uri!r}: not a path ({error})") from error

    @contextmanager
    def open_write(self, uri: str, private: bool = False) -> Iterator[BinaryIO]:
        path = path_of(uri)
        temporary = path.with_name(f".partial-{secrets.token_hex(8)}")
        try:
            with _create(temporary) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # held by who writes: `tidy` finds those whose writer is gone
                if private:
                    temporary.chmod(0o600)
                yield file
            temporary.replace(path)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{uri}: cannot be written ({error.strerror}); nothing was changed there") from error
        finally:
            with suppress(OSError):  # gone after the rename; not there at all where its folder is none
                temporary.unlink()

    def replace(self, uri: str, old: bytes | None, new: bytes) -> bool:
        """Two writers of one machine in the same instant are not kept apart: the file system knows no conditional rename."""
        path = path_of(uri)
        if (path.read_bytes() if path.is_file() else None) != old:
            return False
        with self.open_write(uri) as file:
            file.write(new)
        return True

    def delete(self, uri: str) -> None:
        try:
            path_of(uri).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{uri}: cannot be removed ({error.strerror})") from error

    def tidy(self, uri: str) -> None:
        for path in path_of(uri).rglob(".partial-*"):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    def list_files(self, uri: str, suffix: str) -> Iterator[str]:
        root = _folder(uri)
        for folder, folders, names in os.walk(root):
            folders.sort()
            folders[:] = [name for name in folders if not name.startswith(".")]
            below = os.path.relpath(folder, root)
            for name in sorted(names):
                if name.lower().endswith(suffix) and not name.startswith("."):
                    yield join(uri, name) if below == "." else join(uri, below, name)

    def list_folders(self, uri: str) -> Iterator[str]:
        for name in sorted(entry.name for entry in _folder(uri).iterdir() if entry.is_dir()):
            if not name.startswith("."):
                yield join(uri, name)

    def exists(self, uri: str) -> bool:
        return path_of(uri).is_file()


def _folder(uri: str) -> Path:
    root = path_of(uri)
    if not root.is_dir():
        raise NotFoundError(f"{uri}: there is no such folder")
    return root


def _create(path: Path) -> BinaryIO:
    """A new file; its folder is made only where it is missing, since most writes find it there."""
    try:
        return path.open("xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
