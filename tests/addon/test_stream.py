"""One session, one person; and Label Studio with and without the add-on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from click.testing import CliRunner

from cli.main import cli
from demo.install import find_label_studio
from tests.addon.conftest import Volunteer
from tests.conftest import ROOT, LabelStudio

ROUNDS = 20


def test_two_people_who_begin_in_the_same_second_never_get_the_same_session(
    volunteers: Callable[[], Volunteer], new_round: Callable[[int], int]
) -> None:
    project, both = new_round(2 * ROUNDS), (volunteers(), volunteers())
    together = Barrier(2)

    def work(volunteer: Volunteer) -> list[int]:
        got = []
        for _ in range(ROUNDS):
            together.wait(timeout=60)
            got.append(volunteer.next_session(project)["id"])
            assert volunteer.submit(got[-1]).status_code == 201
        return got

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, both)
    assert len(set(first)) == len(set(second)) == ROUNDS
    assert not set(first) & set(second)


def test_who_comes_back_finds_the_session_they_left(volunteers: Callable[[], Volunteer], new_round: Callable[[int], int]) -> None:
    project, first, second = new_round(3), volunteers(), volunteers()
    left = first.next_session(project)["id"]
    other = second.next_session(project)["id"]
    assert other != left
    assert first.next_session(project)["id"] == left
    first.submit(left)
    assert first.next_session(project)["id"] not in (left, other)


def findings(studio: LabelStudio) -> dict[str, str]:
    result = CliRunner().invoke(cli, ["doctor", "--json"], env=studio.env)
    return {item["what"]: item["detail"] for item in json.loads(result.stdout)["findings"]}


def test_doctor_says_whether_the_addon_is_there(studio: LabelStudio, tmp_path: Path) -> None:
    assert findings(studio)["add-on"] == "there"
    bare = studio.copied(tmp_path, addon=False)
    bare.start()
    try:
        said = findings(bare)
    finally:
        bare.stop()
    assert said["add-on"].startswith("not there: two people at once get the same session")
    assert said["Label Studio"].startswith("1.23.2")


def test_under_another_version_it_says_so_and_leaves_the_stream_alone(tmp_path: Path) -> None:
    """The version is the one that the package's metadata tells."""
    program = """
import importlib.metadata as metadata, os, sys
real = metadata.version
metadata.version = lambda name: "1.24.0" if name == "label-studio" else real(name)
from label_studio import server
server._setup_env()
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from label_studio_addon.stream import StreamMiddleware
try:
    StreamMiddleware(None)
    print("used")
except MiddlewareNotUsed:
    print("left alone")
"""
    env = {
        "DJANGO_SETTINGS_MODULE": "label_studio_addon.settings",
        "PYTHONPATH": str(ROOT),
        "LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path),
        "SENTRY_DSN": "",
    }
    found = find_label_studio()
    assert found
    python = found.with_name("python")
    done = subprocess.run([python, "-c", program], env={**os.environ, **env}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "left alone"
    assert "tested with Label Studio 1.23.2 and this is 1.24.0" in done.stderr
