"""The loop through the command line against a real Label Studio, undisturbed and disturbed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from labelstudio.client import Server
from labelstudio.cloud import audio_problem
from labelstudio.labels import LABEL_CONFIG_PATH, LabelConfig
from labelstudio.sync import Target, sync
from podcast.model import Recording, Session
from tests.cloud.proxy import Fault, Hold, proxy
from tests.conftest import TIMEOUT_S, LabelStudio, write_noise
from tests.ports import own_port

# The boxes of the real load file `example-load.json`, and the same to the millisecond.
REAL_BOXES = [(24.499999999999996, 0.649), (39.2, 0.689), (53.90000000000002, 0.868), (56.35000000000002, 0.888)]
EXPECTED = [(24.5, 2.45), (39.2, 2.45), (53.9, 2.45), (56.35, 2.45)]
NAME = "OS_9_27_2017_08_25_00__0001"
PICTURES = '<View><Image name="i" value="$i"/><Choices name="c" toName="i"><Choice value="Whale"/></Choices></View>'

Podcast = Callable[..., Result]


@pytest.fixture
def podcast(studio: LabelStudio) -> Podcast:
    """Runs a `podcast` command with the settings of the test's Label Studio."""

    def run(*words: object, **env: str) -> Result:
        return CliRunner().invoke(cli, [str(word) for word in words], env={**studio.env, **env})

    return run


@pytest.fixture
def round_name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:45]


def load_file(folder: Path, name: str = NAME, boxes: list[tuple[float, float]] | None = None, **more: Any) -> Path:
    content = {
        "uri": f"https://podcaststorage.blob.core.windows.net/orcasoundlabchunked/{name}.wav",
        "absolute_time": "OS_9_27_2017_08_25_00_",
        "source_guid": "rpi_orcasound_lab",
        "annotations": [
            {"start_time_s": start, "duration_s": 2.45, "confidence": confidence}
            for start, confidence in (REAL_BOXES if boxes is None else boxes)
        ],
        "backend_state": {"written": 99, "remaining": 13},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def counts(result: Result) -> tuple[int, int, int, int]:
    found = json.loads(result.stdout)
    return found["created"], found["updated"], found["unchanged"], found["refused"]


def project_of(studio: LabelStudio, round_name: str) -> int:
    project = studio.server.find_project(round_name)
    assert project
    return int(project["id"])


def submit_unchanged(server: Server, project: int) -> None:
    for prediction in server.predictions(project):
        answer = {"result": prediction["result"], "parent_prediction": prediction["id"], "was_cancelled": False, "lead_time": 5}
        server.add_annotation(prediction["task"], answer)


def test_the_real_load_file_comes_back_to_the_millisecond(
    podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path
) -> None:
    folder = studio.audio / round_name
    write_noise(folder / f"{NAME}.wav")
    source = load_file(tmp_path)
    assert counts(podcast("import", source, "--round", round_name, "--audio", folder, "--json")) == (1, 0, 0, 0)
    project = project_of(studio, round_name)
    submit_unchanged(studio.server, project)
    result = podcast("export", "--round", round_name, "--to", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / f"{NAME}.json").read_text())
    assert [(box["start_s"], box["duration_s"]) for box in written["annotations"]] == EXPECTED
    assert list(written) == ["uri", "absolute_time", "source_guid", "annotations"]
    assert written["uri"].startswith("https://podcaststorage.blob.core.windows.net/")
    # The page can play it: Label Studio serves ranges of the file.
    ((_, data),) = studio.server.tasks(project)
    assert audio_problem(studio.server, project, data["audio"]) == ""


def test_the_second_run_writes_nothing(podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path) -> None:
    for number in range(3):
        load_file(tmp_path / "in", f"OS_9_27_2017_08_25_00__000{number}")
    rounds = tmp_path / "rounds.yaml"
    rounds.write_text("round_info:\n  default: {text: Listen well.}\n")
    command = ("import", tmp_path / "in", "--round", round_name, "--rounds-file", rounds, "--json")
    assert counts(podcast(*command)) == (3, 0, 0, 0)
    project = project_of(studio, round_name)
    before = _everything(studio, project)
    assert counts(podcast(*command)) == (0, 0, 3, 0)
    assert _everything(studio, project) == before
    assert studio.server.project(project)["description"] == "Listen well."


def _everything(studio: LabelStudio, project: int) -> str:
    tasks = list(studio.server.sdk.tasks.list(project=project, fields="all"))
    predictions = [{**item, "created_ago": ""} for item in studio.server.predictions(project)]
    settled = [{key: value for key, value in task.dict().items() if key != "predictions"} for task in tasks]
    return json.dumps([settled, predictions], default=str, sort_keys=True)


def test_better_predictions_replace_those_of_their_version_and_no_annotation(
    podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path
) -> None:
    def run(boxes: list[tuple[float, float]], version: str) -> tuple[int, int, int, int]:
        source = load_file(tmp_path, boxes=boxes, model_guid=version)
        return counts(podcast("import", source, "--round", round_name, "--json"))

    assert run([(1.0, 0.5)], "FastAI") == (1, 0, 0, 0)
    project = project_of(studio, round_name)
    submit_unchanged(studio.server, project)
    (task_id,) = [number for number, _ in studio.server.tasks(project)]
    annotation = studio.server.annotations(task_id)[0]
    assert run([(2.0, 0.6), (5.0, 0.7)], "FastAI") == (0, 1, 0, 0)
    assert run([(9.0, 0.9)], "VGGish") == (0, 1, 0, 0)
    assert run([(9.0, 0.9)], "VGGish") == (0, 0, 1, 0)
    stored = {
        item["model_version"]: [region["value"]["start"] for region in item["result"]]
        for item in studio.server.predictions(project)
    }
    assert stored == {"FastAI": [2.0, 5.0], "VGGish": [9.0]}
    after = studio.server.annotations(task_id)
    assert [item["result"] for item in after] == [annotation["result"]]
    assert after[0]["updated_at"] == annotation["updated_at"]
    # Two predictions of one version, as a backend's wrong version leaves them, become one.
    extra = next(item for item in studio.server.predictions(project) if item["model_version"] == "VGGish")
    copy = {key: extra[key] for key in ("task", "result", "score", "model_version")}
    studio.server.import_predictions(project, [copy])
    assert run([(9.0, 0.9)], "VGGish") == (0, 1, 0, 0)
    assert len(list(studio.server.predictions(project))) == 2
    # The page of a new session that has the second model's boxes alone would be empty, and say so to nobody.
    source = load_file(tmp_path / "more", "OS_9_27_2017_08_25_00__0002", [(3.0, 0.5)], model_guid="VGGish")
    added = podcast("import", source, "--round", round_name, "--json")
    [warning] = [words for words in json.loads(added.stdout)["warnings"] if "shows" in words]
    assert warning.startswith("the round shows the boxes of FastAI, which the new sessions do not have")


def test_a_round_of_before_plays_copies_after_its_next_import(
    podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path
) -> None:
    folder = studio.audio / round_name
    write_noise(folder / f"{NAME}.wav")
    command = ("import", load_file(tmp_path), "--round", round_name, "--audio", folder, "--json")
    assert counts(podcast(*command, "--page-audio", "original")) == (1, 0, 0, 0)  # as every import of before
    assert not (folder / "listening").exists()
    project = project_of(studio, round_name)
    submit_unchanged(studio.server, project)
    [(task_id, before)] = studio.server.tasks(project)
    [annotation] = studio.server.annotations(task_id)

    updated = podcast(*command)
    assert counts(updated) == (0, 1, 0, 0) and json.loads(updated.stdout)["copies_made"] == 1
    [copy] = (folder / "listening").iterdir()
    [(number, after)] = studio.server.tasks(project)
    address = f"/data/local-files/?d=audio/{round_name}/listening/{copy.name}"
    changed = {"audio": address, "recording": before["audio"], "signature": after["signature"]}
    assert (number, after) == (task_id, {**before, **changed})
    assert audio_problem(studio.server, project, address) == ""
    [same] = studio.server.annotations(task_id)
    assert (same["result"], same["updated_at"]) == (annotation["result"], annotation["updated_at"])
    unchanged = podcast(*command)
    assert counts(unchanged) == (0, 0, 1, 0) and json.loads(unchanged.stdout)["copies_made"] == 0

    copy.unlink()
    sick = podcast("doctor", "--round", round_name)
    assert sick.exit_code == 1 and "listening copies: 1, 1 of them gone" in sick.stdout
    assert counts(podcast(*command)) == (0, 0, 1, 0)
    assert podcast("doctor", "--round", round_name).exit_code == 0
    assert counts(podcast(*command, "--page-audio", "original")) == (0, 1, 0, 0)
    assert list(studio.server.tasks(project)) == [(task_id, before)]


def test_no_copy_is_written_through_a_link_out_of_the_document_root(
    podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path
) -> None:
    folder, outside = studio.audio / round_name, tmp_path / "outside"
    write_noise(folder / "a.wav", 2.0)
    outside.mkdir()
    (folder / "listening").symlink_to(outside)
    result = podcast("import", folder, "--round", round_name, "--json")
    assert counts(result) == (1, 0, 0, 0) and json.loads(result.stdout)["not_copied"] == 1
    assert "must lie in a folder below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT" in json.loads(result.stdout)["warnings"][0]
    assert list(outside.iterdir()) == []
    [(_, data)] = studio.server.tasks(project_of(studio, round_name))
    assert data["audio"].endswith("/a.wav") and "recording" not in data


def test_other_audio_of_the_same_name_is_refused(podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path) -> None:
    folder = studio.audio / round_name
    write_noise(folder / f"{NAME}.wav", seed=1)
    command = ("import", load_file(tmp_path), "--round", round_name, "--audio", folder, "--json")
    assert counts(podcast(*command)) == (1, 0, 0, 0)
    write_noise(folder / f"{NAME}.wav", seed=2)
    result = podcast(*command)
    assert (counts(result), result.exit_code) == ((0, 0, 0, 1), 2)
    assert "sha256 differs" in result.stdout


def test_a_damaged_wav_is_refused_and_the_mended_one_comes_in_later(
    podcast: Podcast, studio: LabelStudio, round_name: str
) -> None:
    folder = studio.audio / round_name
    write_noise(folder / "good.wav", 2.0)
    (folder / "bad.wav").write_bytes(b"RIFFxxxx")
    result = podcast("import", folder, "--round", round_name)
    assert result.exit_code == 2
    assert "1 created, 0 updated, 0 unchanged, 1 refused" in result.stdout
    assert "bad.wav" in result.stderr and "not readable as audio" in result.stderr
    write_noise(folder / "bad.wav", 2.0)
    assert counts(podcast("import", folder, "--round", round_name, "--json")) == (1, 0, 1, 0)


def test_submitted_files_become_annotations_once_and_never_over_a_person_s(
    podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path
) -> None:
    load_file(tmp_path / "PREDICTIONS")
    submitted = {**json.loads(load_file(tmp_path / "ANNOTATIONS").read_text()), "annotations": [{"start_s": 3, "duration_s": 1}]}
    del submitted["backend_state"]
    path = tmp_path / "ANNOTATIONS" / f"{NAME}.json"
    path.write_text(json.dumps(submitted))
    assert counts(podcast("import", tmp_path / "PREDICTIONS", "--round", round_name, "--json")) == (1, 0, 0, 0)
    annotations = ("import", tmp_path / "ANNOTATIONS", "--round", round_name, "--json")
    assert counts(podcast(*annotations)) == (0, 1, 0, 0)
    assert counts(podcast(*annotations)) == (0, 0, 1, 0)
    path.write_text(json.dumps({**submitted, "annotations": []}))
    result = podcast(*annotations)
    assert (counts(result), result.exit_code) == ((0, 0, 0, 1), 2)
    podcast("export", "--round", round_name, "--to", tmp_path / "out")
    assert json.loads((tmp_path / "out" / f"{NAME}.json").read_text())["annotations"] == [{"start_s": 3.0, "duration_s": 1.0}]


def test_the_task_file_and_the_import_make_the_same_tasks(
    podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path
) -> None:
    folder = studio.audio / round_name
    write_noise(folder / f"{NAME}.wav")
    source = load_file(tmp_path)
    assert podcast("tasks", source, "--round", round_name, "--audio", folder, "-o", tmp_path / "t.json").exit_code == 0
    project = studio.server.sdk.projects.create(title=round_name, label_config=LABEL_CONFIG_PATH.read_text()).id
    studio.server.import_tasks(project, json.loads((tmp_path / "t.json").read_text()))
    assert counts(podcast("import", source, "--round", round_name, "--audio", folder, "--json")) == (0, 0, 1, 0)


def test_export_states_annotators_and_files(podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path) -> None:
    for number in range(4):
        load_file(tmp_path / "in", f"OS_9_27_2017_08_25_00__000{number}")
    podcast("import", tmp_path / "in", "--round", round_name)
    project, server = project_of(studio, round_name), studio.server
    calls, empty, skipped, _ = [number for number, _ in server.tasks(project)]
    (prediction,) = [item for item in server.predictions(project) if item["task"] == calls]
    server.add_annotation(calls, {"result": prediction["result"], "parent_prediction": prediction["id"]})
    server.add_annotation(empty, {"result": []})
    server.add_annotation(skipped, {"result": prediction["result"], "was_cancelled": True})
    result = podcast("export", "--round", round_name, "--to", tmp_path / "live", "--annotator", studio.account.email, "--json")
    found = json.loads(result.stdout)
    assert {key: found[key] for key in ("written", "no_calls", "other_sounds", "skipped", "unsure", "unreviewed", "refused")} == {
        "written": 2, "no_calls": 1, "other_sounds": 0, "skipped": 1, "unsure": 0, "unreviewed": 1, "refused": 0,
    }  # fmt: skip
    (tmp_path / "export.json").write_text(json.dumps(list(server.export(project))))
    # Offline: no server at this address, no key.
    offline = {"LABEL_STUDIO_URL": "http://127.0.0.1:1", "LABEL_STUDIO_API_KEY": ""}
    assert podcast("export", "--file", tmp_path / "export.json", "--to", tmp_path / "offline", **offline).exit_code == 0
    # The manifest tells whose submissions were asked for, which is not the same here.
    contents = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.name != "export.jsonl"}
        for name in ("live", "offline")
    ]
    assert contents[0] == contents[1]
    assert sorted(contents[0]) == [f"OS_9_27_2017_08_25_00__000{number}.json" for number in range(2)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "begins with '['"),
        ("{}", "begins with '['"),
        ("[3]", "a list of tasks, but found int"),
        ('[{"id": 3', "not Label Studio's"),
    ],
)
def test_a_file_that_is_no_export(podcast: Podcast, tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "export.json"
    path.write_text(content)
    result = podcast("export", "--file", path, "--to", tmp_path / "out")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr and str(path) in result.stderr


def test_rounds_and_doctor(podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path) -> None:
    folder = studio.audio / round_name
    write_noise(folder / f"{NAME}.wav")
    podcast("import", load_file(tmp_path), "--round", round_name, "--audio", folder)
    project = project_of(studio, round_name)
    submit_unchanged(studio.server, project)
    pictures = studio.server.sdk.projects.create(title="Pictures", label_config=PICTURES).id  # no round of ours
    rows = {row["round"]: row for row in json.loads(podcast("rounds", "--json").stdout)["rounds"]}
    studio.server.sdk.projects.delete(pictures)
    row = rows[round_name]
    assert (row["sessions"], row["reviewed"], row["predictions"]) == (1, 1, 1)
    (row,) = [row for row in json.loads(podcast("rounds", "--edits", "--json").stdout)["rounds"] if row["round"] == round_name]
    [model] = row["edits"]["models"]
    assert (model["kept"], model["moved"], model["deleted"], model["added"], model["minutes"]) == (len(REAL_BOXES), 0, 0, 0, 1.0)
    nothing = dict.fromkeys(("unknown", "not_loaded", "heard_in_part", "refused"), 0)
    assert row["heard"] == {"answers": 1, "open_too_short": 1, "faster_than_sound": 1} | nothing
    assert rows["Pictures"]["heard"] is None
    [line] = [line for line in podcast("rounds", COLUMNS="80").stdout.splitlines() if round_name in line]
    left, faster, address = [cell.strip() for cell in line.strip("│┃ ").split("│")][-3:]
    assert (left, faster, address) == ("0", "1", f"{studio.url}/projects/{project}")
    result = podcast("doctor", "--round", round_name, "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (0, True)
    # Another tool makes a second set of tasks; an old backend leaves predictions without a version.
    ((number, data),) = studio.server.tasks(project)
    studio.server.import_tasks(project, [{"data": data}])
    studio.server.sdk.predictions.create(task=number, result=[])
    shutil.rmtree(folder)
    result = podcast("doctor", "--round", round_name)
    assert result.exit_code == 1
    for what, address in (("audio", data["audio"]), ("recordings", data["recording"])):
        assert f"MEND  round {round_name}: {what}: {address} a ranged request is answered with 404" in result.stdout
    assert f"1 of them twice: {NAME}" in result.stdout and "undefined: 1" in result.stdout
    result = podcast("import", load_file(tmp_path), "--round", round_name)
    assert result.exit_code == 0 and "1 sessions had a second task that nobody had touched; it was removed" in result.stderr
    assert [task for task, _ in studio.server.tasks(project)] == [number]


class TestFaults:
    def test_label_studio_away(self, podcast: Podcast, tmp_path: Path) -> None:
        result = podcast("import", load_file(tmp_path), "--round", "r", LABEL_STUDIO_URL=f"http://127.0.0.1:{own_port()}")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "does not answer" in result.stderr and "is it running?" in result.stderr

    def test_a_wrong_key_and_no_key(self, podcast: Podcast) -> None:
        for key, words in (("0" * 40, "refuses the key"), ("", "LABEL_STUDIO_API_KEY")):
            result = podcast("rounds", LABEL_STUDIO_API_KEY=key)
            assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
            assert words in result.stderr

    def test_unknown_rounds_and_projects(self, podcast: Podcast, tmp_path: Path) -> None:
        result = podcast("export", "--round", "nowhere", "--to", tmp_path)
        assert result.exit_code == 2 and "no round 'nowhere'" in result.stderr
        result = podcast("import", load_file(tmp_path), "--round", "x" * 51)
        assert result.exit_code == 2 and "names of 3 to 50 letters" in result.stderr
        result = podcast("import", load_file(tmp_path), "--round", "r", "--project", "99999")
        assert result.exit_code == 2 and "no project 99999" in result.stderr

    def test_the_ml_backend_away(
        self, podcast: Podcast, studio: LabelStudio, ml_backend_url: str, round_name: str, tmp_path: Path
    ) -> None:
        source = load_file(tmp_path)
        result = podcast("import", source, "--round", round_name, ML_BACKEND_URL=f"http://127.0.0.1:{own_port()}")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "the sessions are in Label Studio, but not the ML backend" in result.stderr
        result = podcast("import", source, "--round", round_name, "--json", ML_BACKEND_URL=ml_backend_url)
        assert (counts(result), result.exit_code) == ((0, 0, 1, 0), 0)
        assert [item["url"] for item in studio.server.ml_backends(project_of(studio, round_name))] == [ml_backend_url]

    def test_a_connection_cut_after_the_server_took_the_tasks(self, studio: LabelStudio, round_name: str) -> None:
        project = studio.server.sdk.projects.create(title=round_name, label_config=LABEL_CONFIG_PATH.read_text()).id
        with proxy(studio.url) as between:
            between.faults.append(Fault(method="POST", path="/import", cut=0))
            report = sync(_target(Server(between.url, studio.account.token), project), _sessions(50))
        assert not between.faults
        assert report.counts["created"] == 50
        assert sorted(data["session_id"] for _, data in studio.server.tasks(project)) == [f"s{n:05d}" for n in range(50)]

    def test_label_studio_restarting_in_the_middle(
        self, studio: LabelStudio, round_name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("labelstudio.sync.PATIENCE_S", 600.0)  # a busy machine starts it slowly
        project = studio.server.sdk.projects.create(title=round_name, label_config=LABEL_CONFIG_PATH.read_text()).id
        halfway, away = threading.Event(), threading.Event()

        def sessions() -> Iterator[Session]:
            for number, session in enumerate(_sessions(1500)):
                if number == 1200:
                    halfway.set()
                    assert away.wait(TIMEOUT_S)
                yield session

        with ThreadPoolExecutor(1) as pool:
            importing = pool.submit(sync, _target(studio.server, project), sessions())
            assert halfway.wait(TIMEOUT_S)
            studio.stop()
            away.set()
            studio.start()
            report = importing.result()
        assert report.counts["created"] == 1500
        names = [data["session_id"] for _, data in studio.server.tasks(project)]
        assert (len(names), len(set(names))) == (1500, 1500)

    def test_ctrl_c_in_the_middle_and_again(self, podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path) -> None:
        for number in range(1500):
            load_file(tmp_path / "in", f"s{number:05d}", boxes=[(1.0, 0.5)])
        words = [sys.executable, "-m", "cli.main", "import", str(tmp_path / "in"), "--round", round_name]
        first, second = Fault(method="POST", path="/import"), Fault(503, method="POST", path="/import", hold=Hold())
        assert second.hold
        with proxy(studio.url) as between:
            between.faults += [first, second]
            process = subprocess.Popen(
                words,
                env={**os.environ, **studio.env, "LABEL_STUDIO_URL": between.url},
                stderr=subprocess.PIPE,
                text=True,
                # A test run in the background ignores SIGINT, and its children would too.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            try:
                assert second.hold.reached.wait(TIMEOUT_S)
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=TIMEOUT_S)
            finally:
                second.hold.release.set()
                process.kill()
        assert process.returncode == 130 and "run the same command again" in errors
        # The first thousand had arrived.
        assert counts(podcast("import", tmp_path / "in", "--round", round_name, "--json")) == (500, 0, 1000, 0)
        names = [data["session_id"] for _, data in studio.server.tasks(project_of(studio, round_name))]
        assert (len(names), len(set(names))) == (1500, 1500)

    def test_a_full_disk_on_export(self, podcast: Podcast, studio: LabelStudio, round_name: str, tmp_path: Path) -> None:
        podcast("import", load_file(tmp_path), "--round", round_name)
        project = project_of(studio, round_name)
        submit_unchanged(studio.server, project)
        fewer = list(studio.server.export(project))
        whole = json.loads(json.dumps(fewer))
        regions = whole[0]["annotations"][0]["result"]
        regions += [
            {**regions[-1], "id": f"more{number}", "value": {**regions[-1]["value"], "start": float(number), "end": number + 0.5}}
            for number in range(20)
        ]
        file, out = tmp_path / "export.json", tmp_path / "out"
        words = [sys.executable, "-m", "cli.main", "export", "--file", str(file), "--to", str(out)]
        file.write_text(json.dumps(fewer))
        assert subprocess.run(words, check=False).returncode == 0
        earlier = {path.name: path.read_bytes() for path in out.iterdir()}
        file.write_text(json.dumps(whole))
        # A limit on the size of files stands for a full disk: the write fails in the middle in the same way.
        for limit, full in ((200, "export.jsonl"), (800, f"{NAME}.json")):
            result = subprocess.run(
                words, capture_output=True, text=True, check=False,
                preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)),
            )  # fmt: skip
            assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
            assert f"{full}: cannot be written" in result.stderr
            left = {path.name: path.read_bytes() for path in out.iterdir()}
            assert left == earlier | ({"export.jsonl": left["export.jsonl"]} if full != "export.jsonl" else {})
        assert subprocess.run(words, check=False).returncode == 0
        written = json.loads((out / f"{NAME}.json").read_text())["annotations"]
        assert len(written) == len(json.loads(earlier[f"{NAME}.json"])["annotations"]) + 20


def _sessions(count: int) -> Iterator[Session]:
    for number in range(count):
        yield Session(f"s{number:05d}", Recording(f"https://x/s{number:05d}.wav", duration_s=60.0), "s")


def _target(server: Server, project: int) -> Target:
    return Target(server, project, "r", LabelConfig.load(), lambda session: session.recording.uri)
