"""Several imports into one round of a real Label Studio, at once and after one was killed; and sessions that it holds twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from demo.round import Demo
from demo.servers import ml_backend
from demo.sessions import DemoSession, plan
from labelstudio.labels import LABEL_CONFIG_PATH, LabelConfig
from labelstudio.lease import LEASE_S
from labelstudio.round_in import newest
from labelstudio.sync import Target, sync
from podcast.errors import ServiceError
from podcast.model import Detection, ModelRun, Recording, Session, SoundEvent
from podcast.report import Report
from tests.conftest import ROOT, LabelStudio, write_noise
from tests.ports import own_port

TOGETHER = 5
SESSIONS = 40

# Takes the lease, says so, and goes on holding it.
HOLD = """
import os, sys, threading
from labelstudio.client import Server
from labelstudio.lease import sole_writer
server = Server(os.environ["LABEL_STUDIO_URL"], os.environ["LABEL_STUDIO_API_KEY"])
with sole_writer(server, int(sys.argv[1]), print):
    print("held", flush=True)
    threading.Event().wait()
"""


def sessions(folder: Path, count: int = SESSIONS, **more: Any) -> Path:
    folder.mkdir()
    for number in range(count):
        box = {"start_time_s": 1.0, "duration_s": 2.45, "confidence": 0.9}
        content = {"uri": f"https://x/s{number:04d}.wav", "annotations": [box], **more}
        (folder / f"s{number:04d}.json").write_text(json.dumps(content))
    return folder


def start(studio: LabelStudio, *words: object, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, *(str(word) for word in words)]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **studio.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def podcast(studio: LabelStudio, *words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], env=studio.env)


def held(studio: LabelStudio, round_name: str) -> Counter[str]:
    """How often each session stands in the round; there must be one project of that name."""
    [project] = [row["id"] for row in studio.server.rounds() if row["title"] == round_name]
    return Counter(data["session_id"] for _, data in studio.server.tasks(project))


def make(studio: LabelStudio, name: str) -> int:
    return int(studio.server.sdk.projects.create(title=name, label_config=LABEL_CONFIG_PATH.read_text()).id)


@pytest.fixture
def holder(studio: LabelStudio, request: pytest.FixtureRequest) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A new round, and a process that may write into it and does nothing."""
    name = str(request.node.name)[:45]
    process = start(studio, "-c", HOLD, make(studio, name))
    try:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield name, process
    finally:
        process.kill()
        process.communicate()


def test_two_imports_at_once_hold_each_session_once(studio: LabelStudio, tmp_path: Path) -> None:
    source = sessions(tmp_path / "in")
    expected = Counter(path.stem for path in source.iterdir())
    waited = 0
    for time_ in range(TOGETHER):
        name = f"at once {time_}"
        # The second on "another machine" every other time: it sees no lock file of the first.
        elsewhere = tmp_path / f"tmp{time_}"
        elsewhere.mkdir()
        where = {"TMPDIR": str(elsewhere)} if time_ % 2 else {}
        words = ("-m", "cli.main", "import", source, "--round", name, "--json")
        both = [start(studio, *words), start(studio, *words, **where)]
        said = [process.communicate(timeout=240) for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        assert held(studio, name) == expected
        results = [json.loads(out) for out, _ in said]
        assert sorted((result["created"], result["unchanged"]) for result in results) == [(0, SESSIONS), (SESSIONS, 0)]
        waited += sum("waiting" in errors for _, errors in said)
        again = json.loads(podcast(studio, "import", source, "--round", name, "--json").stdout)
        assert again["unchanged"] == SESSIONS
        assert "second task" not in "".join(again["warnings"] + results[0]["warnings"] + results[1]["warnings"])
    assert waited


def test_an_import_goes_on_at_once_after_one_that_was_killed_here(
    studio: LabelStudio, holder: tuple[str, subprocess.Popen[str]], tmp_path: Path
) -> None:
    name, process = holder
    process.kill()
    process.wait()
    began = time.monotonic()
    result = podcast(studio, "import", sessions(tmp_path / "in", 3), "--round", name, "--json")
    assert (result.exit_code, json.loads(result.stdout)["created"]) == (0, 3)
    assert time.monotonic() - began < LEASE_S


def test_an_import_goes_on_within_the_lease_after_one_that_was_killed_elsewhere(
    studio: LabelStudio, holder: tuple[str, subprocess.Popen[str]], tmp_path: Path
) -> None:
    name, process = holder
    (tmp_path / "tmp").mkdir()
    words = ("-m", "cli.main", "import", sessions(tmp_path / "in", 3), "--round", name, "--json")
    other = start(studio, *words, TMPDIR=str(tmp_path / "tmp"))
    assert other.stderr
    said = other.stderr.readline()
    assert said.startswith(f"process {process.pid} on ") and said.endswith("is writing into this round: waiting …\n")
    process.kill()
    out, errors = other.communicate(timeout=3 * LEASE_S)
    assert (other.returncode, errors) == (0, "")
    assert json.loads(out)["created"] == 3


def test_one_that_was_taken_for_dead_writes_no_more(studio: LabelStudio) -> None:
    project = make(studio, "taken for dead")

    def given() -> Iterator[Session]:
        for number in range(1500):
            if number == 1200:
                # As another machine does that has not heard of this writer for long.
                [ticket] = studio.server.request("GET", f"/api/webhooks/?project={project}")
                studio.server.request("DELETE", f"/api/webhooks/{ticket['id']}/")
            yield session(f"s{number:05d}")

    with pytest.raises(ServiceError, match="another import into this round has taken over"):
        sync(target(studio, project), given())
    assert len(list(studio.server.tasks(project))) == 1000


def session(name: str, *, runs: tuple[ModelRun, ...] = ()) -> Session:
    found = tuple(Detection(SoundEvent(1.0, 2.0), "Call", 0.5, run) for run in runs)
    return Session(name, Recording(f"https://x/{name}.wav", duration_s=60.0), "s", detections=found, model_runs=runs)


def target(studio: LabelStudio, project: int) -> Target:
    return Target(studio.server, project, "r", LabelConfig.load(), lambda item: item.recording.uri)


def doubled(studio: LabelStudio, name: str, count: int) -> tuple[int, dict[str, list[int]]]:
    """A round that holds each session twice, as an earlier version left it; and the numbers of their tasks."""
    project = make(studio, name)
    sync(target(studio, project), [session(f"s{number}") for number in range(count)])
    stored = [data for _, data in studio.server.tasks(project)]
    studio.server.import_tasks(project, [{"data": data} for data in stored])
    numbers: dict[str, list[int]] = {}
    for number, data in studio.server.tasks(project):
        numbers.setdefault(data["session_id"], []).append(number)
    return project, numbers


def touch(studio: LabelStudio, project: int, numbers: dict[str, list[int]]) -> set[int]:
    """Work in six of the tasks; gives those that must stay: s0 untouched, s1 to s4 touched, s5 in both, s6 with other audio."""
    server = studio.server
    server.add_annotation(numbers["s1"][1], {"result": []})
    server.add_annotation(numbers["s2"][1], {"result": [], "was_cancelled": True})
    server.request("POST", f"/api/tasks/{numbers['s3'][1]}/drafts", {"result": [], "lead_time": 1})
    server.add_annotation(numbers["s4"][0], {"result": []})
    for number in numbers["s5"]:
        server.add_annotation(number, {"result": []})
    other = {data["session_id"]: data for _, data in server.tasks(project)}["s6"]
    server.update_task(numbers["s6"][1], {**other, "audio": "https://x/other.wav"})
    first = {numbers["s0"][0], numbers["s1"][1], numbers["s2"][1], numbers["s3"][1], numbers["s4"][0]}
    return first | {*numbers["s5"], *numbers["s6"]}


def test_an_import_removes_second_tasks_that_nobody_touched_and_names_the_others(studio: LabelStudio) -> None:
    project, numbers = doubled(studio, "doubles, imported again", 7)
    stay = touch(studio, project, numbers)
    report: Report = sync(target(studio, project), [session(f"s{number}") for number in range(8)])
    assert {number for number, data in studio.server.tasks(project) if data["session_id"] != "s7"} == stay
    assert (report.counts["created"], report.counts["unchanged"]) == (1, 5)
    assert list(report.warnings) == ["5 sessions had a second task that nobody had touched; it was removed"]
    assert [refusal.where for refusal in report.refusals] == ["session s5", "session s6"]
    assert f"as tasks {numbers['s5'][0]} and {numbers['s5'][1]}" in report.refusals[0].reason


def test_the_doctor_mends_doubles_and_nothing_else(studio: LabelStudio) -> None:
    name = "doubles for the doctor"
    project, numbers = doubled(studio, name, 7)
    stay = touch(studio, project, numbers)
    before = {number for number, _ in studio.server.tasks(project)}
    sick = podcast(studio, "doctor", "--round", name)
    assert sick.exit_code == 1 and "7 of them twice: s0, s1, s2, s3, s4" in sick.stdout and "--mend" in sick.stdout
    assert {number for number, _ in studio.server.tasks(project)} == before
    mended = json.loads(podcast(studio, "doctor", "--round", name, "--mend", "--json").stdout)
    [finding] = [row for row in mended["findings"] if row["what"] == f"round {name}: sessions"]
    assert "removed 5 second tasks that nobody had touched" in finding["detail"]
    assert finding["good"] is False and "2 of them twice: s5, s6" in finding["detail"]
    assert {number for number, _ in studio.server.tasks(project)} == stay


def test_a_typo_makes_no_project(studio: LabelStudio, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("{")
    window = ("--start", "2020-10-01 02:40:02 UTC", "--end", "2020-10-01 02:49:52 UTC", "--audio", studio.audio / "typo")
    for words in (
        (tmp_path / "nowhere.tsv",),
        (tmp_path / "nowhere", "--from", "wav-folder"),
        (tmp_path / "in",),
        ("hls://rpi_nowhere", *window, "--archive", tmp_path, "--work", tmp_path / "work"),
        ("hls://rpi_nowhere", *window, "--archive", tmp_path, "--work", tmp_path / "work", "--detector", "enregy"),
    ):
        result = podcast(studio, "import", *words, "--round", "a typo")
        assert result.exit_code in (1, 2), result.output
        assert studio.server.find_project("a typo") is None, words


def test_the_maintainer_s_choice_of_predictions_stays(studio: LabelStudio, tmp_path: Path) -> None:
    name = "whose predictions"

    def bring(version: str) -> str:
        source = sessions(tmp_path / version.replace(":", "_"), 2, model_guid=version)
        assert podcast(studio, "import", source, "--round", name).exit_code == 0
        project = studio.server.find_project(name)
        assert project
        return str(project["model_version"])

    assert bring("m-v9") == "m-v9"
    assert bring("m-v10") == "m-v9"
    project = studio.server.find_project(name)
    assert project
    studio.server.sdk.projects.update(project["id"], model_version="m-v10")
    assert bring("zebra") == "m-v10"
    # Predictions that are gone are nobody's choice any more.
    for prediction in list(studio.server.predictions(project["id"])):
        if prediction["model_version"] == "m-v10":
            studio.server.delete_prediction(prediction["id"])
    assert bring("antelope") == "antelope"


def test_an_ml_backend_s_title_is_a_choice_too(studio: LabelStudio, ml_backend_url: str, tmp_path: Path) -> None:
    project = make(studio, "asks its backend")
    studio.server.ensure_ml_backend(project, ml_backend_url)
    assert studio.server.project(project)["model_version"] == "Orca calls"
    assert podcast(studio, "import", sessions(tmp_path / "in", 2), "--round", "asks its backend").exit_code == 0
    assert studio.server.project(project)["model_version"] == "Orca calls"


def test_the_newest_run() -> None:
    runs = {ModelRun("energy", "9"): 5, ModelRun("energy", "10"): 2, ModelRun("other", "99"): 6}
    assert newest(runs) == ModelRun("energy", "10")
    assert newest({ModelRun("b"): 1, ModelRun("a", "2024-01"): 2, ModelRun("a", ""): 2}) == ModelRun("a", "2024-01")


@pytest.mark.parametrize(("truth", "node"), [(plan()[:1], "rpi_orcasound_lab"), ([], "")])
def test_the_demo_names_no_hydrophone_for_other_people_s_recordings(
    studio: LabelStudio, truth: list[DemoSession], node: str
) -> None:
    name = f"demo of {len(truth)}"
    write_noise(studio.audio / name / "mine.wav", 2.0)
    demo = Demo(studio.server, studio.account, [], "", studio.document_root, studio.audio / name, truth, name)
    demo.import_sessions()
    [(_, data)] = studio.server.tasks(demo.project_id)
    assert data["source_guid"] == node


def test_the_demo_knows_the_login_that_its_ml_backend_asks_for(
    studio: LabelStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, port = "demo with a login", own_port()
    write_noise(studio.audio / name / "mine.wav", 2.0)
    demo = Demo(
        studio.server, studio.account, [], f"http://127.0.0.1:{port}", studio.document_root, studio.audio / name, [], name
    )
    for password in ("", "first", "second"):  # as .env says it, from one start of the demo to the next
        monkeypatch.setenv("ML_BASIC_AUTH_USER", "ann" if password else "")
        monkeypatch.setenv("ML_BASIC_AUTH_PASSWORD", password)
        with ml_backend(tmp_path, port, studio.url, studio.document_root, studio.account):
            demo.fill()
            [backend] = studio.server.ml_backends(demo.project_id)
            assert studio.server.is_connected(backend["id"])
            [prediction] = studio.server.predictions(demo.project_id)
            studio.server.delete_prediction(prediction["id"])
