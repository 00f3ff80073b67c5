"""The queue of trainings, in SQLite and in a real Redis."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from shutil import which

import pytest

from demo.servers import free_port
from podcast.errors import InputError, ServiceError, StorageError
from podcast.jobs import Job, Queue
from tests.conftest import ROOT

FIRST, SECOND = Job((7,), names=("October",)), Job((8, 9), names=("November", "December"))


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """A Redis of the tests' own."""
    program = which("redis-server")
    if program is None:
        pytest.skip("needs Debian's Redis: apt-get install redis-server")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        for line in server.stdout:
            if "Ready to accept connections" in line:
                break
        yield f"redis://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty queue is."""
    if request.param == "sqlite":
        return str(tmp_path / "deep" / "queue.db")
    url: str = request.getfixturevalue("redis")
    number = request.getfixturevalue("redis_databases").pop()
    return f"{url}/{number}"


@pytest.fixture(scope="module")
def redis_databases() -> set[int]:
    return set(range(16))


def taken(queue: Queue) -> Job | None:
    begun = queue.take()
    return begun.job if begun else None


def test_jobs_come_in_the_order_in_which_they_were_asked_for(place: str) -> None:
    with Queue(place) as queue:
        assert [queue.ask(job) for job in (SECOND, FIRST, Job())] == [True, True, True]
        assert [str(job) for job in queue.waiting()] == ["rounds November, December", "round October", "all rounds"]
        for job in (SECOND, FIRST, Job()):
            assert taken(queue) == job
            queue.end(job, f"{job} done")
        assert queue.take() is None
        assert [outcome.said for outcome in queue.outcomes()] == ["all rounds done", "round October done", f"{SECOND} done"]


def test_asking_again_adds_nothing_while_it_waits_and_one_while_it_runs(place: str) -> None:
    with Queue(place) as queue:
        assert queue.ask(FIRST)
        assert not queue.ask(Job((7,), names=("renamed since",)))
        assert taken(queue) == FIRST
        assert queue.waiting() == []
        assert [queue.ask(FIRST), queue.ask(FIRST)] == [True, False]
        queue.end(FIRST, "promoted")
        assert taken(queue) == FIRST


def test_of_many_who_ask_at_once_one_adds_the_job(place: str) -> None:
    def ask(_: int) -> bool:
        with Queue(place) as queue:
            return queue.ask(FIRST)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(24))) == 1
    with Queue(place) as queue:
        assert queue.waiting() == [FIRST]


def test_what_a_dead_trainer_left_behind_is_taken_first_and_once(place: str) -> None:
    with Queue(place) as queue:
        queue.ask(FIRST)
        queue.ask(SECOND)
        queue.take()
        queue.note(FIRST, "begun", {"promotions": 3})
        queue.note(FIRST, "12 of 20 sessions heard")
        queue.ask(FIRST)  # what this asks for, doing it again from the start does too
    with Queue(place) as queue:
        running = queue.running()
        assert running and (running.job, running.job.names, running.doing) == (FIRST, ("October",), "12 of 20 sessions heard")
        assert time.time() - 60 < running.since <= time.time()
        again = queue.take()
        assert again and (again.job, again.kept, again.since) == (FIRST, {"promotions": 3}, running.since)
        queue.end(FIRST, "not promoted")
        assert queue.running() is None
        assert taken(queue) == SECOND


def test_rounds_in_another_order_are_the_same_job(place: str) -> None:
    with Queue(place) as queue:
        assert queue.ask(Job((9, 8)))
        assert not queue.ask(SECOND)
        assert queue.ask(Job((8, 9), recipe="fine-tune"))


TRAINER = """
import sys, time
from podcast.jobs import Queue
with Queue(sys.argv[1]) as queue, queue.alone(lambda words: print(words, flush=True)):
    print("alone", flush=True)
    time.sleep(600)
"""


def test_one_trainer_at_a_time_and_the_next_begins_when_it_dies(tmp_path: Path) -> None:
    def trainer() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TRAINER, str(tmp_path / "queue.db")]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    with trainer() as first:
        assert first.stdout and first.stdout.readline() == "alone\n"
        with trainer() as second:
            assert second.stdout and second.stdout.readline().startswith("another trainer works")
            os.kill(first.pid, signal.SIGKILL)
            assert second.stdout.readline() == "alone\n"
            second.kill()


def test_a_lease_in_redis_ends_with_its_block(redis: str) -> None:
    said: list[str] = []
    for _ in range(2):
        with Queue(redis) as queue, queue.alone(said.append):
            assert queue.take() is None
    assert said == []


class TestErrors:
    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StorageError, match=r"queue of trainings cannot be made.*ML_QUEUE"):
            Queue(str(tmp_path / "file" / "queue.db"))

    def test_a_file_that_is_no_queue(self, tmp_path: Path) -> None:
        (tmp_path / "queue.db").write_text("this is no database, whatever its name says" * 100)
        with pytest.raises(StorageError, match=r"queue\.db: the queue of trainings does not answer .*not a database"):
            Queue(str(tmp_path / "queue.db"))

    def test_a_queue_that_somebody_holds_is_an_error_within_seconds(self, tmp_path: Path) -> None:
        place = str(tmp_path / "queue.db")
        with Queue(place) as queue:
            queue.ask(FIRST)
            with closing(sqlite3.connect(place, isolation_level=None)) as other:
                other.execute("begin exclusive")
                started = time.monotonic()
                with pytest.raises(StorageError, match="locked"):
                    queue.ask(SECOND)
                assert time.monotonic() - started < 10
            assert queue.waiting() == [FIRST]

    def test_no_redis(self) -> None:
        place = f"redis://127.0.0.1:{free_port()}"
        with Queue(place) as queue, pytest.raises(ServiceError, match=r"the queue of trainings does not answer .*ML_QUEUE"):
            queue.ask(FIRST)

    def test_no_address(self) -> None:
        with pytest.raises(InputError, match="ML_QUEUE: expected a path, or an address"):
            Queue("redis://127.0.0.1:port")
