"""Sessions that people hear without a model's boxes: what their tasks say, and until when nothing is predicted for them.

A task says it in its data, under the import's signature: taking the word away helps nobody to boxes (docs/adr/0129).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from labelstudio.signed import BLIND, is_signed
from podcast.draw import drawn
from podcast.model import Session

if TYPE_CHECKING:
    from labelstudio.client import Server  # its libraries are slow to import, and `podcast tasks` needs none of them


def chosen(share: float) -> Callable[[Session], bool]:
    """Which sessions of a round are to be blind: those of which the source says so, and a share of all; none with an answer."""
    return lambda session: not session.reviews and (session.blind or drawn("blind", session.round, session.id, share))


def count_blind(server: Server, project_id: int) -> int:
    """How many sessions of a round are blind."""
    said = {"filter": f"filter:tasks:data.{BLIND}", "operator": "equal", "type": "String", "value": "true"}
    query = json.dumps({"filters": {"conjunction": "and", "items": [said]}})
    params = {"project": project_id, "page_size": 1, "fields": "task_only", "query": query}
    return int(server.request("GET", "/api/tasks/", params=params)["total"])


def is_blind(data: Mapping[str, Any], audio_field: str, key: bytes) -> bool:
    """Whether a task's data say that the session is blind, or said so when an import with this key signed them."""
    return data.get(BLIND) is True or is_signed({**data, BLIND: True}, audio_field, key)


def waits(task: Mapping[str, Any], audio_field: str, key: bytes) -> bool:
    """Whether nobody may see a prediction of this task yet: it is blind, and not everybody who is asked has answered."""
    return task.get("is_labeled") is not True and is_blind(task["data"], audio_field, key)
