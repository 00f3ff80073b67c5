"""Limits on files that strangers name, whatever place they lie in."""

from __future__ import annotations

import io
import time
from typing import BinaryIO, cast

from podcast.errors import StorageError


def limited(file: BinaryIO, uri: str, max_bytes: int, timeout_s: float) -> BinaryIO:
    """The open seekable `file`, of at most `max_bytes`, whose reads take at most `timeout_s` seconds together.

    The time that its reader spends on what was read does not count. Raises StorageError, now or at a later read, and closes it.
    """
    if file.seek(0, io.SEEK_END) > max_bytes:
        file.close()
        raise StorageError(f"{uri}: larger than the {max_bytes} bytes that are allowed")
    file.seek(0)
    return cast(BinaryIO, io.BufferedReader(_Limited(file, uri, max_bytes, timeout_s), 2**16))


class _Limited(io.RawIOBase):
    def __init__(self, file: BinaryIO, uri: str, max_bytes: int, timeout_s: float) -> None:
        super().__init__()
        self._file, self._uri, self._max_bytes, self._timeout_s, self._spent_s = file, uri, max_bytes, timeout_s, 0.0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        began = time.monotonic()
        block = self._file.read(len(buffer))
        self._spent_s += time.monotonic() - began
        if self._spent_s > self._timeout_s:
            raise StorageError(f"{self._uri}: not read within the {self._timeout_s:g} s that are allowed")
        if self._file.tell() > self._max_bytes:  # it grows while it is read
            raise StorageError(f"{self._uri}: larger than the {self._max_bytes} bytes that are allowed")
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
