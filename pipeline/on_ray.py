"""The engine for archives past one machine: a Ray cluster (extra `[ray]`)."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from pipeline.engine import AHEAD, Known
from podcast.errors import InputError, PodcastError

ENV = {"OMP_NUM_THREADS": "1", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


class RayEngine:
    """Runs stages as Ray tasks of one CPU each. Where there are GPUs, a stage with a model runs in actors that keep the model
    loaded, one actor a GPU; without GPUs the processes that run the tasks keep it, so that cutting and detecting share the CPUs.
    The work of a worker or node that is lost is done again by another.

    `address` is a running cluster's; without one Ray starts here, with `workers` processes. Every node needs this project, the
    storage credentials, and WAVs at an address that all reach.
    """

    keeps_segments = False

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        os.environ.update({name: value for name, value in ENV.items() if name not in os.environ})
        try:
            import ray
        except ImportError as error:
            raise InputError("--engine ray needs Ray: pip install 'orcasound-podcast[ray]'") from error
        self._ray: Any = ray
        if not ray.is_initialized():
            own: dict[str, Any] = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
            try:
                self._ray.init(**own, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise InputError(f"no Ray cluster at {address!r}: {error}") from error
        self.workers = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def map(self, stage: Callable[[Any], Any], items: Iterable[Any], *, model: bool = False) -> Iterator[Any]:
        """See `Engine`."""
        gpus = int(self._ray.cluster_resources().get("GPU", 0))
        submit = self._actors(stage, gpus) if model and gpus else self._tasks(stage)
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(item if isinstance(item, Known) else submit(item))
                if len(waiting) >= self.workers * AHEAD:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for reference in waiting:
                if not isinstance(reference, Known):
                    self._ray.cancel(reference, force=False)

    def _tasks(self, stage: Callable[[Any], Any]) -> Callable[[Any], Any]:
        # A process that dies is the machine's fault, and its work is repeated. An error that the stage raises is not repeated.
        call = self._ray.remote(_call).options(num_cpus=1, max_retries=-1)
        shared = self._ray.put(stage)
        # Ray replaces a reference by its value at every call, unless it stands in a list. There it stays one, and each process
        # fetches the stage, with its model, only once (`_stage`).
        return lambda item: call.remote([shared], item)

    def _actors(self, stage: Callable[[Any], Any], gpus: int) -> Callable[[Any], Any]:
        make = self._ray.remote(_Holder).options(num_gpus=1, max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD")
        turns = deque(make.remote(stage) for _ in range(gpus))

        def submit(item: Any) -> Any:
            turns.rotate(-1)
            return turns[0].call.remote(item)

        return submit

    def _result(self, item: Any) -> Any:
        if isinstance(item, Known):
            return item.result
        try:
            return self._ray.get(item)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise PodcastError(f"the Ray cluster failed ({error}); run the same command again to go on") from error


def _call(shared: list[Any], item: Any) -> Any:
    return _stage(shared[0])(item)


@lru_cache(maxsize=4)
def _stage(reference: Any) -> Any:
    """The stage behind a reference, fetched once a process and kept with its model."""
    import ray

    return ray.get(reference)


class _Holder:
    """A Ray actor that keeps a stage, and so its model, from one call to the next."""

    def __init__(self, stage: Callable[[Any], Any]) -> None:
        self._stage = stage

    def call(self, item: Any) -> Any:
        return self._stage(item)
