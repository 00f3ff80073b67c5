"""deploy/backup.sh and deploy/restore.sh on a real PostgreSQL: what they leave, what they delete, and when they refuse."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.processes import running
from tests.compose import composed, example
from tests.conftest import ROOT
from tests.deployment.conftest import Postgres, until

BACKUP, RESTORE = ROOT / "deploy" / "backup.sh", ROOT / "deploy" / "restore.sh"
DAY_S = 86400.0


@pytest.fixture
def whales(postgres: Postgres) -> Iterator[dict[str, str]]:
    """The environment of a database with one table of three whales."""
    env = {**postgres.env, "PGDATABASE": "whales"}
    postgres.run("createdb", "whales")
    postgres.run("psql", "-c", "CREATE TABLE whale AS SELECT unnest(ARRAY['J35', 'K21', 'L87']) AS name", PGDATABASE="whales")
    yield env
    for name in databases(postgres):
        postgres.run("dropdb", name)


def databases(postgres: Postgres) -> list[str]:
    """Those of `whales`, and what was kept of them."""
    return postgres.run("psql", "-Atc", "SELECT datname FROM pg_database WHERE datname LIKE 'whales%' ORDER BY 1").split()


def names(env: Mapping[str, str], database: str = "whales") -> list[str]:
    command = ["psql", "-Atc", "SELECT name FROM whale ORDER BY 1", database]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()


def sh(script: Path, where: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", script, where], env=env, capture_output=True, text=True, check=False)


def aged(folder: Path, name: str, days: float) -> Path:
    path = folder / name
    path.touch()
    os.utime(path, (time.time() - days * DAY_S,) * 2)
    return path


def test_old_backups_go_once_a_new_one_is_whole(whales: dict[str, str], tmp_path: Path) -> None:
    old = aged(tmp_path, "labelstudio-2026-01-01T03-00-00Z.dump", 31.5)
    kept = [aged(tmp_path, "labelstudio-2026-01-31T03-00-00Z.dump", 29), aged(tmp_path, "mine.dump", 99)]
    failed = sh(BACKUP, tmp_path, whales | {"PGPASSWORD": "wrong"})
    assert failed.returncode
    assert set(tmp_path.iterdir()) == {old, *kept}
    done = sh(BACKUP, tmp_path, whales | {"BACKUP_KEEP_DAYS": "30"})
    assert set(tmp_path.iterdir()) == {*kept, Path(done.stdout.strip())}


def test_a_restore_keeps_what_was_there(postgres: Postgres, whales: dict[str, str], tmp_path: Path) -> None:
    dump = Path(sh(BACKUP, tmp_path, whales).stdout.strip())
    postgres.run("psql", "-c", "DELETE FROM whale WHERE name = 'K21'", PGDATABASE="whales")
    done = sh(RESTORE, dump, whales)
    assert done.returncode == 0, done.stderr
    assert names(whales) == ["J35", "K21", "L87"]
    assert names(whales, done.stdout.split()[-1]) == ["J35", "L87"]


def test_a_restore_that_fails_changes_nothing(postgres: Postgres, whales: dict[str, str], tmp_path: Path) -> None:
    dump = Path(sh(BACKUP, tmp_path, whales).stdout.strip())
    half = tmp_path / "half.dump"
    half.write_bytes(dump.read_bytes()[:-40])
    for broken in (half, tmp_path / "absent.dump"):
        assert sh(RESTORE, broken, whales).returncode
    with subprocess.Popen(["psql", "-Atc", "SELECT 1", "-f", "-"], env=whales, stdin=-1, stdout=-1, text=True) as somebody:
        assert somebody.stdout and somebody.stdout.readline() == "1\n"  # and stays connected
        refused = sh(RESTORE, dump, whales)
        somebody.communicate("")
    assert "being accessed by other users" in refused.stderr
    assert databases(postgres) == ["whales"]
    assert names(whales) == ["J35", "K21", "L87"]


@pytest.fixture
def service() -> dict[str, Any]:
    """The service `backup` of the compose file."""
    content = composed({name: value or "/srv" for name, value in example().items()})
    found: dict[str, Any] = content["services"]["backup"]
    return found


def test_the_service_makes_one_at_its_start_and_one_a_night(
    service: dict[str, Any], whales: dict[str, str], tmp_path: Path
) -> None:
    """The container's own command, with its folders elsewhere, and a `sleep` that tells for how long it was asked."""
    backups, programs = tmp_path / "backups", tmp_path / "bin"
    for folder in (backups, programs):
        folder.mkdir()
    (programs / "sleep").write_text(f"#!/bin/sh\necho $1 > {tmp_path}/asked && exec /bin/sleep 1000\n")
    (programs / "sleep").chmod(0o755)

    def here(text: str) -> str:
        return text.replace("/deploy/", f"{ROOT}/deploy/").replace("/backups", str(backups))

    [kind, *health] = service["healthcheck"]["test"]
    assert kind == "CMD-SHELL"

    def healthy() -> bool:
        return subprocess.run(["sh", "-c", here(health[0])], check=False).returncode == 0

    assert not healthy()
    command = [here(word) for word in service["command"]]
    env = whales | {"PATH": f"{programs}{os.pathsep}{whales['PATH']}", "TZ": "UTC"}
    with running("the backups", command, env, tmp_path / "log", "", 0) as child:
        until(child, lambda: (tmp_path / "asked").exists() and (tmp_path / "asked").read_text() != "")
    wakes = datetime.now(UTC) + timedelta(seconds=int((tmp_path / "asked").read_text()))
    assert abs(wakes - wakes.replace(hour=3, minute=0, second=0)) < timedelta(minutes=2)
    assert timedelta(0) < wakes - datetime.now(UTC) < timedelta(hours=27)
    [dump] = backups.iterdir()
    assert healthy()
    os.utime(dump, (time.time() - 1.3 * DAY_S,) * 2)
    assert not healthy()
