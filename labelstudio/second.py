"""A second person for a session, through Label Studio's ordinary stream (docs/adr/0131)."""

from __future__ import annotations

from collections.abc import Callable

from labelstudio.client import Server

PEOPLE = 2


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
