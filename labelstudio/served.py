"""Audio that Label Studio serves itself: which of its addresses are audio, in one notation, and whose key is shown to whom."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, quote, unquote

import httpx

from labelstudio.client import Server
from podcast import storage
from podcast.errors import InputError
from podcast.storage.guard import Home

LOCAL_FILES = "/data/local-files/?d="
UPLOADS = "/data/upload/"
LONGEST_ADDRESS = 4096


def check_letters(address: str) -> None:
    """Raise InputError for an address that no file has: control characters, halves of surrogate pairs, thousands of letters."""
    if len(address) > LONGEST_ADDRESS:
        raise InputError(f"{address[:60]!r}…: an address of more than {LONGEST_ADDRESS} letters")
    if any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in address):
        raise InputError(f"{address!r}: an address holds no control characters")


def served_path(address: str, label_studio_url: str) -> str | None:
    """Path and query by which Label Studio serves the audio at `address`; None for an address that is not Label Studio's.

    The path comes in one notation, percent-encoded once, so that what was checked is what is asked for. Raises InputError for
    any other page of Label Studio: a request there would be made with the key of this set-up.
    """
    check_letters(address)
    home = storage.split(label_studio_url)
    parts = storage.split(address)
    if parts.scheme or parts.netloc:
        if (parts.scheme, parts.hostname, parts.port) != (home.scheme, home.hostname, home.port):
            return None
        path = parts.path.removeprefix(home.path.rstrip("/"))
    elif address.startswith("/data/"):
        path = parts.path
    else:
        return None
    plain = unquote(path)
    if plain == LOCAL_FILES.partition("?")[0]:
        wanted = parse_qs(parts.query).get("d", [])
        if len(wanted) == 1:
            _check_names(wanted[0])
            return LOCAL_FILES + quote(wanted[0])
    elif plain.startswith(UPLOADS):
        _check_names(plain.removeprefix(UPLOADS))
        return quote(plain)
    raise InputError(f"{address!r}: Label Studio serves audio at {LOCAL_FILES}… and {UPLOADS}… alone")


def local_file(path: str, document_root: Path) -> Path:
    """The file behind a `served_path` of local files. Raises InputError for one outside the document root, links resolved."""
    relative = parse_qs(path.partition("?")[2]).get("d", [""])[0]
    found = Path(os.path.realpath(document_root / relative))
    if not found.is_relative_to(os.path.realpath(document_root)):
        raise InputError(f"{relative}: lies outside Label Studio's document root")
    return found


def open_served(server: Server, path: str, *, max_bytes: int, timeout_s: float) -> BinaryIO:
    """Audio at a `served_path`, with this account's rights.

    The key goes to Label Studio alone, and there to audio alone, at each redirect again. Uploads that Label Studio keeps in a
    cloud are followed there without it, to public hosts.
    """

    return storage.fetch(server.url + path, max_bytes=max_bytes, timeout_s=timeout_s, home=home_of(server))


def home_of(server: Server) -> Home:
    """Label Studio as a server of this set-up, of which nothing but audio may be asked for, with this account's key."""

    def check(asked: str) -> None:
        served_path(f"{home.scheme}://{home.netloc.decode()}{asked}", server.url)

    home = httpx.URL(server.url)
    return Home(home, server._headers(), check)


def _check_names(path: str) -> None:
    """Names of folders and a file, of which none leads elsewhere, however often somebody decodes them."""
    check_letters(path)
    plain = path
    while (again := unquote(plain)) != plain:
        plain = again
    if any(name in ("", ".", "..") for name in plain.split("/")) or "\\" in plain:
        raise InputError(f"{path!r}: lies outside Label Studio's document root, or is no path below it")
