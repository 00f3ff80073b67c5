"""Stages that are quick and easy to foretell."""

from __future__ import annotations

from podcast.errors import StorageError


def square(item: int) -> int:
    return item * item


def fail(item: int) -> int:
    raise StorageError(f"{item}: no such thing")
