"""What a volunteer's account can do, tried on every address that Label Studio has."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.addon.addresses import MAY, answered, listed
from tests.addon.conftest import Volunteer
from tests.conftest import LabelStudio, write_noise

PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return listed(tmp_path_factory.mktemp("routes"))


@pytest.fixture(params=["cookie", "token"])
def asks(request: pytest.FixtureRequest, studio: LabelStudio, volunteers: Callable[[], Volunteer]) -> Iterator[httpx.Client]:
    """A volunteer's browser, and a volunteer's program with the account's own token."""
    volunteer = volunteers()
    headers = {}
    if request.param == "token":
        with sqlite3.connect(studio.folder / "label_studio.sqlite3") as database:
            [key] = database.execute("SELECT key FROM authtoken_token WHERE user_id = ?", [volunteer.id]).fetchone()
        headers["Authorization"] = f"Token {key}"
    with httpx.Client(
        base_url=studio.url, headers=headers, cookies=None if headers else volunteer.http.cookies, timeout=60
    ) as http:
        yield http


@pytest.fixture(scope="module")
def work(studio: LabelStudio, new_round: Callable[[int], int], volunteers: Callable[[], Volunteer]) -> dict[str, int]:
    """Somebody's work in a round, which nobody can change: numbers of the round, the session, the annotation and the draft."""
    project, somebody = new_round(2), volunteers()
    task = somebody.next_session(project)["id"]
    answer = somebody.submit(
        task,
        result=[
            {"id": "n", "from_name": "session_note", "to_name": "audio", "type": "textarea", "value": {"text": ["a secret"]}}
        ],
    )
    draft = somebody.http.post(f"/api/tasks/{task}/drafts", json={"result": [], "lead_time": 1})
    assert (answer.status_code, draft.status_code) == (201, 201)
    return {"project": project, "task": task, "annotation": answer.json()["id"], "draft": draft.json()["id"]}


@pytest.mark.timeout(600)
def test_of_every_address_only_the_listed_ones_answer(
    addresses: dict[str, list[str]], asks: httpx.Client, work: dict[str, int]
) -> None:
    got = answered(addresses["schema" if "Authorization" in asks.headers else "all"], asks, work)
    assert got.keys() <= MAY, {one: code for one, code in got.items() if one not in MAY}
    assert ("GET", "/api/tasks/#/") in got


def test_deleting_a_round_is_refused_by_page_and_api(studio: LabelStudio, asks: httpx.Client, work: dict[str, int]) -> None:
    project = work["project"]
    answer = asks.delete(f"/api/projects/{project}/")
    assert answer.status_code == 403
    assert answer.json()["detail"] == "This is for the maintainers of this server. Your account listens, answers and skips."
    page = asks.get(f"/projects/{project}/settings/danger-zone", headers=PAGE)
    assert page.status_code == 403
    assert "for the maintainers of this server" in page.text and "/rounds/" in page.text
    answer = asks.post(
        f"/api/dm/actions?id=delete_tasks&project={project}", json={"selectedItems": {"all": True, "excluded": []}}
    )
    assert answer.status_code == 403
    both = asks.post(f"/api/dm/actions?id=next_task&id=delete_tasks&project={project}", json={"selectedItems": {"all": True}})
    assert both.status_code == 403
    assert studio.server.project(project)["task_number"] == 2


def test_other_peoples_work_is_neither_shown_nor_changed(asks: httpx.Client, work: dict[str, int]) -> None:
    for path in (f"annotations/{work['annotation']}/", f"drafts/{work['draft']}/"):
        for method in ("GET", "PATCH", "DELETE"):
            assert asks.request(method, f"/api/{path}", json={"result": []} if method == "PATCH" else None).status_code == 403
    told = asks.get(f"/api/tasks/{work['task']}/")
    assert told.status_code == 200 and told.json()["annotations"] == [] and "secret" not in told.text
    assert asks.get(f"/api/tasks/{work['task']}/annotations/").status_code == 403
    assert asks.get(f"/api/tasks/{work['task']}/drafts").status_code == 403
    listed = asks.get(f"/api/tasks?project={work['project']}&fields=all")
    assert listed.json()["tasks"] == [] and "secret" not in listed.text
    assert [item["email"] for item in asks.get("/api/users").json()] == [asks.get("/api/current-user/whoami").json()["email"]]


@pytest.mark.parametrize("field", [{"completed_by": 1}, {"ground_truth": True}, {"task": 1}])
def test_an_answer_is_the_accounts_own(asks: httpx.Client, work: dict[str, int], field: dict[str, Any]) -> None:
    answer = asks.post(f"/api/tasks/{work['task']}/annotations/", json={"result": [], **field})
    assert answer.status_code == 403
    assert answer.json()["detail"] == f"Only a maintainer may set {next(iter(field))}."


def test_a_body_that_two_readers_read_differently_is_refused(asks: httpx.Client, work: dict[str, int]) -> None:
    address, text = (
        f"/api/tasks/{work['task']}/annotations/",
        '{"result": [], "lead_time": "+ACI-, +ACI-completed_by+ACI-: +ACI-1"}',
    )
    sent = asks.post(address, content=text, headers={"Content-Type": "application/json; charset=utf-7"})
    assert sent.status_code == 403
    assert asks.post(address, data={"result": "[]", "completed_by": "1"}).status_code == 403


def test_a_volunteer_answers_drafts_skips_and_mends_an_answer(
    studio: LabelStudio, volunteers: Callable[[], Volunteer], new_round: Callable[[int], int]
) -> None:
    project, volunteer = new_round(2), volunteers()
    first = volunteer.next_session(project)["id"]
    draft = volunteer.http.post(f"/api/tasks/{first}/drafts", json={"result": [], "lead_time": 1}).json()["id"]
    assert volunteer.http.patch(f"/api/drafts/{draft}/", json={"result": [], "lead_time": 2}).status_code == 200
    answer = volunteer.submit(first, draft_id=draft)
    assert answer.status_code == 201
    number = answer.json()["id"]
    assert volunteer.http.patch(f"/api/annotations/{number}/", json={"result": [], "lead_time": 30.0}).status_code == 200
    assert [item["id"] for item in volunteer.http.get(f"/api/tasks/{first}/").json()["annotations"]] == [number]
    second = volunteer.next_session(project)["id"]
    assert volunteer.submit(second, was_cancelled=True).status_code == 201
    stored = {task["id"]: task["annotations"][0] for task in studio.server.export(project)}
    assert {stored[first]["completed_by"], stored[second]["completed_by"]} == {volunteer.id}
    assert (stored[first]["lead_time"], stored[second]["was_cancelled"]) == (30.0, True)


def test_without_an_account_one_is_asked_to_log_in(studio: LabelStudio, work: dict[str, int]) -> None:
    with httpx.Client(base_url=studio.url) as http:
        assert http.get(f"/api/tasks/{work['task']}/").status_code == 401
        assert http.delete(f"/api/projects/{work['project']}/").status_code == 401
        assert http.get("/rounds/").headers["Location"] == "/user/login/?next=/rounds/"
        assert http.get("/people/", headers=PAGE).headers["Location"] == "/user/login/?next=/rounds/"
        assert http.delete(f"/api/projects/{work['project']}/", headers={"Authorization": "Token 0"}).status_code == 401


def test_maintainers_are_those_who_are_named(
    studio: LabelStudio,
    volunteers: Callable[[], Volunteer],
    new_round: Callable[[int], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project, named = new_round(1), volunteers()
    monkeypatch.setenv("PODCAST_MAINTAINERS", f"somebody@example.org, {named.email}")
    other = studio.copied(tmp_path)
    other.start()
    try:
        with httpx.Client(base_url=other.url, cookies=dict(named.http.cookies), timeout=60) as http:
            assert http.delete(f"/api/projects/{project}/").status_code == 204
        first = {"Authorization": f"Token {studio.account.token}"}
        assert httpx.get(f"{other.url}/api/projects/", headers=first, timeout=60).status_code == 403
    finally:
        other.stop()


def test_a_file_is_a_sound_or_bytes_and_never_a_page(
    studio: LabelStudio, asks: httpx.Client, new_round: Callable[[int], int]
) -> None:
    new_round(1)
    write_noise(studio.audio / "sound.wav", 0.5)
    for name in ("page.html", "script.js", "drawing.svg"):
        (studio.audio / name).write_text("<script>alert(1)</script>")
        answer = asks.get(f"/data/local-files/?d=audio/{name}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/octet-stream")
        assert answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    sound = asks.get("/data/local-files/?d=audio/sound.wav", headers={"Range": "bytes=0-3"})
    assert (sound.status_code, sound.content, sound.headers["Content-Type"].split("/")[0]) == (206, b"RIFF", "audio")
    assert "Content-Disposition" not in sound.headers
    assert "immutable" not in sound.headers.get("Cache-Control", "")


def test_a_browser_may_keep_a_listening_copy(studio: LabelStudio, asks: httpx.Client, new_round: Callable[[int], int]) -> None:
    new_round(1)
    for name, kept in ((f"listening/{'0a' * 32}-1.flac", True), ("listening/mine.flac", False), (f"{'0a' * 32}-1.flac", False)):
        (studio.audio / name).parent.mkdir(exist_ok=True)
        (studio.audio / name).write_bytes(b"fLaC")
        answer = asks.get(f"/data/local-files/?d=audio/{name}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/flac")
        assert ("immutable" in answer.headers.get("Cache-Control", "")) is kept
