"""A second person for a session, through Label Studio's ordinary stream, and a third look (docs/adr/0131, docs/adr/0132)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from labelstudio.client import Server

PEOPLE = 2
LOOK_AGAIN = "look_again"
"""The field of a task that says why the coordinator should look; not there in others, and not given to volunteers."""


def ask_second(server: Server, project_id: int, wanted: Callable[[str], bool]) -> int:
    """Let two people answer the sessions whose ids are `wanted`; how many were not asked of two before.

    One that somebody has answered already is in the stream again, for everybody else.
    """
    asked = 0
    for task in list(server.task_states(project_id)):
        if task.people < PEOPLE and wanted(str(task.data.get("session_id", ""))):
            server.ask_people(task.id, PEOPLE, again=task.answers < PEOPLE)
            asked += 1
    return asked


def mark_for_a_look(server: Server, project_id: int, reasons: Mapping[str, str]) -> dict[str, int]:
    """Note in the tasks of a round why a session, by its id, is to be looked at again, and in no other; gives their numbers."""
    numbers: dict[str, int] = {}
    for task in list(server.task_states(project_id)):
        name = str(task.data.get("session_id", ""))
        if name in reasons:
            numbers[name] = task.id
        if task.data.get(LOOK_AGAIN) != reasons.get(name):
            kept = {key: value for key, value in task.data.items() if key != LOOK_AGAIN}
            server.update_task(task.id, kept | ({LOOK_AGAIN: reasons[name]} if name in reasons else {}))
    return numbers
