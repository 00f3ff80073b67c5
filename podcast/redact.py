"""Whatever is printed, logged or answered goes through here: keys are taken out, and a text stays on its line.

Keys are known in two ways: by where they stand in a text (`sig=` of a signed address, `AccountKey=`, an `Authorization` value),
and by value, those of this process's settings and environment.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote

HIDDEN = "***"
SHORTEST = 8
"""Values shorter than this are not searched for: they would be found in ordinary words."""

_SECRET_NAME = re.compile(r"(KEY|TOKEN|PASSWORD|SECRET|CONNECTION_STRING|SAS)$", re.IGNORECASE)
_IN_CONNECTION_STRING = re.compile("(?:AccountKey|SharedAccessSignature)=([^;]+)")
_VALUE = r"""(?:(?!%26|&amp;)[^&\s"'<>;,)\]}\\])+"""
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # A shared access signature, and the signed addresses of S3; the separator may be percent-encoded.
        rf"(?P<kept>(?:[?&;]|%3F|%26|\b)(?:sig|X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)(?:=|%3D))"
        rf"{_VALUE}",
        rf"(?P<kept>(?:[?&;]|%3F|%26)(?:se|sp|st|skoid|sktid|access_token|token|key)(?:=|%3D)){_VALUE}",
        # Connection strings, credential files, environment listings.
        r"(?P<kept>\b(?:AccountKey|SharedAccessKey|SharedAccessSignature|blobaccountkey)[\"']?\s*[=:]\s*[\"']?)[^\s\"';,]+",
        r"(?P<kept>(?:_KEY|_TOKEN|_SECRET|PASSWORD)(?:\s*=\s*|[\"']\s*:\s*)[\"']?)[^\s\"';,]+",
        r"(?P<kept>\b(?:Authorization|Proxy-Authorization)[\"']?\s*[:=]\s*[\"']?(?:(?:Basic|Bearer|Token|SharedKey)\s+)?)[^\s\"',]+",
        r"(?P<kept>\b(?:Basic|Bearer|Token)\s+)(?=[^\s\"',]*\d)[A-Za-z0-9+/=._~-]{16,}",
        # User and password before a host, also where an address was taken apart.
        r"(?P<kept>/)[^/\s@\"']+:[^/\s@\"']*(?=@)",
        r"(?P<kept>)\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",
    )
)
_CONTROL = {number: repr(chr(number))[1:-1] for number in (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0xD800, 0xE000))}
_known: set[str] = set()


def know(*secrets: str) -> None:
    """Take these values out of all output from now on."""
    _known.update(secrets)


def redact(text: str) -> str:
    """The text without keys."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<kept>{HIDDEN}", text)
    return text


def _secrets() -> set[str]:
    """The keys that this process holds, also as they stand in a web address."""
    found = _known | {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    found |= {part for value in found for part in _IN_CONNECTION_STRING.findall(value)}
    return {form for value in found if len(value) >= SHORTEST for form in (value, quote(value, safe=""))}


def one_line(text: str) -> str:
    """The text without keys, its line ends and other control characters escaped: no name can write a line of its own."""
    return redact(text).translate(_CONTROL)


def redact_all(value: Any) -> Any:
    """`redact` for every text in a value that becomes JSON."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: redact_all(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [redact_all(item) for item in value]
    return value


def install() -> None:
    """Let all logging of this process, and tracebacks of errors that nobody foresaw, go through `redact`."""
    logging.setLogRecordFactory(_Record)
    sys.excepthook = _print_redacted


class _Record(logging.LogRecord):
    """A log record whose message stays on one line. Whatever handler comes, now or later, gets nothing else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0]:
            self.exc_text = redact("".join(traceback.format_exception(*self.exc_info)).rstrip())

    def getMessage(self) -> str:  # noqa: N802
        """See logging."""
        return one_line(super().getMessage())


def _print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
