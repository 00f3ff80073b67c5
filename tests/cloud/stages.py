"""Stages that are quick and easy to foretell."""

from __future__ import annotations

from podcast.errors import StorageError


def square(item: int) -> int:
    return item * item


def fail(item: int) -> int:
    raise StorageError(f"{item}: no such thing")


class Counting:
    """Tells how often this copy of it was called, and whether a Ray actor holds it."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: int) -> tuple[int, bool]:
        import ray

        self.calls += 1
        return self.calls, ray.get_runtime_context().get_actor_id() is not None
