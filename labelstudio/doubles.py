"""Sessions that a project holds twice: which of their tasks may go, because nobody has touched them.

Two imports that did not see each other make them, and a task file that was uploaded twice. What people touched always stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labelstudio.client import Server
from labelstudio.signed import FIELD

Json = dict[str, Any]
BATCH = 100


@dataclass(frozen=True, slots=True)
class Twin:
    """One of several tasks of a session. People have touched one that has an answer, a skip, a draft or a comment."""

    id: int
    data: Mapping[str, Any]
    touched: bool = False


def superfluous(twins: Iterable[Twin]) -> list[int]:
    """Of the tasks of one session, those that may go: untouched, and the same as one that stays.

    One that people touched stays, else the first; a task whose data differ stays too, since nobody can tell which one is right.
    """
    first, *others = sorted(twins, key=lambda twin: (not twin.touched, twin.id))
    return [twin.id for twin in others if not twin.touched and _said(twin) == _said(first)]


def _said(twin: Twin) -> dict[str, Any]:
    """A task's data without what depends on whose import wrote them."""
    return {key: value for key, value in twin.data.items() if key != FIELD}


def remove_doubles(
    server: Server, project_id: int, sessions: Iterable[list[tuple[int, Json]]], before: Callable[[], None] = lambda: None
) -> list[int]:
    """Remove the superfluous of the tasks (number and data) of each session; gives their numbers.

    They are looked at right before they are removed, since somebody may be at work in them. `before` is called before each
    request that removes.
    """
    removed: list[int] = []
    waiting: list[int] = []

    def remove() -> None:
        if waiting:
            before()
            server.delete_tasks(project_id, waiting)
            removed.extend(waiting)
            waiting.clear()

    for tasks in sessions:
        touched = {number: server.is_touched(number) for number, _ in tasks}
        twins = [Twin(number, data, bool(touched[number])) for number, data in tasks if touched[number] is not None]
        waiting += superfluous(twins) if len(twins) > 1 else []
        if len(waiting) >= BATCH:
            remove()
    remove()
    return removed
