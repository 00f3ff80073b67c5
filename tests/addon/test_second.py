"""A second person for a session, through the page's own request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import chdir
from hashlib import sha256

from click.testing import CliRunner

from cli.main import cli
from tests.addon.conftest import Volunteer
from tests.conftest import LabelStudio
from tests.test_people import write_sessions

SESSIONS, SHARE = 200, 0.2


def exhausted(volunteer: Volunteer, project: int) -> list[int]:
    """Answer whatever the page offers until it offers nothing; gives the tasks in order."""
    got: list[int] = []
    while (task := volunteer.offered(project)) is not None:
        assert "annotations" not in task or task["annotations"] == []
        assert volunteer.submit(task["id"]).status_code == 201
        got.append(task["id"])
    return got


def test_of_200_sessions_exactly_the_share_goes_to_two_people(studio: LabelStudio, volunteers: Callable[[], Volunteer]) -> None:
    name, folder = "second people", write_sessions(studio.audio / "second", SESSIONS)
    command = [
        "import",
        str(folder),
        "--round",
        name,
        "--from",
        "podcast-json",
        "--page-audio",
        "original",
        "--second",
        str(SHARE),
    ]
    with chdir(studio.folder):
        made, again = (CliRunner().invoke(cli, [*command, "--json"], env=studio.env) for _ in range(2))
    assert made.exit_code == again.exit_code == 0, made.output
    told, project = json.loads(made.stdout), json.loads(made.stdout)["project"]
    ids = {number: data["session_id"] for number, data in studio.server.tasks(project)}
    # The first eight bytes of a hash of the names, as a share of all that they can be.
    drawn = {
        number
        for number, session in ids.items()
        if int.from_bytes(sha256(f"second\0{name}\0{session}".encode()).digest()[:8], "big") / 2**64 < SHARE
    }
    assert (told["second"], json.loads(again.stdout)["second"]) == (len(drawn), 0)
    assert 20 < len(drawn) < 60

    first, second = volunteers(), volunteers()
    one = exhausted(first, project)
    other = exhausted(second, project)
    assert len(set(one)) == len(one) == SESSIONS
    assert len(set(other)) == len(other) and set(other) == drawn
    assert first.offered(project) is None and volunteers().offered(project) is None
    stored = {task["id"]: Counter(item["completed_by"] for item in task["annotations"]) for task in studio.server.export(project)}
    assert stored == {number: Counter([first.id, second.id] if number in drawn else [first.id]) for number in ids}
    [number] = sorted(drawn)[:1]
    assert [item["completed_by"]["id"] for item in second.http.get(f"/api/tasks/{number}/").json()["annotations"]] == [second.id]
    # By its address too, nobody answers a session a second time; one's answer can be changed.
    assert second.submit(number).status_code == 403
