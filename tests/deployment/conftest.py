"""The parts of the compose file without Docker: Label Studio with the file's own environment, on PostgreSQL, behind Caddy."""

from __future__ import annotations

import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from demo.install import find_label_studio
from demo.processes import Child, running
from labelstudio.client import Server
from tests.addon.conftest import Volunteer
from tests.compose import composed, example
from tests.conftest import ROOT, TIMEOUT_S, LabelStudio
from tests.ports import own_port

CADDYFILE = ROOT / "deploy" / "Caddyfile"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
"""initdb of every PostgreSQL that is installed; Debian keeps their servers off the PATH."""
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""A database that no power cut has to spare."""


def until(child: Child, holds: Callable[[], bool]) -> None:
    """Wait until something holds, which a running child is to bring about."""
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        child.check()
        assert time.monotonic() < deadline, f"waited too long for {child.name}; see {child.log}"
        time.sleep(0.05)


class Postgres:
    """A PostgreSQL of the tests' own: `env` is what its programs and `deploy/*.sh` go by."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._programs = folder, PROGRAMS[-1].parent
        # It refuses to run as root.
        self._as = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig=TERM"]
        if os.geteuid() != 0:
            self._as = []
        self.env = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(own_port()),
            "PGUSER": "labelstudio",
            "PGDATABASE": "labelstudio",
            "PGPASSWORD": secrets.token_hex(8),
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make it and let it run for the time of the block, with an empty database."""
        password = self._folder / "password"
        password.write_text(self.env["PGPASSWORD"])
        if self._as:
            for path in (self._folder, password):
                shutil.chown(path, "nobody")
        data = self._folder / "data"
        how = ("--username=labelstudio", "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--no-sync")
        self.run(*self._as, self._programs / "initdb", "--pgdata", data, *how)
        options = (
            f"listen_addresses={self.env['PGHOST']}",
            f"port={self.env['PGPORT']}",
            f"unix_socket_directories={self._folder}",
        )
        command = [*self._as, str(self._programs / "postgres"), "-D", str(data)]
        command += [word for option in (*options, *QUICK) for word in ("-c", option)]
        with running("PostgreSQL", command, {}, self._folder / "log", "", 0) as child:
            ready = ["pg_isready", "--quiet"]
            until(child, lambda: subprocess.run(ready, env=self.env, check=False).returncode == 0)
            self.run("createdb")
            yield

    def run(self, *words: object, **env: str) -> str:
        """Run a program; gives what it printed."""
        command = [str(word) for word in words]
        done = subprocess.run(command, env={**self.env, **env}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Deployed(LabelStudio):
    """Label Studio as the compose file starts it, with other addresses and ports, as it is reached through the proxy."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        super().__init__(folder)
        self.postgres, self.ports, self._folder = postgres, {"HTTP_PORT": own_port(), "HTTPS_PORT": own_port()}, folder
        self.legacy_port = own_port()
        filled = {
            "LABEL_STUDIO_URL": self.url,
            "LABEL_STUDIO_USERNAME": self.account.email,
            "LABEL_STUDIO_PASSWORD": self.account.password,
            "LABEL_STUDIO_API_KEY": self.account.token,
            "LABEL_STUDIO_SECRET_KEY": secrets.token_hex(32),
            "POSTGRES_PASSWORD": postgres.env["PGPASSWORD"],
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(self.document_root),
        }
        self.compose = composed({**example(), **filled})

    @property
    def url(self) -> str:
        return f"https://localhost:{self.ports['HTTPS_PORT']}"

    @property
    def upstream(self) -> str:
        """What the other containers call it."""
        return super().url

    @property
    def certificate(self) -> Path:
        """Of the authority that Caddy makes for localhost."""
        return self._folder / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "SSL_CERT_FILE": str(self.certificate)}

    @property
    def server(self) -> Server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(self.certificate))
            return Server(self.url, self.account.token)

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def browser(self) -> httpx.Client:
        """Somebody without a login."""
        return httpx.Client(base_url=self.url, verify=self.trust, timeout=60)

    def volunteer(self) -> Volunteer:
        """Somebody who followed the link that maintainers send."""
        link = self.server.request("GET", "/api/invite")["invite_url"]
        return Volunteer(self, link, self.trust)

    @property
    def media(self) -> Path:
        return self.folder / "media"

    def start(self) -> None:
        service = self.compose["services"]["label-studio"]
        at = {
            "POSTGRE_HOST": self.postgres.env["PGHOST"],
            "POSTGRE_PORT": self.postgres.env["PGPORT"],
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "label_studio_addon.settings",
            "PYTHONPATH": str(ROOT),
        }
        [name, *words] = service["command"]
        assert name == "label-studio"
        words[words.index("--internal-host") + 1], words[words.index("--port") + 1] = "127.0.0.1", str(self._port)
        self.folder.mkdir(exist_ok=True)
        log, health = self.folder / "log", f"{self.upstream}/health"
        command = [str(find_label_studio()), *words]
        child = self._stack.enter_context(running("Label Studio", command, service["environment"] | at, log, health, TIMEOUT_S))
        child.wait_healthy()
        self.running = True

    @contextmanager
    def proxied(self) -> Iterator[None]:
        """Caddy in front of it, with the Caddyfile of the compose file, for the time of the block."""
        env = {
            **self.compose["services"]["proxy"]["environment"],
            **{name: str(port) for name, port in self.ports.items()},
            "BIND_ADDRESS": "127.0.0.1",
            "LABEL_STUDIO_UPSTREAM": self.upstream.removeprefix("http://"),
            "LEGACY_UPSTREAM": f"127.0.0.1:{self.legacy_port}",
            "XDG_DATA_HOME": str(self._folder / "caddy"),
            "XDG_CONFIG_HOME": str(self._folder / "caddy"),
        }
        command = ["caddy", "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
        with running("Caddy", command, env, self._folder / "caddy.log", "", 0) as child:
            until(child, self.certificate.exists)
            yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all tests, with the empty database `labelstudio`."""
    if not PROGRAMS or not shutil.which("caddy"):
        pytest.skip("needs PostgreSQL and Caddy; apt-get install postgresql caddy")
    # Not below pytest's own folder, into which only its owner may look.
    with tempfile.TemporaryDirectory(prefix="podcast-postgres-") as folder:
        server = Postgres(Path(folder))
        with server.running():
            yield server


@pytest.fixture(scope="session")
def site(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """All parts, running, once for all tests."""
    site = Deployed(tmp_path_factory.mktemp("site"), postgres)
    with site.proxied():
        try:
            site.start()
            yield site
        finally:
            site.stop()
