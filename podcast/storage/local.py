"""Paths and `file://` URIs."""

from __future__ import annotations

import fcntl
import hashlib
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
        try:
            file, temporary = _beside(path)
            with file:
                try:
                    if private:
                        os.fchmod(file.fileno(), 0o600)
                    yield file
                    file.flush()
                    temporary.replace(path)  # before the file is closed, which lets go of its name
                except BaseException:
                    temporary.unlink(missing_ok=True)
                    raise
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{uri}: cannot be written ({error.strerror}); nothing was changed there") from error

    def replace(self, uri: str, old: bytes | None, new: bytes) -> bool:
        """Of two that make a new file in the same instant one is refused. Two that change one are not kept apart: the file system
        knows no conditional rename.
        """
        path = path_of(uri)
        if (path.read_bytes() if path.is_file() else None) != old:
            return False
        if old is None:
            return self._make(uri, path, new)
        with self.open_write(uri) as file:
            file.write(new)
        return True

    def _make(self, uri: str, path: Path, content: bytes) -> bool:
        """A new file, whole; False if there is one. A link fails where there is a file already, as a rename does not."""
        try:
            file, temporary = _beside(path)
            with file:
                try:
                    file.write(content)
                    file.flush()
                    path.hardlink_to(temporary)
                except FileExistsError:
                    return False
                finally:
                    temporary.unlink()
        except OSError as error:
            raise StorageError(f"{uri}: cannot be written ({error.strerror}); nothing was changed there") from error
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


def _beside(path: Path) -> tuple[BinaryIO, Path]:
    """An empty file beside `path`, and its name, which is this writer's alone until the file is closed.

    The name is the same for every writer of `path`, so that what a killed one left is written over by the next. Where that name
    is in use, another one is taken.
    """
    usual = path.with_name(f".partial-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}")
    if file := _left_behind(usual):
        return file, usual
    other = path.with_name(f".partial-{secrets.token_hex(8)}")
    return _create(other), other


def _left_behind(path: Path) -> BinaryIO | None:
    """The file, empty and held by a lock that ends with this process; None if another process holds it, or owns it."""
    try:
        file = _create(path)
    except PermissionError:
        if path.exists():
            return None
        raise
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), path.lstat()):  # else it was renamed in the meantime
            if os.fstat(file.fileno()).st_nlink == 1:
                file.truncate(0)
                return file
            path.unlink()  # a second name of a whole file, whose writer was killed before it could take it away
    except OSError:  # held, renamed, or on a file system without locks
        pass
    file.close()
    return None


def _create(path: Path) -> BinaryIO:
    """A file to write to, there already or not; its folder is made only where it is missing, since most writes find it there."""
    try:
        return _open_new(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _open_new(path)


def _open_new(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666), "wb")
