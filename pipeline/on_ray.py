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
    """Stages as Ray tasks of one CPU each; where there are GPUs, those with a model as actors that hold it, one a GPU. Without
    GPUs the processes of the tasks hold it, so that cutting and detecting share the CPUs. Work of a lost worker or node is done
    again by another.

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
        # A lost process is a fault of the machine, and its work is done again; what the stage raises is not.
        call = self._ray.remote(_call).options(num_cpus=1, max_retries=-1)
        shared = self._ray.put(stage)
        # In a list Ray leaves it a reference, and each process takes the stage out of it once.
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
    """A stage as this process holds it, with its model."""
    import ray

    return ray.get(reference)


class _Holder:
    """An actor: a stage with its model."""

    def __init__(self, stage: Callable[[Any], Any]) -> None:
        self._stage = stage

    def call(self, item: Any) -> Any:
        return self._stage(item)
