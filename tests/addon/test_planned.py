"""A round that was planned: in the plan's order, and volunteers are not told why they hear what they hear."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

from click.testing import CliRunner

from cli.main import cli
from tests.addon.conftest import Volunteer, write_sweep
from tests.conftest import LabelStudio

NODE = "rpi_orcasound_lab"


def test_what_rounds_have_is_left_out_and_volunteers_are_not_told_why(
    studio: LabelStudio, volunteers: Callable[[], Volunteer], tmp_path: Path
) -> None:
    (studio.audio / "plan").mkdir()
    for minute in range(8):
        write_sweep(studio.audio / "plan" / f"{NODE}_2019_09_30_19_{minute:02d}_00_PDT.wav", 100 + minute)
    plan = tmp_path / "p.csv"
    pool = ["plan", str(studio.audio / "plan"), "--detector", "none", "--gap", "0", "--json", "-o", str(plan)]
    for words in ([*pool, "--size", "3"], ["import", str(plan), "--round", "Planned", "--json"]):
        with chdir(studio.folder):  # no settings of the folder in which the tests were started
            result = CliRunner().invoke(cli, words, env=studio.env)
        assert result.exit_code == 0, result.output
    project = json.loads(result.stdout)["project"]
    stored = [data for _, data in studio.server.tasks(project)]
    assert [data["session_id"] for data in stored] == [line.split(",")[0] for line in plan.read_text().splitlines()[1:]]
    assert {data["plan"]["reason"] for data in stored} == {"random"}
    person = volunteers()
    task = person.next_session(project)
    assert "session_id" in task["data"] and "plan" not in task["data"]
    assert "plan" not in person.http.get(f"/api/tasks/{task['id']}/").json()["data"]
    with chdir(studio.folder):
        again = json.loads(CliRunner().invoke(cli, [*pool, "--size", "9"], env=studio.env).stdout)
    assert (again["held"], again["planned"]) == (3, 5)
    # One of the three is answered, and has no call: what of the pool's eight minutes may have some is known within wide bounds.
    assert person.submit(task["id"]).status_code == 201
    with chdir(studio.folder):
        told = json.loads(CliRunner().invoke(cli, ["rounds", "--json"], env=studio.env).stdout)
    [row] = next(item["minutes_with_calls"] for item in told["rounds"] if item["project"] == project)
    assert (row["round"], row["node"], row["month"], row["pool"], row["answered"]) == ("Planned", NODE, "2019-10", 8, 1)
    assert row["minutes"] == row["low"] == 0 and 0 < row["high"] <= 8
