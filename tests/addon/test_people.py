"""What a volunteer's account can do, tried on every address that Label Studio has."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.install import find_label_studio
from tests.addon.conftest import Volunteer
from tests.conftest import LabelStudio, write_noise

# Run in Label Studio's environment: every address of its own table, and of its API schema, as one JSON object.
ADDRESSES = """
import json, logging
from label_studio import server
server._setup_env()
logging.disable()
from django.urls import URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

def walk(resolver, before=""):
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern).removeprefix("^")
        if isinstance(entry, URLResolver):
            yield from walk(entry, route)
        else:
            yield route

schema = SchemaGenerator().get_schema(request=None, public=True)
print(json.dumps({"resolver": sorted(set(walk(get_resolver()))), "schema": sorted(schema["paths"])}))
"""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PAGE = {"Accept": "text/html,application/xhtml+xml"}

# What a volunteer may ask for, written here once more on purpose: the address with its numbers as `#`.
MAY = {
    ("GET", "/"),
    ("GET", "/rounds/"),
    ("GET", "/rounds/#/"),
    ("GET", "/rounds/health"),
    ("GET", "/health/"),
    ("GET", "version/"),
    ("GET", "/user/login/"),
    ("POST", "/user/login/"),
    ("GET", "/user/signup/"),
    ("POST", "/user/signup/"),
    ("POST", "/api/token/refresh/"),
    ("GET", "/projects/"),
    ("GET", "/projects/#/"),
    ("GET", "/projects/#/data/"),
    ("GET", "/api/current-user/whoami"),
    ("GET", "/api/projects/#/"),
    ("GET", "/api/projects/#/label-stream-history/"),
    ("GET", "/api/dm/columns/"),
    ("GET", "/api/dm/project/"),
    ("GET", "/api/dm/views/"),
    ("GET", "/api/label_links/"),
    ("GET", "/api/ml/"),
    ("GET", "/api/users/"),
    ("GET", "/api/tasks/"),
    ("GET", "/api/tasks/#/"),
    ("POST", "/api/tasks/#/annotations/"),
    ("POST", "/api/tasks/#/drafts"),
    ("GET", "/data/local-files/"),
    ("GET", "/data/upload/x"),
    ("GET", "/data/upload/#"),
    ("GET", "/tasks/#/resolve/"),
    ("GET", "/tasks/#/presign/"),
}
VERSION = "version/"  # Label Studio's pattern for the page that tells its version matches anywhere in an address

# Files of the pages, which are there for everybody.
# Logging out is allowed, and would end the test.
LEFT_OUT = ("/logout", "/static/", "/react-app/", "/label-studio-frontend/", "/dm/", "/favicon.ico", "/sw.js", "/sw-fallback.js")


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Every address of Label Studio's table, and of its API schema, with `#` for each part that varies."""
    env = {
        "DJANGO_SETTINGS_MODULE": "label_studio.core.settings.label_studio",
        "LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path_factory.mktemp("routes")),
        "SENTRY_DSN": "",
    }
    found = find_label_studio()
    assert found
    python = found.with_name("python")
    done = subprocess.run([python, "-c", ADDRESSES], env={**os.environ, **env}, capture_output=True, text=True, check=True)
    listed = json.loads(done.stdout.splitlines()[-1])
    assert len(listed["schema"]) > 100 and len(listed["resolver"]) > 200
    schema = {re.sub(r"\{\w+\}", "#", path) for path in listed["schema"]}
    return {"schema": sorted(schema), "all": sorted(schema | {_plain(route) for route in listed["resolver"]})}


def _plain(route: str) -> str:
    """An address out of Django's pattern: `api/tasks/<int:pk>/` and `users/(?P<pk>[^/.]+)/$` alike."""
    route = re.sub(r"<path:\w+>", "x", route)
    route = re.sub(r"<\w+:?\w*>", "#", re.sub(r"\(\?P<\w+>\.\*\)", "x", re.sub(r"\(\?P<\w+>\[[^]]*\]\+\)", "#", route)))
    return "/" + route.replace("\\.", ".").replace("/?$", "/").replace("/?", "/").replace("\\Z", "").replace("$", "").replace(
        "^", ""
    )


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


@pytest.fixture
def work(studio: LabelStudio, new_round: Callable[[int], int], volunteers: Callable[[], Volunteer]) -> dict[str, int]:
    """Somebody's work in a round: numbers of the round, the session and the annotation."""
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
    listed = addresses["schema" if "Authorization" in asks.headers else "all"]
    asked = [(method, address) for address in listed if not address.startswith(LEFT_OUT) for method in METHODS]

    def status(method: str, address: str) -> int:
        number = work["annotation"] if "annotations/#" in address else work["task"] if "task" in address else work["project"]
        return asks.request(method, address.replace("#", str(number)), json=None if method == "GET" else {}).status_code

    with ThreadPoolExecutor(8) as pool:  # most of each is waiting
        statuses = list(pool.map(lambda one: status(*one), asked))
    answered = {
        (method, VERSION if VERSION in address else address): code
        for (method, address), code in zip(asked, statuses, strict=True)
        if code not in (403, 404)
    }
    assert answered.keys() <= MAY, {one: code for one, code in answered.items() if one not in MAY}
    assert ("GET", "/api/tasks/#/") in answered


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
    other = LabelStudio(tmp_path)
    shutil.copytree(studio.folder, other.folder)  # a fresh database would take half a minute
    other.account = studio.account
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
