"""All targets by name, with the settings and the silence around them that every case needs."""

from __future__ import annotations

import os
import resource
import socket
import time
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz import commands, readers, served
from tests.fuzz.harness import Target
from tests.fuzz.seeds import SETTINGS, Seeds

MOST_MEMORY = 4 * 2**30


@cache
def prepared(data: Path, work: Path) -> dict[str, Target]:
    """The targets of this process, which from now on has the settings of the cases and a working folder of its own in `work`."""
    work = work / str(os.getpid())
    work.mkdir()
    for name in list(os.environ):
        if name.startswith(("ML_", "LABEL_STUDIO_", "AWS_", "AZURE_", "PROMETHEUS_")):
            del os.environ[name]
    os.environ.update(SETTINGS, LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=str(work))
    seeds = Seeds(data, work)
    os.chdir(work)
    return {target.name: target for room in (readers, commands, served) for target in room.targets(seeds)}


def confined() -> None:
    """From now on no host is known to this process, nobody waits before trying again, and its memory ends somewhere."""

    def unknown(host: Any, *_: Any, **__: Any) -> Any:
        raise socket.gaierror(f"{host}: nobody is there")

    socket.getaddrinfo = unknown
    time.sleep = lambda _: None
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
