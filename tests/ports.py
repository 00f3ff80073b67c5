"""Ports for servers that cannot be told to choose one themselves."""

from __future__ import annotations

import fcntl
import random
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from demo.servers import free_port
from podcast.errors import InputError

_held: list[TextIO] = []


def own_port() -> int:
    """A port on 127.0.0.1 that stays free until this process ends, unless it is listened on.

    A port that was free a moment ago may be taken before a slow server comes to listen on it: by an outgoing connection, which
    gets one above 32768, or by another run of the tests, which a lock keeps away.
    """
    folder = Path(tempfile.gettempdir()) / "orcasound-podcast-test-ports"
    folder.mkdir(exist_ok=True)
    for port in random.SystemRandom().sample(range(20_000, 30_000), 1000):
        lock = (folder / str(port)).open("w")
        with suppress(BlockingIOError, InputError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free_port(port)
            _held.append(lock)
            return port
        lock.close()
    raise RuntimeError("no port between 20000 and 30000 is free")
