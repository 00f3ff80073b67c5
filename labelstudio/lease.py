"""One writer a project at a time, on however many machines: tickets that Label Studio itself keeps.

Label Studio has no lock, but it numbers whatever is made in it. Each writer makes a ticket, an inactive webhook that is never
called; the lowest number may write, the others wait. A writer changes its ticket every few seconds, so one whose ticket has not
changed for `LEASE_S` is dead, and may be removed. That is told from how long those who wait have seen it unchanged: no two clocks
are compared. On one machine a locked file, which the operating system frees when its holder dies, spares that time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from labelstudio.client import Server
from podcast.errors import InputError, PodcastError, ServiceError, StorageError, UnavailableError

Json = dict[str, Any]
Say = Callable[[str], None]

LEASE_S = 20.0
BEAT_S = 4.0
LOOK_S = 0.5
PATIENCE_S = 120.0
"""How long an import waits for another; it must outlast `LEASE_S`."""

NOWHERE = "http://192.175.48.6/podcast-is-writing"
"""The ticket's address: Label Studio wants one that is public and has no name to look up. It is never called, and this one is the
black hole that the internet keeps for such things (RFC 7534)."""


class Lease:
    """The right to write into one project. Made by `sole_writer`."""

    def __init__(self, server: Server, project_id: int, place: str) -> None:
        self._server, self._project_id = server, project_id
        who = f"process {os.getpid()} on {socket.gethostname()}"
        self._headers = {"holder": uuid.uuid4().hex, "place": place, "who": who}
        self._number = 0
        self._ended = threading.Event()

    def check(self) -> None:
        """Raises ServiceError if another writer has taken over, since this one seemed dead: it must not write any more."""
        tickets = [ticket["id"] for ticket in self._tickets()]
        if not tickets or tickets[0] != self._number:
            raise ServiceError("another import into this round has taken over; run this one again to bring in the rest")

    def _take(self, patience: _Patience) -> None:
        """Wait until all that came before have ended or are dead."""
        threading.Thread(target=self._beat, daemon=True).start()
        seen: dict[int, tuple[str, float]] = {}
        while True:
            try:
                ahead = self._ahead()
            except UnavailableError:  # a restart: its silence is none of the others'
                patience.wait("Label Studio does not answer")
                seen.clear()
                continue
            if not ahead:
                return
            for ticket in ahead:
                number, now = ticket["id"], time.monotonic()
                if seen.get(number, ("", 0.0))[0] != ticket["updated_at"]:
                    seen[number] = (ticket["updated_at"], now)
                if ticket["headers"].get("place") == self._headers["place"] or now - seen[number][1] > LEASE_S:
                    # Its process held the file that this one has locked, or it is silent.
                    self._drop(number)
            patience.wait(f"{ahead[0]['headers'].get('who')} is writing into this round")

    def _ahead(self) -> list[Json]:
        """The tickets before this one's, which is made if it is not there."""
        tickets = self._tickets()
        if self._number not in (ticket["id"] for ticket in tickets):
            inactive = {"is_active": False, "send_payload": False, "send_for_all_actions": False}
            wanted = {"project": self._project_id, "url": NOWHERE, "headers": self._headers, **inactive}
            self._number = self._server.request("POST", "/api/webhooks/", wanted)["id"]
            tickets = self._tickets()
        return [ticket for ticket in tickets if ticket["id"] < self._number]

    def _tickets(self) -> list[Json]:
        found = self._server.request("GET", f"/api/webhooks/?project={self._project_id}")
        return sorted((item for item in found if item["url"] == NOWHERE), key=lambda item: item["id"])

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with suppress(PodcastError):  # `check` tells before the next write
                self._server.request("PATCH", f"/api/webhooks/{self._number}/", {"is_active": False}, missing="gone")

    def _end(self) -> None:
        self._ended.set()
        with suppress(PodcastError):  # then it ages, as a dead one's does
            self._drop(self._number)

    def _drop(self, number: int) -> None:
        with suppress(InputError):
            self._server.request("DELETE", f"/api/webhooks/{number}/", missing="gone")


@contextmanager
def sole_writer(server: Server, project_id: int, say: Say) -> Iterator[Lease]:
    """Nobody else writes into the project for the time of the block, unless this process seems dead (see `Lease.check`).

    Waits for another writer, which `say` is told, for `PATIENCE_S` at most. Raises ServiceError after that.
    """
    patience = _Patience(say)
    with _locked_here(server.url, project_id, patience) as place:
        lease = Lease(server, project_id, place)
        try:
            lease._take(patience)
            yield lease
        finally:
            lease._end()


@contextmanager
def _locked_here(url: str, project_id: int, patience: _Patience) -> Iterator[str]:
    """A locked file of this machine; gives the word in it, which those who lock the same file share, and nobody else has."""
    name = hashlib.sha256(f"{url} {project_id}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"podcast-{os.getuid()}-{name}.lock"
    try:
        file = path.open("a+")
    except OSError as error:
        raise StorageError(f"{path}: cannot be locked ({error.strerror})") from error
    with file:
        while not _locked(file):
            patience.wait("another import of this machine is writing into this round")
        file.seek(0)
        if not (place := file.read()):
            place = uuid.uuid4().hex
            file.write(place)
            file.flush()
        yield place


def _locked(file: IO[Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Patience:
    """Waits in small steps, says once for what, and gives up in time."""

    def __init__(self, say: Say) -> None:
        self._say, self._said, self._until = say, "", time.monotonic() + PATIENCE_S

    def wait(self, reason: str) -> None:
        if time.monotonic() > self._until:
            raise ServiceError(f"{reason}; gave up after {PATIENCE_S:.0f} s: run this again later")
        if reason != self._said:
            self._say(f"{reason}: waiting …")
            self._said = reason
        time.sleep(LOOK_S)
