"""All of the compose file but Docker: a round over https on PostgreSQL, people at the same moment, and a backup put back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import httpx
import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from demo.processes import running
from tests.addon.conftest import Volunteer, token_of
from tests.conftest import ROOT, TIMEOUT_S, write_noise
from tests.deployment.conftest import CADDYFILE, Deployed
from tests.test_loop import NAME, load_file, project_of, submit_unchanged
from tests.test_writers import held, sessions, start

PEOPLE = 4
TURNS = 12
SESSIONS = 30
BACKUP, RESTORE = ROOT / "deploy" / "backup.sh", ROOT / "deploy" / "restore.sh"


def podcast(site: Deployed, *words: object) -> Result:
    result = CliRunner().invoke(cli, [str(word) for word in words], env=site.env)
    assert result.exit_code == 0, result.output
    return result


def new_round(site: Deployed, name: str, folder: Path, count: int) -> int:
    """A round of sessions without audio; gives its project's number."""
    podcast(site, "import", sessions(folder / "sessions", count), "--round", name)
    return project_of(site, name)


def test_the_caddyfile_is_valid_and_formatted(site: Deployed) -> None:
    for address in (site.url, "https://label.example.org"):
        command = ["caddy", "validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
        site.postgres.run(*command, LABEL_STUDIO_URL=address, XDG_DATA_HOME=str(site.folder))
    assert site.postgres.run("caddy", "fmt", CADDYFILE) == CADDYFILE.read_text()


def test_the_first_account_logs_in_by_tls_alone(site: Deployed) -> None:
    plain = httpx.get(f"http://localhost:{site.ports['HTTP_PORT']}/rounds/")
    assert (plain.status_code, plain.headers["Location"]) == (308, "https://localhost/rounds/")
    with site.browser() as browser:
        form = {"csrfmiddlewaretoken": token_of(browser.get("/user/login/").text)}
        form |= {"email": site.account.email, "password": site.account.password}
        forged = browser.post("/user/login/", data=form, headers={"Origin": "https://elsewhere.example.org"})
        assert forged.status_code == 403
        answer = browser.post("/user/login/", data=form, headers={"Origin": site.url})
        assert answer.status_code == 302
        assert all("Secure" in cookie for cookie in answer.headers.get_list("Set-Cookie"))
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "WSGIServer" not in answer.headers.get("Server", "")
        assert browser.get("/api/current-user/whoami").json()["email"] == site.account.email


def test_who_signs_up_was_invited(site: Deployed) -> None:
    with site.browser() as browser:
        form = {"csrfmiddlewaretoken": token_of(browser.get("/user/signup/").text)}
        form |= {"email": "stranger@example.org", "password": "hears-whales-7"}
        assert browser.post("/user/signup/", data=form, headers={"Origin": site.url}).status_code == 403
    volunteer = site.volunteer()
    assert volunteer.http.get("/rounds/").status_code == 200
    assert volunteer.http.get("/api/invite").status_code == 403


def test_audio_is_for_who_is_logged_in(site: Deployed, tmp_path: Path) -> None:
    """With the name of a session that is there, and with ranges, as players ask."""
    write_noise(site.audio / "login" / f"{NAME}.wav", duration_s=60)
    podcast(site, "import", load_file(tmp_path / "in"), "--round", "login", "--audio", site.audio / "login")
    path, part = f"/data/local-files/?d=audio/login/{NAME}.wav", {"Range": "bytes=0-3"}
    with site.browser() as browser:
        assert browser.get(path, headers=part).status_code == 401
        assert browser.get(f"/audio/login/{NAME}.wav").status_code != 200
    answer = site.volunteer().http.get(path, headers=part)
    assert (answer.status_code, answer.content) == (206, b"RIFF")


@contextmanager
def the_old_api(site: Deployed, folder: Path) -> Iterator[None]:
    """The service `legacy` of the compose file."""
    command = [sys.executable, "-m", "cli.main", *site.compose["services"]["legacy"]["command"][1:]]
    command[command.index("--host") + 1], command[command.index("--port") + 1] = "127.0.0.1", str(site.legacy_port)
    url = f"http://127.0.0.1:{site.legacy_port}/fetch/session/old"
    env = {**site.env, "LABEL_STUDIO_URL": site.upstream}
    with running("the old API", command, env, folder / "log", url, TIMEOUT_S) as child:
        child.wait_healthy()
        yield


def test_the_old_api_is_for_who_is_logged_in(site: Deployed, tmp_path: Path) -> None:
    podcast(site, "import", load_file(tmp_path / "in"), "--round", "old")
    with the_old_api(site, tmp_path), site.browser() as browser:
        assert browser.get("/fetch/session/old").status_code == 401
        volunteer = site.volunteer().http
        assert volunteer.get("/fetch/session/old").json() == {"sessionid": NAME}
        answer = {"annotations": [{"start_s": 24.5, "duration_s": 2.45}]}
        assert browser.post(f"/submit/session/old/{NAME}", json=answer).status_code == 401
        assert volunteer.post(f"/submit/session/old/{NAME}", json=answer).status_code == 201


def test_people_who_ask_at_the_same_moment_get_different_sessions(site: Deployed, tmp_path: Path) -> None:
    """On PostgreSQL the add-on leaves that to row locks, which SQLite has not."""
    project = new_round(site, "together", tmp_path, PEOPLE * TURNS)
    people, together = [site.volunteer() for _ in range(PEOPLE)], Barrier(PEOPLE)

    def work(volunteer: Volunteer) -> list[int]:
        got = []
        for _ in range(TURNS):
            together.wait(timeout=TIMEOUT_S)
            got.append(volunteer.next_session(project)["id"])
            assert volunteer.submit(got[-1]).status_code == 201
        return got

    with ThreadPoolExecutor(PEOPLE) as pool:
        given = Counter(task for tasks in pool.map(work, people) for task in tasks)
    assert given == Counter({task: 1 for task, _ in site.server.tasks(project)})


def test_two_imports_at_once_double_nothing(site: Deployed, tmp_path: Path) -> None:
    """The second as on another machine: it sees no lock file of the first."""
    source = sessions(tmp_path / "in", SESSIONS)
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    words = ("-m", "cli.main", "import", source, "--round", "at once", "--json")
    both = [start(site, *words), start(site, *words, TMPDIR=str(elsewhere))]
    said = [process.communicate(timeout=TIMEOUT_S) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert held(site, "at once") == Counter(path.stem for path in source.iterdir())
    results = [json.loads(out) for out, _ in said]
    assert sorted((result["created"], result["unchanged"]) for result in results) == [(0, SESSIONS), (SESSIONS, 0)]


def exported(site: Deployed, name: str, to: Path) -> dict[str, bytes]:
    podcast(site, "export", "--round", name, "--to", to)
    return {str(path.relative_to(to)): path.read_bytes() for path in to.rglob("*") if path.is_file()}


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


def test_a_round_comes_back_from_a_backup_to_the_byte(site: Deployed, tmp_path: Path, backups: Path) -> None:
    """Import, answers and export over https; then a machine that has nothing but the backup and `.env`."""
    write_noise(site.audio / "kept" / f"{NAME}.wav", duration_s=60)
    podcast(site, "import", load_file(tmp_path / "in"), "--round", "kept", "--audio", site.audio / "kept")
    project = project_of(site, "kept")
    submit_unchanged(site.server, project)
    before, volunteer = exported(site, "kept", tmp_path / "before"), site.volunteer()
    assert len(json.loads(before[f"{NAME}.json"])["annotations"]) == 4
    to = f"/api/projects/{project}/import?commit_to_project=false"
    site.server.http.post(to, headers=site.server._headers(), files={"file": ("note.txt", b"kept")}).raise_for_status()
    [upload] = site.media.glob("upload/*/*note.txt")

    postgres = site.postgres
    media = {"MEDIA": str(site.media)}
    dump = Path(postgres.run("sh", BACKUP, backups, **media).strip())
    refused = subprocess.run(
        ["sh", RESTORE, backups / "nothing.dump"], env=postgres.env | media, capture_output=True, check=False
    )
    assert refused.returncode
    site.stop()
    with site.browser() as browser:
        answer = browser.get("/rounds/")
    assert (answer.status_code, answer.text) == (
        502,
        "This server is starting, or away for a moment. Try again in a minute.",
    )
    upload.unlink()
    postgres.run("dropdb", "labelstudio")
    postgres.run("createdb")
    assert "labelstudio_before_" in postgres.run("sh", RESTORE, dump, **media)
    site.start()

    assert exported(site, "kept", tmp_path / "after") == before
    assert upload.read_text() == "kept"
    assert volunteer.http.get("/rounds/").status_code == 200  # still logged in
    assert json.loads(podcast(site, "import", tmp_path / "in", "--round", "kept", "--json").stdout)["created"] == 0
