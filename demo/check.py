"""The whole loop, unattended: import, pre-label, annotate as people do, export, and compare box by box; then learn.

What is expected is worked out from what was submitted, never from what was exported.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from demo.learn import learn
from demo.round import Demo
from demo.sessions import DemoSession
from demo.steps import Steps
from exporters import EXPORTERS
from exporters.base import WriteOptions
from labelstudio.json_export import read_export
from labelstudio.labels import LabelConfig
from labelstudio.round_out import to_sessions
from podcast.report import Report

Json = dict[str, Any]
Boxes = list[tuple[float, float]]


def check(demo: Demo) -> Json:
    """Run the loop in a fresh demo. Gives `ok` and what each step found."""
    steps = Steps()
    _import(demo, steps)
    tasks = _prelabel(demo, steps)
    expected = _annotate(demo, tasks, steps) if steps.ok else {}
    with TemporaryDirectory(prefix="podcast-check-") as folder:
        if steps.ok:
            _export(demo, expected, Path(folder), steps)
    if steps.ok:
        learn(demo, steps)
    return {"ok": steps.ok, "steps": steps.steps}


def _import(demo: Demo, steps: Steps) -> None:
    with steps.step("import") as detail:
        report = demo.fill()
        detail.update(report.counts, holds=report.counts["created"] == len(demo.truth) and not report.refusals)
    with steps.step("import again") as detail:
        report = demo.import_sessions()
        same = (report.counts["created"], report.counts["updated"], report.counts["unchanged"])
        detail.update(report.counts, holds=same == (0, 0, len(demo.truth)))


def _prelabel(demo: Demo, steps: Steps) -> dict[str, Json]:
    """Predictions through Label Studio, once a session; gives each session's task with its prediction."""
    project = demo.project_id
    tasks = {data["session_id"]: {"id": number, "data": data} for number, data in demo.server.tasks(project)}
    with steps.step("pre-label") as detail:
        demo.server.retrieve_predictions(project)
        stored = list(demo.server.predictions(project))
        by_task = {prediction["task"]: prediction for prediction in stored}
        for task in tasks.values():
            task["prediction"] = by_task.get(task["id"])
        versions = sorted({prediction["model_version"] for prediction in stored})
        complete = len(stored) == len(tasks) == len(by_task)
        found, calls, boxes = _recall(demo.truth, tasks)
        detail.update(predictions=len(stored), model_versions=versions, calls=calls, calls_found=found, boxes=boxes)
        detail["holds"] = complete and len(versions) == 1 and found >= 0.8 * calls
    return tasks


def _recall(truth: list[DemoSession], tasks: dict[str, Json]) -> tuple[int, int, int]:
    found = calls = boxes = 0
    for session in truth:
        regions = (tasks[session.id]["prediction"] or {"result": []})["result"]
        boxes += len(regions)
        for event in session.truth:
            calls += 1
            found += any(item["value"]["start"] < event.end_s and item["value"]["end"] > event.start_s for item in regions)
    return found, calls, boxes


def _annotate(demo: Demo, tasks: dict[str, Json], steps: Steps) -> dict[str, Boxes | None]:
    """One session for each thing that people do; gives the boxes that an export must hold, None for no file at all."""
    names = [session.id for session in demo.truth]
    expected: dict[str, Boxes | None] = {}
    with steps.step("annotate") as detail:
        for name, action in zip(names, (_accept, _move, _add, _delete, _skip, _unsure, _uncertain, _no_calls), strict=True):
            prediction = tasks[name]["prediction"]
            result, cancelled = action(copy.deepcopy(prediction["result"]))
            demo.server.add_annotation(
                tasks[name]["id"],
                {"result": result, "was_cancelled": cancelled, "parent_prediction": prediction["id"], "lead_time": 10.0},
            )
            left_out = cancelled or any(item["type"] == "choices" and item["value"]["choices"] == ["Not sure"] for item in result)
            regions = [item["value"] for item in result if item["type"] == "labels"]
            boxes = sorted((round(value["start"], 3), round(value["end"], 3)) for value in regions)
            expected[name] = None if left_out else boxes
            detail[action.__name__.strip("_")] = name
        detail["holds"] = len(expected) == len(names)
    return expected


def _accept(result: list[Json]) -> tuple[list[Json], bool]:
    for region in result:
        region["origin"] = "prediction"
    return result, False


def _move(result: list[Json]) -> tuple[list[Json], bool]:
    result[0]["value"]["start"] += 0.12345
    result[0]["origin"] = "prediction-changed"
    return result, False


def _add(result: list[Json]) -> tuple[list[Json], bool]:
    region = copy.deepcopy(result[0])
    region.pop("score", None)
    region["value"].update(start=58.2, end=59.4567891)
    return [*result, {**region, "id": "added0000001", "origin": "manual"}], False


def _delete(result: list[Json]) -> tuple[list[Json], bool]:
    return result[1:], False


def _skip(result: list[Json]) -> tuple[list[Json], bool]:
    return result, True


def _unsure(result: list[Json]) -> tuple[list[Json], bool]:
    answer = {"id": "answer000001", "from_name": "review", "to_name": "audio", "type": "choices"}
    return [*result, {**answer, "value": {"choices": ["Not sure"]}}], False


def _uncertain(result: list[Json]) -> tuple[list[Json], bool]:
    result[0]["value"]["labels"] = ["Uncertain call"]
    return result, False


def _no_calls(result: list[Json]) -> tuple[list[Json], bool]:  # noqa: ARG001 (people delete every box)
    return [], False


def _export(demo: Demo, expected: dict[str, Boxes | None], folder: Path, steps: Steps) -> None:
    config, project = LabelConfig.load(), demo.project_id

    def write(name: str, tasks: Iterator[Json], users: dict[int, str]) -> tuple[Report, dict[str, bytes]]:
        report = EXPORTERS["podcast-json"](to_sessions(tasks, config, users), str(folder / name), WriteOptions())
        return report, {path.name: path.read_bytes() for path in sorted((folder / name).iterdir())}

    users = demo.server.users()
    with steps.step("export") as detail:
        report, live = write("live", demo.server.export(project), users)
        got = {
            name.removesuffix(".json"): [
                (box["start_s"], round(box["start_s"] + box["duration_s"], 3)) for box in json.loads(content)["annotations"]
            ]
            for name, content in live.items()
            if name.endswith(".json")
        }
        wanted = {name: boxes for name, boxes in expected.items() if boxes is not None}
        differ = sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))
        detail.update(report.counts, boxes=sum(map(len, got.values())), differ=differ, holds=not differ)
    with steps.step("export again, and from Label Studio's own file") as detail:
        export_file = folder / "export.json"
        export_file.write_text(json.dumps(list(demo.server.export(project))))
        _, again = write("again", demo.server.export(project), users)
        _, offline = write("offline", read_export(str(export_file)), users)
        detail.update(files=len(live), holds=live == again == offline)
    with steps.step("what became of the predictions") as detail:
        sessions = to_sessions(demo.server.export(project, with_predictions=True), config, users)
        rejected = Report()
        outcomes = [session.reviews[0] for session in rejected.accepted(sessions)]
        detail["deleted"] = sum(len(review.rejected) for review in outcomes)
        for review in outcomes:
            for annotation in review.annotations:
                detail[str(annotation.outcome)] = detail.get(str(annotation.outcome), 0) + 1
        detail["holds"] = not rejected.refusals and detail["moved"] == 1 and detail["added"] == 1 and detail["deleted"] >= 1
