"""What an engine is, and the one for this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from podcast.errors import PodcastError
from podcast.parallel import cores

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2
"""Items a worker may have waiting, so that it never stands still, and memory does not grow with the archive."""


@dataclass(frozen=True, slots=True)
class Known:
    """An item whose result is known already: no worker gets it, and its result comes out in its place in the order."""

    result: Any


class Engine(Protocol):
    """Maps a stage over items. A stage can be called and pickled; each worker gets a copy. Doing an item twice does no harm."""

    @property
    def keeps_segments(self) -> bool:
        """Whether its workers share this machine's disk, so that fetched segments can be kept there."""

    def map(self, stage: Callable[[Any], Any], items: Iterable[Any], *, model: bool = False) -> Iterator[Any]:
        """The results in the order of the items, `Known` ones as they are; few items are taken ahead of the results.

        `model` says that the stage holds a model, so that its workers get a GPU where there is one. What a stage raises is
        raised here.
        """


class LocalEngine:
    """One process a core of this machine."""

    keeps_segments = True

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()

    def map(self, stage: Callable[[Any], Any], items: Iterable[Any], *, model: bool = False) -> Iterator[Any]:  # noqa: ARG002
        """See `Engine`."""
        waiting: deque[Future[Any] | Known] = deque()
        # Not fork: threads of this process (progress bar, storage) would be copied in whatever state they are.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.workers, context, initializer=_begin, initargs=(stage,))
        try:
            for item in items:
                waiting.append(item if isinstance(item, Known) else pool.submit(_call, item))
                if len(waiting) >= self.workers * AHEAD:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class ThisProcess:
    """One item after the other, without a process for it: for a few sessions, where starting processes would take longer."""

    keeps_segments = False

    def map(self, stage: Callable[[Any], Any], items: Iterable[Any], *, model: bool = False) -> Iterator[Any]:  # noqa: ARG002
        """See `Engine`."""
        for item in items:
            yield item.result if isinstance(item, Known) else stage(item)


def _result(item: Future[Any] | Known) -> Any:
    if isinstance(item, Known):
        return item.result
    try:
        return item.result()
    except BrokenProcessPool as error:
        raise PodcastError("a worker process was killed (out of memory?); run the same command again to go on") from error


_stage: Callable[[Any], Any] | None = None


def _begin(stage: Callable[[Any], Any]) -> None:
    """Runs first in a new worker. Numerical libraries get one thread each, since there is one process a core."""
    global _stage
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    _stage = stage


def _call(item: Any) -> Any:
    if _stage is None:
        raise AssertionError("a worker begins with its stage")
    return _stage(item)
