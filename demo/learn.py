"""The second half of the unattended run: a round that people have finished, "Start training", the gate, a promotion, new boxes.

The round is made: calls, and the chirps of a buoy, which `energy` boxes as well. Whoever reviews it knows what is in it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from demo.round import Demo
from demo.sessions import DemoSession, chirping_plan, write_sessions
from demo.steps import Steps
from detectors.model_folder import Model
from detectors.registry import GATE, Registry
from evaluation.edits import edits, same_edges
from importers import IMPORTERS
from importers.base import ReadOptions
from labelstudio.round_in import MlBackend, bring_in
from podcast.errors import ServiceError
from podcast.jobs import Job, Queue
from podcast.model import Round, SoundEvent
from podcast.overlap import best_pairs
from podcast.settings import load_settings

ROUND, FOLDER = "Demo lessons", "lessons"
TAUGHT, LEFT = 40, 3
"""Sessions that somebody reviews, and sessions that are left for the model that learned from them."""
PATIENCE_S = 300.0

Json = dict[str, Any]


def learn(demo: Demo, steps: Steps) -> None:
    """Import and review the round, press the button, and look what came of it. The trainer of the demo does the work."""
    made = write_sessions(str(demo.document_root / FOLDER), chirping_plan(TAUGHT + LEFT))
    registry = Registry(demo.learning["ML_REGISTRY"])
    with steps.step("train") as detail:
        project = _bring_in(demo)
        before = _predictions(demo, project)
        reviewed = _review(demo, project, made[:TAUGHT], before)
        [backend] = demo.server.ml_backends(project)
        demo.server.request("POST", f"/api/ml/{backend['id']}/train")  # the button
        outcome, models = _outcome(demo, Job((project,))), registry.models()
        shown = demo.server.ml_backends(project)[0]["description"]
        detail.update(sessions=TAUGHT, outcome=outcome, label_studio=shown, models=[model.name for model in models])
        detail["holds"] = [model.rounds for model in models] == [(ROUND,)] and outcome in shown
    if steps.ok:
        _look(demo, steps, registry, models[0], project, made[TAUGHT:], reviewed, before)


def _look(
    demo: Demo,
    steps: Steps,
    registry: Registry,
    model: Model,
    project: int,
    left: Sequence[DemoSession],
    reviewed: Json,
    before: dict[str, list[Json]],
) -> None:
    with steps.step("gate") as detail:
        verdict = registry.verdict(model.name)
        detail.update(reason=verdict.reason if verdict else "no verdict", holds=verdict is not None and verdict.promoted)
    with steps.step("promote") as detail:
        version, promoted = f"{model.detector}:{model.version}", [(one.model, one.by) for one in registry.history()]
        serves = demo.server.ml_backends(project)[0]["model_version"]
        detail.update(promoted=promoted, serves=serves, holds=promoted == [(model.name, GATE)] and serves == version)
    with steps.step("predict again") as detail:
        after = _predictions(demo, project, version)
        detail.update(
            sessions=len(left),
            edits_before=sum(_edits(before[session.id], session) for session in left),
            edits=sum(_edits(after.get(session.id, []), session) for session in left),
        )
        complete, untouched = {session.id for session in left} <= after.keys(), _submitted(demo, project) == reviewed
        detail["holds"] = complete and untouched and detail["edits"] < detail["edits_before"]


def _bring_in(demo: Demo) -> int:
    """The round with its predictions; gives its project."""
    sessions = IMPORTERS["wav-folder"](str(demo.document_root / FOLDER), ReadOptions())
    settings = load_settings()
    backend = MlBackend(demo.ml_url, settings.ml_basic_auth_user, settings.ml_basic_auth_password)
    project = bring_in(demo.server, Round(ROUND), sessions, demo.document_root, backend).project
    assert project
    demo.prelabel(int(project["id"]))
    return int(project["id"])


def _tasks(demo: Demo, project: int) -> dict[int, str]:
    return {number: str(data["session_id"]) for number, data in demo.server.tasks(project)}


def _predictions(demo: Demo, project: int, version: str = "") -> dict[str, list[Json]]:
    """The boxes of each session that has a prediction, of this version if one is named, as Label Studio's page gets them."""
    names = _tasks(demo, project)
    return {
        names[item["task"]]: item["result"] for item in demo.server.predictions(project) if version in ("", item["model_version"])
    }


def _review(demo: Demo, project: int, made: Sequence[DemoSession], shown: dict[str, list[Json]]) -> Json:
    """Submit what is in each session, as somebody does who knows: boxes on calls stay or move, all others go, calls are added."""
    numbers = {name: number for number, name in _tasks(demo, project).items()}
    for session in made:
        result = _corrected(shown[session.id], session)
        demo.server.add_annotation(numbers[session.id], {"result": result, "lead_time": session.duration_s + 5})
    return _submitted(demo, project)


def _corrected(shown: Sequence[Json], session: DemoSession) -> list[Json]:
    events = _events(shown)
    partners = {call: box for box, call in best_pairs(events, session.truth, lambda *_: 1.0)}
    result = []
    for number, call in enumerate(session.truth):
        own = {"start": call.start_s, "end": call.end_s, "channel": 0, "labels": ["Call"]}
        box = partners.get(number)
        if box is None:
            drawn = {"from_name": "label", "to_name": "audio", "type": "labels", "original_length": session.duration_s}
            result.append({"id": f"added{number}", **drawn, "value": own, "origin": "manual"})
        elif same_edges(events[box], call):
            result.append({**shown[box], "origin": "prediction"})
        else:
            result.append({**shown[box], "value": {**shown[box]["value"], **own}, "origin": "prediction-changed"})
    return result


def _submitted(demo: Demo, project: int) -> Json:
    """What people said, by task."""
    return {str(task["id"]): [item["result"] for item in task["annotations"]] for task in demo.server.export(project)}


def _events(regions: Sequence[Json]) -> list[SoundEvent]:
    return [SoundEvent(item["value"]["start"], item["value"]["end"]) for item in regions]


def _edits(regions: Sequence[Json], session: DemoSession) -> int:
    return edits(_events(regions), session.truth, session.duration_s).count


def _outcome(demo: Demo, job: Job) -> str:
    """How the training ended. Raises ServiceError if it does not end."""
    deadline = time.monotonic() + PATIENCE_S
    with Queue(demo.learning["ML_QUEUE"]) as queue:
        while time.monotonic() < deadline:
            for child in demo.children:
                child.check()
            for outcome in queue.outcomes():
                if outcome.job == job:
                    return outcome.said
            time.sleep(0.2)
    raise ServiceError(f"the trainer had no outcome within {PATIENCE_S:.0f} s")
