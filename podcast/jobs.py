"""The queue of trainings: who wants one asks here, and one trainer at a time works them off.

It lies in a file of SQLite on this machine, or in Redis for several machines, both through huey's storages. A job that waits is
one entry, made only where there is none; one that was begun stays noted until it has an outcome, so that it survives the death of
its trainer (docs/adr/0116).
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from huey.constants import EmptyData
from huey.storage import RedisStorage, SqliteStorage

from podcast.errors import InputError, ServiceError, StorageError
from podcast.reading import parse_json

NAME = "podcast"
REDIS = ("redis://", "rediss://", "unix://")
WAITING, RUNNING, OUTCOME = "waiting ", "running", "outcome "
PATIENCE_S = 2.0
"""How long one step may take: whoever asks waits for it, and Label Studio's page with them."""
LEASE_S = 60.0
"""How long a trainer that says nothing more is taken to be alive, where only Redis knows of it."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """What to learn from: rounds by their project numbers, or all that there are where none is named; and the recipe.

    `names` is what people call the rounds; it tells no jobs apart.
    """

    projects: tuple[int, ...] = ()
    recipe: str = "rules"
    names: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        rounds = self.names or tuple(map(str, self.projects))
        return f"round{'s' if len(rounds) > 1 else ''} {', '.join(rounds)}" if rounds else "all rounds"

    @property
    def key(self) -> str:
        """One text for one job."""
        return json.dumps([self.recipe, *sorted(set(self.projects))])


@dataclass(frozen=True, slots=True)
class Running:
    """The job that was begun, what is being done for it, in words, and since when, in seconds since 1970.

    `kept` is what its trainer wants to find again if it dies.
    """

    job: Job
    doing: str
    since: float
    kept: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the last training of a job ended, in a sentence, and when, in seconds since 1970."""

    job: Job
    said: str
    at: float


class Queue:
    """The queue at `place`: a path, or an address such as redis://host:6379/0. Use it in a `with` block.

    Every method raises StorageError (ServiceError for Redis) within seconds if it cannot be read or written, and InputError if it
    holds what no version of this program wrote.
    """

    def __init__(self, place: str) -> None:
        self.place, self._in_redis = place, place.startswith(REDIS)
        self._errors = _redis_error() if self._in_redis else sqlite3.Error
        with self._clear_errors():
            self._store: Any = _redis(place) if self._in_redis else _sqlite(Path(place))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def ask(self, job: Job) -> bool:
        """Add a job behind those that wait; False if the same one waits already. One that runs may be asked for again."""
        with self._clear_errors():
            return bool(self._store.put_if_empty(WAITING + job.key, _bytes({"job": asdict(job), "asked": time.time()})))

    def waiting(self) -> list[Job]:
        """The jobs that wait, the next one first."""
        return [job for job, _ in sorted(self._entries(WAITING), key=lambda found: float(found[1]["asked"]))]

    def running(self) -> Running | None:
        """The job that was begun and has no outcome yet; its trainer may be dead."""
        with self._clear_errors():
            found = self._store.peek_data(RUNNING)
        if found is EmptyData:
            return None
        job, entry = self._read(found)
        return Running(job, str(entry["doing"]), float(entry["since"]), dict(entry["kept"]))

    def outcomes(self) -> list[Outcome]:
        """How trainings ended, the last one of each job, the newest first."""
        found = [Outcome(job, str(entry["said"]), float(entry["at"])) for job, entry in self._entries(OUTCOME)]
        return sorted(found, key=lambda outcome: -outcome.at)

    def take(self) -> Running | None:
        """Begin what a trainer left behind, else the job that waits longest; None if there is nothing to do.

        For the trainer that is `alone`.
        """
        begun = self.running()
        job = begun.job if begun else next(iter(self.waiting()), None)
        if job is None:
            return None
        self.note(job, "begun")
        with self._clear_errors():  # only now, or a death in between would lose it; whoever asks from here on asks anew
            self._store.delete_data(WAITING + job.key)
        return self.running()

    def note(self, job: Job, doing: str, kept: Mapping[str, Any] | None = None) -> None:
        """Tell what is being done for the job that was taken; what was `kept` stays, unless there is something new."""
        begun = self.running()
        entry = {"job": asdict(job), "doing": doing, "since": begun.since if begun else time.time()}
        self._put(RUNNING, {**entry, "kept": dict(kept if kept is not None else begun.kept if begun else {})})

    def end(self, job: Job, said: str) -> None:
        """The job that was taken has this outcome."""
        self._put(OUTCOME + job.key, {"job": asdict(job), "said": said, "at": time.time()})
        with self._clear_errors():
            self._store.delete_data(RUNNING)

    @contextmanager
    def alone(self, say: Callable[[str], None]) -> Iterator[None]:
        """The block as the only trainer of this queue; waits for another one to end, after telling `say`."""
        with ExitStack() as stack:
            with self._clear_errors():
                stack.enter_context(_leased(self._store, say) if self._in_redis else _locked(Path(self.place), say))
            yield

    def _put(self, key: str, value: Json) -> None:
        with self._clear_errors():
            self._store.put_data(key, _bytes(value))

    def _entries(self, kind: str) -> list[tuple[Job, Json]]:
        with self._clear_errors():
            found = self._store.result_items()
        return [self._read(value) for key, value in found.items() if key.startswith(kind)]

    def _read(self, value: Any) -> tuple[Job, Json]:
        entry = parse_json(bytes(value), f"{self.place}: an entry of the queue")
        try:
            projects, recipe, names = (entry["job"][name] for name in ("projects", "recipe", "names"))
            return Job(tuple(map(int, projects)), str(recipe), tuple(map(str, names))), entry
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.place}: holds an entry that is no job; does ML_QUEUE name a queue?") from error

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            kind = ServiceError if self._in_redis else StorageError
            problem = str(error) or type(error).__name__
            raise kind(f"{self.place}: the queue of trainings does not answer ({problem}); ML_QUEUE says where it is") from error


def _bytes(value: Json) -> bytes:
    return json.dumps(value).encode()


def _sqlite(path: Path) -> SqliteStorage:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: the queue of trainings cannot be made: {error}; ML_QUEUE says where it is") from error
    return SqliteStorage(NAME, filename=str(path), timeout=PATIENCE_S)


def _redis(url: str) -> RedisStorage:
    from redis import ConnectionPool
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    limits = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S, "retry": Retry(NoBackoff(), 0)}
    try:
        pool = ConnectionPool.from_url(url, **limits)
    except ValueError as error:
        raise InputError(f"ML_QUEUE: expected a path, or an address such as redis://host:6379/0 ({error})") from error
    return RedisStorage(NAME, connection_pool=pool)


def _redis_error() -> type[Exception]:
    """What the client of Redis raises. Raises InputError if there is no client."""
    if not find_spec("redis"):
        raise InputError("ML_QUEUE: Redis needs its client: pip install 'orcasound-podcast[redis]'")
    from redis.exceptions import RedisError

    return RedisError


@contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """By a lock of the operating system, which ends with the process that holds it."""
    with path.with_name(f"{path.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another trainer works {path}; this one begins when that one ends")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _leased(store: RedisStorage, say: Callable[[str], None]) -> Iterator[None]:
    """By a lease in Redis, which a thread of its own renews until the block ends."""
    lease = store.conn.lock(f"{NAME}.trainer", timeout=LEASE_S, thread_local=False)
    if not lease.acquire(blocking=False):
        say(f"another trainer works this queue, or died in the last {LEASE_S:.0f} s; this one begins when that one ends")
        lease.acquire()
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_S / 4):
            with suppress(_redis_error()):  # it may answer the next time, before the lease ends
                lease.reacquire()

    renewer = threading.Thread(target=renew, daemon=True)
    renewer.start()
    try:
        yield
    finally:
        ended.set()
        renewer.join()
        with suppress(_redis_error()):  # it ends by itself
            lease.release()
