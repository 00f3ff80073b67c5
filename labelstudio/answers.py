"""What Label Studio answers, as words for an error and as a file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from label_studio_sdk.core.api_error import ApiError

MOST_LETTERS = 500


def status_and_body(error: ApiError | httpx.HTTPStatusError) -> tuple[int | None, str]:
    """The status of a failed answer, None if there is none, and what the server said."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code, "" if error.response.is_stream_consumed else str(error)
    body = error.body
    if isinstance(body, Mapping):
        body = body.get("validation_errors") or body.get("detail") or body
    return error.status_code, body if isinstance(body, str) else json.dumps(body, default=str)


def in_short(body: str) -> str:
    """What a server said, on one line and cut: some answer with whole web pages."""
    if "<html" in body[:MOST_LETTERS].lower():
        return "a web page"
    words = " ".join(body.split())
    return words if len(words) <= MOST_LETTERS else f"{words[:MOST_LETTERS]} …"


class Body(io.RawIOBase):
    """A response's chunks as a readable file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As many of the bytes that came as fit; 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
