"""After a promotion: the sessions of a round that wait for somebody get the new model's boxes (docs/adr/0119).

Predictions are only ever added. Those that were there stay, since somebody may be at work from them, and so does what people
said; a session that has all its answers, or that somebody has begun, gets none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from labelstudio.blind import waits
from labelstudio.client import PAGE_SIZE, Server
from labelstudio.lease import Lease, Say, sole_writer
from podcast.errors import InputError, Refusal, ServiceError
from podcast.report import Report

Json = dict[str, Any]

BATCH = 50
"""Sessions in one request: Label Studio waits 100 s for the ML backend."""
ANSWERS, LOOK_S = 10, 0.5
"""So many answers in a row, so far apart, must give the new version: by then every worker serves it (docs/adr/0118)."""
PATIENCE_S = 60.0


def bring_up_to_date(server: Server, project_id: int, model_version: str, say: Say = lambda _: None) -> Report:
    """Let the sessions of a round that wait for somebody have the predictions of `model_version`, and its label stream show them.

    Waits until every worker of the round's ML backend serves that version. Doing it again changes nothing, and completes what was
    interrupted. The report counts sessions `updated`, `unchanged` (they had them) and `refused`: those for which the ML backend
    gave no answer. Raises InputError if the round has no ML backend, ServiceError if that does not come to serve the version, or
    answers for no session at all. `say` is told what is waited for.
    """
    report = Report()
    report.counts.update(updated=0, unchanged=0, refused=0)
    backends = sorted(server.ml_backends(project_id), key=lambda backend: int(backend["id"]))
    if not backends:
        raise InputError(f"project {project_id} has no ML backend; set ML_BACKEND_URL, and import into it once more")
    with sole_writer(server, project_id, say) as lease:
        waiting = list(_waiting(server, project_id))
        lacking = {number: session for number, session, versions in waiting if not _is_among(model_version, versions)}
        if lacking:
            _wait_until_served(server, backends[0], model_version, say)
        left = _retrieve(server, project_id, model_version, lacking, lease)
        if len(left) < len(waiting):
            _show(server, project_id, model_version)
    if waiting and len(left) == len(waiting):
        raise ServiceError(
            f"the ML backend at {backends[0]['url']} gives no boxes for any session of the round; its log says why"
        )
    report.counts.update(updated=len(lacking) - len(left), unchanged=len(waiting) - len(lacking))
    for session in left.values():
        report.refuse(
            Refusal(f"session {session}", "the ML backend gives no boxes for it, so its page is empty; its log says why")
        )
    return report


def _waiting(server: Server, project_id: int) -> Iterator[tuple[int, str, str]]:
    """Task number, session and model versions of what somebody may still be given, with boxes, and nobody has begun."""
    fields = "id,data,is_labeled,draft_exists,predictions_model_versions"
    wanted = {"project": project_id, "page_size": PAGE_SIZE, "include": fields, "fields": "all", "resolve_uri": False}
    page, total = 0, 1
    while page * PAGE_SIZE < total:
        page += 1
        answer = server.request("GET", "/api/tasks", params={**wanted, "page": page})
        total = int(answer["total"])
        for task in answer["tasks"]:
            if not (task["is_labeled"] or task["draft_exists"] or waits(task, "audio", server.signing_key)):
                yield int(task["id"]), str(task["data"].get("session_id", task["id"])), task["predictions_model_versions"] or ""


def _is_among(model_version: str, versions: str) -> bool:
    return f",{model_version}," in f",{versions},"


def _wait_until_served(server: Server, backend: Json, model_version: str, say: Say) -> None:
    """Ask through Label Studio, which asks `/setup` each time and so learns the version itself."""
    until, agreed, said = time.monotonic() + PATIENCE_S, 0, ""
    while agreed < ANSWERS:
        now = server.request("GET", f"/api/ml/{backend['id']}")
        found = now["model_version"] if now["state"] == "CO" else now["error_message"] or "no answer"
        agreed = agreed + 1 if found == model_version else 0
        if not agreed and time.monotonic() > until:
            raise ServiceError(
                f"the ML backend at {backend['url']} does not serve {model_version}, but: {found}; its log says why"
            )
        if not agreed and found != said:
            say(f"the ML backend serves {found}: waiting for {model_version} …")
            said = found
        time.sleep(LOOK_S)


def _retrieve(server: Server, project_id: int, model_version: str, lacking: dict[int, str], lease: Lease) -> dict[int, str]:
    """Have the predictions made, again and again as long as that helps; gives the sessions that are left without."""
    while lacking:
        numbers = list(lacking)
        for first in range(0, len(numbers), BATCH):
            lease.check()
            server.retrieve_predictions(project_id, numbers[first : first + BATCH])
        still = {number for number, _, versions in _waiting(server, project_id) if not _is_among(model_version, versions)}
        left = {number: session for number, session in lacking.items() if number in still}
        if len(left) == len(lacking):
            break
        lacking = left
    return lacking


def _show(server: Server, project_id: int, model_version: str) -> None:
    """Let the label stream show the version, unless it shows what the ML backend says, whatever that is."""
    shown = server.project(project_id)["model_version"]
    if shown != model_version and shown not in {backend["title"] for backend in server.ml_backends(project_id)}:
        server.request("PATCH", f"/api/projects/{project_id}/", {"model_version": model_version})
