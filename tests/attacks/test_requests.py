"""Hostile tasks and bodies at the ML backend: an error for the task, a 400 for the request, and everybody else is answered."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from labelstudio.labels import LABEL_CONFIG_PATH, LabelConfig
from labelstudio.signed import FIELD, signature, signing_key
from labelstudio.tasks import to_task
from ml_backend.serving import load_service
from podcast import audio, settings
from podcast.errors import InputError
from podcast.model import Recording, Session
from tests.attacks.conftest import KEY

CONFIG = LABEL_CONFIG_PATH.read_text()
NOISE = "/data/local-files/?d=audio/noise.wav"
CALLS = "/data/local-files/?d=audio/calls.wav"


def post(client: FlaskClient, body: str, path: str = "/predict") -> tuple[int, Any]:
    """Status and JSON of an answer, read as strictly as other programs read it."""
    answer = client.post(path, data=body.encode(), content_type="application/json")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return answer.status_code, json.loads(answer.data, parse_constant=refuse)


def predict(client: FlaskClient, *tasks: Any) -> list[dict[str, Any]]:
    status, answer = post(client, json.dumps({"tasks": tasks, "label_config": CONFIG, "project": "1.1795360795"}))
    assert status == 200, answer
    return list(answer["results"])


@pytest.mark.parametrize(
    "data",
    [
        5,
        None,
        [],
        "text",
        {},
        {"audio": None},
        {"audio": ["a"]},
        {"audio": "/data/local-files/?d=audio/\0.wav"},
        {"audio": "/data/local-files/?d=audio/%00.wav"},
        {"audio": "/data/local-files/?d=" + "a" * 5000},
        {"audio": "/data/local-files/?d=audio/" + "a" * 300},
        {"audio": "http://[::1"},
        {"audio": "https://[::1]:99999/"},
        {"audio": "s3://bucket/a.wav"},
        {"audio": "azure-blob://container/a.wav"},
        {"audio": "s3://"},
        {"audio": "\ud800"},
        {"audio": NOISE, "sha256": "\ud800"},
        {"audio": NOISE, "sha256": [1]},
        {"audio": NOISE, "sha256": "0" * 64, FIELD: 7},
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_a_hostile_task_gets_an_error_and_others_their_answers(client: FlaskClient, data: Any) -> None:
    before, hostile, after = predict(
        client, {"id": 1, "data": {"audio": NOISE}}, {"id": 2, "data": data}, {"id": 3, "data": {"audio": NOISE}}
    )
    assert before["result"] == after["result"] == []
    assert "result" not in hostile
    assert hostile["error"]


@pytest.mark.parametrize("length", ['"text"', '"nan"', '"inf"', "-1", "NaN", "Infinity", "-Infinity", "1e400", "[]", "true"])
def test_the_real_length_counts_whatever_the_task_says(client: FlaskClient, length: str) -> None:
    (expected,) = predict(client, {"id": 1, "data": {"audio": CALLS, "session_id": "s"}})
    task = f'{{"id": 1, "data": {{"audio": "{CALLS}", "session_id": "s", "duration_s": {length}}}}}'
    status, answer = post(client, f'{{"tasks": [{task}], "label_config": {json.dumps(CONFIG)}}}')
    assert (status, answer["results"]) == (200, [expected])
    assert {box["original_length"] for box in expected["result"]} == {60.0}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/predict", "[" * 100_000, "nested too deeply"),
        ("/predict", '{"tasks": ' + '{"a":' * 100_000, "nested too deeply"),
        ("/predict", '{"tasks": [{"id": ' + "9" * 5000 + "}]}", "not JSON"),
        ("/predict", '{"tasks": {}}', "tasks: expected a list"),
        ("/predict", '{"tasks": [], "label_config": 5}', "label_config: expected"),
        ("/predict", '{"tasks": [], "label_config": CONFIG, "params": [1]}', "params: expected an object"),
        ("/predict", '{"tasks": [], "label_config": CONFIG, "project": [1]}', "project: expected"),
        ("/predict", '{"tasks": [], "label_config": CONFIG, "project": "x"}', "project: expected"),
        ("/predict", '{"tasks": [], "label_config": "<"}', "label_config"),
        ("/predict", '{"tasks": [], "label_config": "<View/>"}', "label_config"),
        ("/predict", '{"tasks": [], "label_config": "\\ud800"}', "label_config"),
        ("/predict", '{"tasks": [], "label_config": LONG}', "label_config: longer than"),
        ("/setup", '{"schema": 5}', "schema: expected"),
        ("/setup", '{"schema": "\\u0000"}', "label_config"),
        ("/setup", "\ufeff", "body"),
        ("/setup", "", "body"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_hostile_body_is_told_what_is_wrong(client: FlaskClient, path: str, body: str, words: str) -> None:
    status, answer = post(client, body.replace("CONFIG", json.dumps(CONFIG)).replace("LONG", json.dumps("<" * 2**20 + "<")), path)
    assert status == 400
    assert words in answer["error"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('certainty="uncertain"', 'certainty="perhaps"', "certainty is 'perhaps'"),
        ('reviewState="no_calls"', 'reviewState="nothing"', "reviewState is 'nothing'"),
        ('<Audio name="audio"', "<Audio", "a <Audio> has no name"),
        ("<View", '<?xml version="1.0" encoding="no-such"?><View', "not XML"),
    ],
)
def test_a_broken_configuration_is_told_by_name(client: FlaskClient, old: str, new: str, words: str) -> None:
    assert old in CONFIG
    status, answer = post(client, json.dumps({"tasks": [], "label_config": CONFIG.replace(old, new, 1)}))
    assert status == 400
    assert words in answer["error"]


def test_versions_take_any_body_and_the_webhook_any_object(client: FlaskClient) -> None:
    assert post(client, "[" * 100_000, "/versions")[0] == 200
    assert post(client, "[" * 100_000, "/webhook")[0] == 400
    for action in ('"ANNOTATION_CREATED"', "null", "[5]", "{}"):
        assert post(client, f'{{"action": {action}, "project": 5}}', "/webhook") == (200, {"status": "ok"})


def test_other_errors_are_json_too(client: FlaskClient) -> None:
    client.application.config["MAX_CONTENT_LENGTH"] = 1000
    status, answer = post(client, " " * 1001)
    assert status == 413
    assert "error" in answer
    assert "error" in client.get("/nowhere").get_json()


@pytest.mark.parametrize(
    "row", ['{"duration_s": 10.0, "box', "", "5", "[]", '{"duration_s": NaN, "boxes": []}', '{"duration_s": 1, "boxes": [[1]]}']
)
def test_a_damaged_row_of_the_cache_is_made_anew(client: FlaskClient, row: str) -> None:
    (expected,) = predict(client, {"id": 1, "data": {"audio": CALLS}})
    path = Path(".podcast/cache/detections.sqlite3")
    for _ in range(2):
        with sqlite3.connect(path) as database:
            assert database.execute("UPDATE entry SET value = ?", (row,)).rowcount == 1
        assert predict(client, {"id": 1, "data": {"audio": CALLS}}) == [expected]
        with sqlite3.connect(path) as database:
            [(written,)] = database.execute("SELECT value FROM entry").fetchall()
        assert json.loads(written)["duration_s"] == 60.0


def digests(root: Path) -> dict[str, str]:
    found = {}
    for name in ("calls", "noise"):
        with (root / "audio" / f"{name}.wav").open("rb") as file:
            found[name] = audio.sha256(file)
    return found


def test_a_known_hash_does_not_answer_for_other_audio(client: FlaskClient, root: Path) -> None:
    known = digests(root)
    (boxes,) = predict(client, {"id": 1, "data": {"audio": CALLS}})
    assert boxes["result"]
    signed = {"audio": CALLS, "session_id": "s", "sha256": known["calls"], "duration_s": 60.0}
    copied = signature(signed, "audio", signing_key(KEY))
    for stolen in (
        {"audio": NOISE, "sha256": known["calls"], "duration_s": 10.0},
        {**signed, "audio": NOISE, FIELD: copied},
        {"audio": NOISE, "sha256": known["calls"], FIELD: "0" * 64},
    ):
        assert "sha256 differs" in predict(client, {"id": 1, "data": stolen})[0]["error"]
    assert predict(client, {"id": 1, "data": {"audio": NOISE, "sha256": known["noise"]}})[0]["result"] == []


def test_a_known_hash_does_not_answer_for_another_recording_behind_a_copy(client: FlaskClient, root: Path) -> None:
    known = digests(root)
    key, copy = signing_key(KEY), "/data/local-files/?d=audio/listening/gone.flac"
    assert predict(client, {"id": 1, "data": {"audio": CALLS}})[0]["result"]
    signed = {"audio": copy, "recording": CALLS, "session_id": "s", "sha256": known["calls"], "duration_s": 60.0}
    assert predict(client, {"id": 1, "data": signed})[0]["result"]  # heard is the recording: the copy is not even there
    plain = {**signed, "audio": CALLS, "recording": ""}
    for data, by in (({**signed, "recording": NOISE}, signed), ({**plain, "recording": NOISE}, plain)):
        assert "sha256 differs" in predict(client, {"id": 1, "data": {**data, FIELD: signature(by, "audio", key)}})[0]["error"]
    # Where the recording's address is taken away, what is left is the copy's, which is not believed to be the recording.
    bare = {name: value for name, value in signed.items() if name != "recording"}
    [answer] = predict(client, {"id": 1, "data": {**bare, FIELD: signature(signed, "audio", key)}})
    assert "there is no such file" in answer["error"]


@pytest.mark.parametrize(
    "address", ["/etc/passwd", "file:///etc/passwd", "/data/local-files/?d=../outside.wav", "s3://bucket/a.wav", 7, ["a"]]
)
def test_a_recording_behind_a_copy_is_opened_through_the_same_door(client: FlaskClient, address: object) -> None:
    [answer] = predict(client, {"id": 1, "data": {"audio": CALLS, "recording": address}})
    assert "result" not in answer and answer["error"]
    assert predict(client, {"id": 1, "data": {"audio": CALLS, "recording": ""}})[0]["result"]


def test_a_task_that_the_import_signed_is_answered_without_its_audio(
    client: FlaskClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session("s", Recording("u", duration_s=60.0, sha256=digests(root)["calls"]), round="r")
    task = {"id": 1, **to_task(session, CALLS, LabelConfig.load(), signing_key(KEY))}
    (first,) = predict(client, task)
    assert first["result"]
    monkeypatch.setattr(type(load_service().audio), "open", lambda *_: pytest.fail("the audio was opened"))
    assert predict(client, task) == [first]


def test_a_task_file_made_without_a_key_carries_no_signature() -> None:
    session = Session("s", Recording("u", duration_s=60.0, sha256="0" * 64), round="r")
    assert FIELD not in to_task(session, CALLS, LabelConfig.load())["data"]


def test_a_password_without_a_user_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ML_BASIC_AUTH_USER", raising=False)
    monkeypatch.setenv("ML_BASIC_AUTH_PASSWORD", "only a password")
    with pytest.raises(InputError, match="set both ML_BASIC_AUTH_USER and ML_BASIC_AUTH_PASSWORD"):
        settings.load_settings()


def test_a_blind_session_gets_no_boxes_before_its_answer_whatever_is_made_of_its_task(client: FlaskClient, root: Path) -> None:
    session = Session("s", Recording("u", duration_s=60.0, sha256=digests(root)["calls"]), round="r", blind=True)
    task = {"id": 1, **to_task(session, CALLS, LabelConfig.load(), signing_key(KEY))}
    data = task["data"]
    taken_away = {key: value for key, value in data.items() if key != "blind"}
    for told in (data, taken_away, {**data, "blind": False}, {**data, "blind": 1}):
        [answer] = predict(client, {**task, "data": told, "is_labeled": False})
        assert "result" not in answer and "without boxes" in answer["error"]
    assert "result" not in predict(client, {**task, "is_labeled": "true"})[0]
    assert predict(client, {**task, "is_labeled": True})[0]["result"]
