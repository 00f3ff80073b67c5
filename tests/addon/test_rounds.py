"""The rounds page, as volunteers and maintainers get it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from cli.main import cli
from podcast.jobs import Job, Queue
from tests.addon.conftest import Volunteer, token_of
from tests.conftest import ROOT, LabelStudio

CARD = 'Calls & <b>splashing</b> in "Haro Strait".\n\nMore: http://example.org/a?b=1&c=2.\n\nOrcasound Lab: https://live.orcasound.net/x'


@pytest.fixture
def described(studio: LabelStudio, new_round: Callable[[int], int]) -> int:
    project = new_round(4)
    studio.server.sdk.projects.update(project, description=CARD)
    return project


def section(page: str, project: int) -> str:
    """The part of the page that is about one round."""
    [found] = [part for part in page.split("<section") if f"/projects/{project}/data/?labeling=1" in part]
    return found


def plain(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


@contextmanager
def as_maintainer(studio: LabelStudio) -> Iterator[httpx.Client]:
    """A client that has logged in by the form, with the first account."""
    with httpx.Client(base_url=studio.url, follow_redirects=True, timeout=60) as http:
        form = http.get("/user/login/").text
        account = {"email": studio.account.email, "password": studio.account.password, "csrfmiddlewaretoken": token_of(form)}
        assert http.post("/user/login/", data=account, headers={"Referer": studio.url}).url.path == "/rounds/"
        yield http


def test_people_land_on_the_rounds(studio: LabelStudio, volunteers: Callable[[], Volunteer]) -> None:
    http = volunteers().http
    assert http.get("/").url.path == "/rounds/"
    assert http.get("/projects/").url.path == "/rounds/"


def test_a_card_is_shown_in_full_and_runs_nothing(volunteers: Callable[[], Volunteer], described: int) -> None:
    shown = section(volunteers().http.get("/rounds/").text, described)
    assert "<b>" not in shown
    assert 'Calls & <b>splashing</b> in "Haro Strait".' in plain(shown).replace("\n", " ")
    links = re.findall(r'<a href="([^"]+)" rel="noopener noreferrer" target="_blank">([^<]+)</a>', shown)
    assert links == [
        ("http://example.org/a?b=1&amp;c=2", "http://example.org/a?b=1&amp;c=2"),
        ("https://live.orcasound.net/x", "Orcasound Lab"),
    ]


def test_progress_is_the_rounds_and_ones_own(volunteers: Callable[[], Volunteer], described: int) -> None:
    first, second = volunteers(), volunteers()
    assert "Begin listening" in section(first.http.get("/rounds/").text, described)
    first.submit(first.next_session(described)["id"])
    second.submit(second.next_session(described)["id"])
    second.submit(second.next_session(described)["id"], was_cancelled=True)
    shown = section(first.http.get("/rounds/").text, described)
    assert '<progress max="4" value="2"' in shown
    assert "2 of 4 done, 1 of them by you" in plain(shown)
    assert "Go on listening" in shown
    assert "you skipped 1" in plain(section(second.http.get("/rounds/").text, described))
    told = first.http.get(f"/rounds/{described}/").json()
    assert (told["total"], told["done"], told["mine"], told["share"]) == (4, 2, 1, 50)
    assert told["card"][2] == [{"text": "Orcasound Lab", "href": "https://live.orcasound.net/x"}]


def test_who_did_how_much_is_for_maintainers(studio: LabelStudio, volunteers: Callable[[], Volunteer], described: int) -> None:
    volunteer = volunteers()
    volunteer.submit(volunteer.next_session(described)["id"])
    assert "Data Manager" not in volunteer.http.get("/rounds/").text
    with as_maintainer(studio) as http:
        page = http.get("/rounds/")
    shown = section(page.text, described)
    assert f"<td>{volunteer.email}</td><td>1</td><td>0</td>" in shown
    assert f'href="/projects/{described}/data/"' in shown


def test_every_sound_has_its_picture_and_its_source(volunteers: Callable[[], Volunteer]) -> None:
    http = volunteers().http
    page = http.get("/rounds/").text
    sources = (ROOT / "docs" / "label-studio-addon.md").read_text()
    names = re.findall(r'src="[^"]+/sounds/([\w-]+)\.mp3"', page)
    assert len(names) == 5
    total = 0
    for name in names:
        for kind, content_type in (("mp3", "audio/mpeg"), ("webp", "image/webp")):
            [address] = re.findall(rf'src="([^"]+/sounds/{name}\.{kind})"', page)
            answer = http.get(address)
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
            assert "immutable" in answer.headers["Cache-Control"]
            total += len(answer.content)
        assert f"`{name}`" in sources
    assert total < 1_000_000


def test_the_coordinators_page_is_for_maintainers(
    studio: LabelStudio, volunteers: Callable[[], Volunteer], described: int
) -> None:
    volunteer = volunteers()
    volunteer.submit(volunteer.next_session(described)["id"])
    with as_maintainer(studio) as http:
        assert http.get("/rounds/report/").status_code == 404
        with chdir(studio.folder):
            result = CliRunner().invoke(
                cli, ["rounds", "--report", str(studio.folder.parent / "report"), "--json"], env=studio.env
            )
        assert result.exit_code == 0, result.output
        assert 'href="/rounds/report/"' in http.get("/rounds/").text
        shown = http.get("/rounds/report/")
    name = studio.server.project(described)["title"]
    [section] = [part for part in shown.text.split("<section") if f'href="{studio.url}/projects/{described}"' in part]
    assert name in section and "<strong>1</strong> of 4 sessions answered, by 1 person" in section
    assert shown.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert volunteer.http.get("/rounds/report/").status_code == 403
    assert "/rounds/report/" not in volunteer.http.get("/rounds/").text


def test_the_button_and_the_counter_ask_and_maintainers_see_what_is_trained(
    studio: LabelStudio, volunteers: Callable[[], Volunteer], described: int, ml_backend_url: str, ml_backend_folder: Path
) -> None:
    server, job = studio.server, Job((described,))
    server.ensure_ml_backend(described, ml_backend_url)
    [backend] = server.ml_backends(described)
    with Queue(str(ml_backend_folder / "queue.db")) as queue:
        for _ in range(2):  # the button, twice: one job
            server.request("POST", f"/api/ml/{backend['id']}/train")
        assert queue.waiting() == [job]
        queue.take()
        queue.end(job, "not trained: 20 are missing")
        server.request("PATCH", f"/api/projects/{described}/", {"min_annotations_to_start_training": 2})
        volunteer = volunteers()
        for waiting in ([], [job]):
            volunteer.submit(volunteer.next_session(described)["id"])
            assert queue.waiting() == waiting
        queue.take()
        queue.end(job, "not trained: 18 are missing")
    server.tell_at_ml_backends(described, "begun")
    server.tell_at_ml_backends(described, "not trained: <18> are missing")
    with as_maintainer(studio) as http:
        assert "Training: not trained: <18> are missing" in plain(section(http.get("/rounds/").text, described))
    assert "Training: " not in volunteer.http.get("/rounds/").text
    own = {"project": described, "url": ml_backend_url, "description": "of the whole bay"}
    server.request("PATCH", f"/api/ml/{backend['id']}", own)
    server.tell_at_ml_backends(described, "begun")
    assert server.ml_backends(described)[0]["description"] == "of the whole bay"
