"""Volunteers' accounts, as people make them: by the sign-up form."""

from __future__ import annotations

import itertools
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
import pytest
from click.testing import CliRunner

from cli.main import cli
from podcast import audio
from tests.conftest import LabelStudio

NUMBERS = itertools.count(1)
SAMPLE_RATE = 16_000


class Served(Protocol):
    """A Label Studio that has an address."""

    @property
    def url(self) -> str: ...


class Volunteer:
    """Somebody with an account, logged in; `http` carries the cookies. `link` is where they sign up."""

    def __init__(self, studio: Served, link: str = "/user/signup/", verify: ssl.SSLContext | bool = True) -> None:
        self.email, self.password = f"volunteer{next(NUMBERS)}@example.org", "hears-whales-7"
        self.http = httpx.Client(base_url=studio.url, follow_redirects=True, timeout=60, verify=verify)
        form = self.http.get(link).text
        answer = self.http.post(
            link,
            data={"email": self.email, "password": self.password, "csrfmiddlewaretoken": token_of(form)},
            headers={"Origin": studio.url},
        )
        assert answer.status_code == 200, answer.text
        self.id = self.http.get("/api/current-user/whoami").json()["id"]

    def next_session(self, project_id: int) -> dict[str, Any]:
        """The next session, asked for as the page does."""
        found = self.offered(project_id)
        assert found is not None
        return found

    def offered(self, project_id: int) -> dict[str, Any] | None:
        """The same; None where there is none for this person."""
        answer = self.http.post(
            f"/api/dm/actions?id=next_task&project={project_id}",
            json={
                "ordering": [],
                "selectedItems": {"all": False, "included": []},
                "filters": {"conjunction": "and", "items": []},
                "project": str(project_id),
            },
        )
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def submit(self, task: int, **fields: Any) -> httpx.Response:
        """Submit an answer to a session, as the page does."""
        return self.http.post(f"/api/tasks/{task}/annotations", json={"result": [], "lead_time": 20.0, **fields})


def token_of(form: str) -> str:
    """What a page's form must send back against forged requests."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert found
    return found[1]


def write_sweep(path: Path, seed: int) -> None:
    """Two seconds with a loud sweep from 500 Hz to 3 kHz over noise: something to see in a spectrogram."""
    at = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    sweep = 0.5 * np.sin(2 * np.pi * (500 * at + 625 * at**2))
    noise = np.random.default_rng(seed).normal(0, 0.05, at.size)
    audio.write_wav(str(path), (sweep + noise).astype(np.float32)[:, None], SAMPLE_RATE)


@pytest.fixture(scope="session")
def volunteers(studio: LabelStudio) -> Iterator[Callable[[], Volunteer]]:
    """Makes volunteers."""
    made: list[Volunteer] = []

    def make() -> Volunteer:
        made.append(Volunteer(studio))
        return made[-1]

    yield make
    for volunteer in made:
        volunteer.http.close()


@pytest.fixture(scope="session")
def new_round(studio: LabelStudio) -> Callable[[int], int]:
    """Imports a round of so many sessions; gives its project's number."""

    def make(sessions: int) -> int:
        name = f"Add-on {next(NUMBERS)}"
        folder: Path = studio.audio / name
        folder.mkdir()
        for number in range(sessions):
            write_sweep(folder / f"OS_9_27_2017_08_25_00__{number:04x}.wav", seed=number)
        with chdir(studio.folder):  # no settings of the folder in which the tests were started
            result = CliRunner().invoke(cli, ["import", str(folder), "--round", name, "--json"], env=studio.env)
        assert result.exit_code == 0, result.output
        return int(studio.server.find_project(name)["id"])  # type: ignore[index]

    return make
