"""The ML backend: its views in process, then under a real gunicorn with several workers."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from flask.testing import FlaskClient

from cli.servers import task_audio
from demo.sessions import SAMPLE_RATE, plan, render
from labelstudio.checks import validate_result
from labelstudio.client import Server
from labelstudio.labels import LABEL_CONFIG_PATH, LabelConfig
from ml_backend.app import create_app
from ml_backend.cache import DetectionCache, Heard
from ml_backend.serving import load_service, serving
from podcast import audio
from podcast.errors import InputError, PodcastError, StorageError
from podcast.model import Detection, ModelRun, SoundEvent
from podcast.settings import Settings
from podcast.storage import guard
from tests.conftest import ROOT, TIMEOUT_S, LabelStudio, write_noise

CONFIG = LABEL_CONFIG_PATH.read_text()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document root with one synthetic minute with calls, and one without."""
    root = tmp_path_factory.mktemp("root")
    samples = render(plan()[0], 0).astype(np.float32)[:, None]
    audio.write_wav(str(root / "audio" / "calls.wav"), samples, SAMPLE_RATE)
    write_noise(root / "audio" / "noise.wav", 10.0)
    (root / "audio" / "broken.wav").write_bytes(b"no audio")
    (root.parent / "outside.wav").write_bytes((root / "audio" / "noise.wav").read_bytes())
    return root


@pytest.fixture
def client(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The application in this process, with a cache of its own."""
    for name in list(os.environ):
        if name.startswith(("ML_", "LABEL_STUDIO_", "PROMETHEUS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", str(root))
    serving.cache_clear()
    yield create_app().test_client()
    serving.cache_clear()


def task(name: str, number: int = 1, **data: Any) -> dict[str, Any]:
    return {"id": number, "data": {"audio": f"/data/local-files/?d=audio/{name}.wav", **data}}


def predict(client: FlaskClient, *tasks: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post("/predict", json={"tasks": tasks, "label_config": CONFIG, "params": {}})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.get_json()["results"]
    return results


def test_one_model_version_everywhere(client: FlaskClient) -> None:
    versions = {
        client.get("/health").get_json()["model_version"],
        client.post("/setup", json={"project": "1.1", "schema": CONFIG}).get_json()["model_version"],
        client.get("/versions").get_json()["versions"][0],
        client.post("/versions", json={}).get_json()["versions"][0],
        predict(client, task("noise"))[0]["model_version"],
    }
    assert len(versions) == 1


def test_boxes_lie_on_the_calls_and_pass_the_page_s_rules(client: FlaskClient) -> None:
    (answer,) = predict(client, task("calls"))
    validate_result(answer["result"], 60.0, LabelConfig.load(), "answer")
    for event in plan()[0].truth:
        assert any(box["value"]["start"] < event.end_s and box["value"]["end"] > event.start_s for box in answer["result"]), event
    assert answer["score"] == max(box["score"] for box in answer["result"])


def test_a_task_without_an_answer_has_no_result_and_disturbs_no_other(client: FlaskClient) -> None:
    answers = predict(client, task("broken"), task("noise"), task("nowhere"), task("calls"), {"id": 9})
    assert ["result" in answer for answer in answers] == [False, True, False, True, False]
    # An empty result would tell Label Studio that the detector listened and heard nothing.
    assert "not readable as audio" in answers[0]["error"]
    assert "there is no such file" in answers[2]["error"]


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=../outside.wav",
        "/data/local-files/?d=audio/../../outside.wav",
        "/data/local-files/?d=/etc/passwd",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://x/a.wav",
    ],
)
def test_nothing_outside_the_document_root_is_read(client: FlaskClient, address: str) -> None:
    (answer,) = predict(client, {"id": 1, "data": {"audio": address}})
    assert "result" not in answer
    assert any(words in answer["error"] for words in ("document root", "addresses of this kind"))


def test_a_link_out_of_the_document_root_is_not_followed(client: FlaskClient, root: Path) -> None:
    link = root / "audio" / "link.wav"
    link.symlink_to(root.parent / "outside.wav")
    try:
        assert "lies outside" in predict(client, task("link"))[0]["error"]
    finally:
        link.unlink()


def test_audio_that_is_not_the_round_s_is_refused(client: FlaskClient) -> None:
    assert "sha256 differs" in predict(client, task("noise", sha256="0" * 64))[0]["error"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/predict", b"{", "body: not JSON"),
        ("/predict", b"[]", "must be a JSON object"),
        ("/predict", b"{}", "tasks: expected a list of tasks"),
        ("/predict", b'{"tasks": [3]}', "tasks: expected a list of tasks"),
        ("/predict", b'{"tasks": []}', "label_config: expected"),
        ("/predict", b'{"tasks": [], "label_config": "<View/>"}', "a <Audio> is missing"),
        ("/setup", b'{"schema": "<View><Audio name=\\"a\\" value=\\"$a\\"/></View>"}', "a <Labels> is missing"),
    ],
)
def test_bad_requests_are_told_what_was_expected(client: FlaskClient, path: str, body: bytes, words: str) -> None:
    answer = client.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert words in answer.get_json()["error"]


def test_login(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_BASIC_AUTH_USER", "studio")
    monkeypatch.setenv("ML_BASIC_AUTH_PASSWORD", "päss")
    guarded = create_app().test_client()
    assert guarded.get("/health").status_code == 200
    assert guarded.post("/webhook", json={"action": "ANNOTATION_CREATED"}).status_code == 200
    assert guarded.post("/setup", json={}).status_code == 401
    for pair, status in (("studio:päss", 200), ("studio:wrong", 401), ("other:päss", 401)):
        header = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        assert guarded.post("/setup", json={}, headers=header).status_code == status
    assert client.post("/setup", json={}).status_code == 200


def test_a_request_out_of_time_goes_on_from_the_cache(
    client: FlaskClient, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = load_service()
    tasks = [task("noise" if number % 2 else "calls", number) for number in range(9)]
    hurried = replace(service, budget_s=0.0)
    config = LabelConfig.load()
    answers = hurried.predict(tasks, config)
    assert ["result" in answer for answer in answers] == [False] * 9
    assert "retrieve predictions again" in answers[0]["error"]
    complete = service.predict(tasks, config)
    assert all("result" in answer for answer in complete)
    monkeypatch.setattr(type(service.detector), "detect", lambda *_: pytest.fail("the cache was not used"))
    assert service.predict(tasks, config) == complete


class TestWebAudio:
    @pytest.fixture
    def address(self, root: Path) -> Iterator[str]:
        """A web server with the test audio, on this machine: a private host."""
        handler = partial(SimpleHTTPRequestHandler, directory=str(root))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/audio/noise.wav"
            server.shutdown()

    def test_private_hosts_are_refused(self, address: str) -> None:
        with pytest.raises(InputError, match="not a public host"):
            task_audio(Settings()).open(address)

    def test_public_hosts_are_read_within_limits(self, address: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # No public host can be reached from here; the guard is taken away instead.
        monkeypatch.setattr(guard, "is_public", lambda _: True)
        with task_audio(Settings()).open(address) as file:
            assert file.read() == (root / "audio" / "noise.wav").read_bytes()
        with pytest.raises(StorageError, match="larger than the 1000 bytes"):
            replace(task_audio(Settings()), max_bytes=1000).open(address)
        with pytest.raises(StorageError, match="404"):
            task_audio(Settings()).open(address + "x")


class TestCache:
    RUN = ModelRun("energy", "1")
    BOXES = (Detection(SoundEvent(1, 2, 500, 900), "Call", 0.123456789, RUN), Detection(SoundEvent(3, 4), "Call", 1.0, RUN))
    FOUND, NOTHING = Heard(60.0, BOXES), Heard(1.5, ())

    def test_what_is_put_comes_back_for_this_audio_and_version_alone(self, tmp_path: Path) -> None:
        cache = DetectionCache(tmp_path, 10)
        cache.put("a", self.RUN, self.FOUND)
        cache.put("b", self.RUN, self.NOTHING)
        assert cache.get("a", self.RUN) == self.FOUND
        assert cache.get("b", self.RUN) == self.NOTHING
        assert cache.get("a", ModelRun("energy", "2")) is None

    def test_it_is_bounded_and_the_oldest_go(self, tmp_path: Path) -> None:
        cache = DetectionCache(tmp_path, 3)
        for number in range(10):
            cache.put(str(number), self.RUN, self.NOTHING)
        assert [number for number in range(10) if cache.get(str(number), self.RUN) is not None] == [7, 8, 9]

    def test_several_processes_write_at_once(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "tests.cache_writer", str(tmp_path)]
        writers = [subprocess.Popen([*command, str(part)]) for part in range(4)]
        assert [writer.wait(TIMEOUT_S) for writer in writers] == [0] * 4
        cache = DetectionCache(tmp_path, 1000)
        assert all(cache.get(f"{part}-{number}", self.RUN) == self.NOTHING for part in range(4) for number in range(50))

    def test_a_damaged_cache_is_passed_by(self, tmp_path: Path) -> None:
        (tmp_path / "detections.sqlite3").write_bytes(b"not a database" * 1000)
        cache = DetectionCache(tmp_path, 10)
        cache.put("a", self.RUN, self.NOTHING)
        assert cache.get("a", self.RUN) is None


def print_gunicorn_config(folder: Path, dot_env: str) -> subprocess.CompletedProcess[str]:
    """What gunicorn makes of a `.env` in its folder."""
    (folder / ".env").write_text(dot_env)
    env = {name: value for name, value in os.environ.items() if not name.startswith("ML_")} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:ml_backend.gunicorn_conf", "--print-config"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_gunicorn_serves_as_dot_env_says(tmp_path: Path) -> None:
    told = print_gunicorn_config(tmp_path, "ML_HOST=127.0.0.2\nML_PORT=9191\nML_WORKERS=3\nML_THREADS=7\n")
    lines = {line.partition("=")[0].strip(): line.partition("=")[2].strip() for line in told.stdout.splitlines()}
    assert (lines["bind"], lines["workers"], lines["threads"]) == ("['127.0.0.2:9191']", "3", "7"), told.stderr


@pytest.mark.parametrize("line", ["ML_WORKERS=many", "ML_WORKERS=0", "ML_THREADS=-1", "ML_PORT=70000"])
def test_a_wrong_setting_of_gunicorn_is_one_line(tmp_path: Path, line: str) -> None:
    told = print_gunicorn_config(tmp_path, line)
    assert told.returncode == 1
    [words] = told.stderr.splitlines()
    assert words.startswith(f"error: a setting is wrong: {line.partition('=')[0]}: ")


class TestUnderGunicorn:
    def test_every_worker_answers_before_and_without_setup(self, studio: LabelStudio, ml_backend_url: str) -> None:
        write_noise(studio.audio / "gunicorn.wav", 5.0)
        body = {"tasks": [task("gunicorn", 5)], "label_config": CONFIG, "project": "1.1"}

        def ask(number: int) -> tuple[int, str]:
            if number % 3 == 0:
                answer = httpx.post(f"{ml_backend_url}/setup", json={"project": "1.1", "schema": CONFIG}, timeout=TIMEOUT_S)
                return answer.status_code, answer.json()["model_version"]
            answer = httpx.post(f"{ml_backend_url}/predict", json=body, timeout=TIMEOUT_S)
            return answer.status_code, answer.json()["results"][0]["model_version"]

        with ThreadPoolExecutor(8) as pool:
            answers = set(pool.map(ask, range(60)))
        assert len(answers) == 1 and {status for status, _ in answers} == {200}

    def test_a_killed_worker_is_replaced(self, ml_backend_url: str) -> None:
        port = int(ml_backend_url.rsplit(":", 1)[1])
        victims = [pid for pid in _processes() if f"ML_PORT={port}" in _environment(pid) and _parent(pid) != os.getpid()]
        assert victims
        os.kill(victims[0], signal.SIGKILL)
        for _ in range(20):
            assert httpx.get(f"{ml_backend_url}/health", timeout=TIMEOUT_S).status_code == 200

    def test_metrics_are_summed_over_workers(self, ml_backend_url: str) -> None:
        def requests() -> float:
            lines = httpx.get(f"{ml_backend_url}/metrics", timeout=TIMEOUT_S).text.splitlines()
            return sum(
                float(line.split()[-1])
                for line in lines
                if line.startswith('podcast_ml_requests_total{status="200",view="health"')
            )

        before = requests()
        for _ in range(20):
            httpx.get(f"{ml_backend_url}/health", timeout=TIMEOUT_S)
        assert requests() - before == 20

    def test_label_studio_retrieves_each_prediction_once(self, studio: LabelStudio, ml_backend_url: str) -> None:
        server = studio.server
        write_noise(studio.audio / "retrieve.wav", 5.0)
        project = server.sdk.projects.create(title="retrieve", label_config=CONFIG).id
        server.import_tasks(
            project, [task("retrieve", session_id=str(number)) for number in range(5)] + [task("gone", session_id="x")]
        )
        server.ensure_ml_backend(project, ml_backend_url)
        for _ in range(3):
            server.retrieve_predictions(project)
        stored = list(server.predictions(project))
        assert len(stored) == 5  # one each, and none for the session whose audio is gone
        assert {item["model_version"] for item in stored} == {
            httpx.get(f"{ml_backend_url}/health", timeout=TIMEOUT_S).json()["model_version"]
        }

    def test_uploads_are_read_through_label_studio(self, studio: LabelStudio, ml_backend_url: str) -> None:
        server: Server = studio.server
        path = write_noise(studio.audio / "upload.wav", 5.0)
        project = server.sdk.projects.create(title="upload", label_config=CONFIG).id
        headers = {"Authorization": f"Token {studio.account.token}"}
        with path.open("rb") as file:
            answer = httpx.post(
                f"{studio.url}/api/projects/{project}/import", files={"file": ("u.wav", file)}, headers=headers, timeout=TIMEOUT_S
            )
        assert answer.status_code == 201, answer.text
        ((number, data),) = server.tasks(project)
        assert str(data["audio"]).startswith("/data/upload/")
        body = {"tasks": [{"id": number, "data": data}], "label_config": CONFIG}
        (result,) = httpx.post(f"{ml_backend_url}/predict", json=body, timeout=TIMEOUT_S).json()["results"]
        assert result["result"] == [], json.dumps(result)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_missing_key_is_told() -> None:
    with pytest.raises(PodcastError, match="LABEL_STUDIO_API_KEY"):
        Server("http://127.0.0.1:1", "")
