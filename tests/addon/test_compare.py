"""A third look: answers side by side, and the one that is right, in real Chromium, with `podcast verify` around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import chdir
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, expect

from cli.main import cli
from labelstudio.round_out import Round
from podcast.model import Session
from podcast.reviews import consensus
from tests.addon.conftest import Volunteer, token_of
from tests.browser import launched
from tests.conftest import LabelStudio
from tests.test_people import write_sessions

WAIT_MS = 60_000
NAME = "third look"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched(WAIT_MS) as browser:
        yield browser


def podcast(studio: LabelStudio, *words: str) -> dict[str, Any]:
    with chdir(studio.folder):
        result = CliRunner().invoke(cli, [*words, "--json"], env=studio.env)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def drawn(start: float, end: float, **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "channel": 0, "labels": ["Call"]}
    return {
        "id": f"b{start}",
        "type": "labels",
        "from_name": "label",
        "to_name": "audio",
        "original_length": 1.0,
        "value": value,
        **more,
    }


@pytest.fixture
def round_of_two(studio: LabelStudio, volunteers: Callable[[], Volunteer]) -> tuple[int, list[int], tuple[Volunteer, Volunteer]]:
    """Three sessions, all for two people, who agree on the first alone; the model has a box in each, from 0.25 to 0.75 s."""
    folder = write_sessions(studio.audio / "third", 3)
    command = ("import", str(folder), "--round", NAME, "--from", "podcast-json", "--page-audio", "original")
    project = podcast(studio, *command, "--second", "1")["project"]
    tasks = [number for number, _ in studio.server.tasks(project)]
    ann, ben = volunteers(), volunteers()
    note = {"id": "n", "from_name": "session_note", "to_name": "audio", "type": "textarea", "value": {"text": ["<i>rain</i>"]}}
    said: dict[Volunteer, list[list[dict[str, Any]]]] = {
        ann: [[drawn(0.3, 0.7)], [drawn(0.3, 0.7), note], []],
        ben: [[drawn(0.2, 0.6)], [], []],
    }
    for volunteer, answers in said.items():
        for task, answer in zip(tasks, answers, strict=True):
            assert volunteer.submit(task, result=answer).status_code == 201
    return project, tasks, (ann, ben)


@pytest.mark.timeout(400)
def test_the_coordinator_decides_and_the_decision_is_the_truth(
    studio: LabelStudio, chromium: Browser, round_of_two: tuple[int, list[int], tuple[Volunteer, Volunteer]]
) -> None:
    project, (_, apart, _), (ann, ben) = round_of_two
    ids = dict(studio.server.tasks(project))
    told = podcast(studio, "verify", "--round", NAME, "--sample", "0")
    [found] = told["picks"]
    assert (found["session_id"], found["reason"], found["answers"]) == (ids[apart]["session_id"], "people disagree", 2)
    assert found["address"] == f"{studio.url}/rounds/{project}/compare/{apart}/"
    assert (told["answered"], told["picked"], told["decided"]) == (3, 1, 0)
    assert {number for number, data in studio.server.tasks(project) if "look_again" in data} == {apart}
    assert "look_again" not in ann.http.get(f"/api/tasks/{apart}/").json()["data"]
    for address in (f"/rounds/{project}/compare/", f"/rounds/{project}/compare/{apart}/"):
        assert ann.http.get(address).status_code == ann.http.post(address).status_code == 403

    with httpx.Client(base_url=studio.url, follow_redirects=True, timeout=60) as http:
        form = {"email": studio.account.email, "password": studio.account.password}
        token = token_of(http.get("/user/login/").text)
        http.post("/user/login/", data={**form, "csrfmiddlewaretoken": token}, headers={"Referer": studio.url})
        assert "Compare answers</a> (1 to decide)" in http.get("/rounds/").text
        assert http.post(f"/rounds/{project}/compare/{apart}/", data={"annotation": "1"}).status_code == 403  # a forged request
        context = chromium.new_context(viewport={"width": 1280, "height": 720})
        context.add_cookies([{"name": name, "value": value, "url": studio.url} for name, value in http.cookies.items()])
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{studio.url}/rounds/{project}/compare/")
    expect(page.locator("table.compared tr")).to_have_count(4)
    page.get_by_role("link", name=ids[apart]["session_id"]).click()
    expect(page.locator(".lane:not(.model) .name")).to_have_text([ann.email, ben.email])
    expect(page.locator(".lane.model .track button")).to_have_count(1)
    expect(page.locator(".lane").nth(0).locator("q")).to_have_text(["<i>rain</i>"])
    boxes = page.locator(".lane").nth(0).locator(".track button")
    expect(boxes).to_have_count(1)
    track, box = (item.bounding_box() for item in (page.locator(".track").first, boxes.first))
    assert track and box
    assert (box["x"] - track["x"]) / track["width"] == pytest.approx(0.3, abs=0.01)
    assert box["width"] / track["width"] == pytest.approx(0.4, abs=0.01)
    boxes.first.click()
    page.wait_for_function(
        "() => { const audio = document.querySelector('audio'); return audio.paused && audio.currentTime >= 0.7; }"
    )
    assert page.evaluate("() => document.querySelector('audio').currentTime") < 0.95
    page.locator(".lane").nth(1).get_by_role("button", name="This one is right").click()
    page.wait_for_url(f"**/rounds/{project}/compare/")  # nothing else waits
    expect(page.locator("table.compared tr").nth(3)).to_contain_text("yes")
    context.close()

    decided = {item.id: item for item in Round.find(studio.server, NAME).submitted() if isinstance(item, Session)}
    truth = decided[ids[apart]["session_id"]]
    assert {review.annotator: review.ground_truth for review in truth.reviews} == {ann.email: False, ben.email: True}
    assert consensus(truth).reviewers == (ben.email,)
    again = podcast(studio, "verify", "--round", NAME, "--sample", "0")
    assert (again["picks"], again["decided"]) == ([], 1)
    assert not any("look_again" in data for _, data in studio.server.tasks(project))
    assert [row["name"] for row in again["agreement"] if row["annotators"]] and again["certainty"]["certain"]["alone"] == 1
