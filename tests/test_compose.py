"""The compose file and the ML backend's image. Docker cannot run here: the file is held against the compose specification's
JSON schema (as check-jsonschema ships it), and the image's own commands run outside Docker.

Label Studio's command is not run: a first start on PostgreSQL takes longer than this suite can give it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from demo.install import CONSTRAINTS, find_label_studio
from demo.processes import running
from podcast.settings import Settings
from tests.compose import COMPOSE, VARIABLE, composed, example
from tests.conftest import ROOT, TIMEOUT_S
from tests.ports import own_port

SECRET = re.compile("PASSWORD|TOKEN|KEY")
PINNED = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?(-[\w-]+)?@sha256:[0-9a-f]{64}")
SECRETS = ("LABEL_STUDIO_PASSWORD", "LABEL_STUDIO_API_KEY", "LABEL_STUDIO_SECRET_KEY", "POSTGRES_PASSWORD")


def filled() -> dict[str, str]:
    """`.env`, filled in."""
    return {name: value or "filled-in" for name, value in example().items()} | {
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": "/srv/files"
    }


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file as compose sees it, every required variable set."""
    return composed(filled())


def check_schema(content: Mapping[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "compose.json"
    path.write_text(json.dumps(content))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_keeps_to_the_compose_specification(compose: dict[str, Any], tmp_path: Path) -> None:
    done = check_schema(compose, tmp_path)
    assert done.returncode == 0, done.stdout
    compose["services"]["postgres"]["healthchek"] = {}
    assert check_schema(compose, tmp_path).returncode == 1


def test_what_services_name_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"proxy", "label-studio", "ml-backend", "trainer", "postgres", "backup", "s3", "azure", "legacy"}
    assert {name for name, service in services.items() if service.get("profiles") == ["dev"]} == {"s3", "azure"}
    assert services["legacy"]["profiles"] == ["legacy"]
    for service in services.values():
        for name, needs in service.get("depends_on", {}).items():
            assert "profiles" not in services[name]
            assert needs["condition"] != "service_healthy" or "healthcheck" in services[name]
        for volume in service.get("volumes", []):
            if isinstance(volume, str):
                source = volume.partition(":")[0]
                assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"]
    for name in set(services) - {"s3", "azure"}:
        assert services[name]["restart"] == "unless-stopped"
        # The ML backend's is in its image.
        assert "healthcheck" in services[name] or name == "ml-backend"
    assert (ROOT / services["ml-backend"]["build"]["dockerfile"]).is_file()


def test_the_proxy_alone_is_reached_from_outside(compose: dict[str, Any]) -> None:
    services = compose["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published.pop("proxy") == ["80:80", "443:443", "443:443/udp"]
    assert set(published) == {"s3", "azure"}  # emulators, for this machine alone
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    # The proxy shares a network with what it hands on to, and with nothing else.
    assert {name for name, service in services.items() if "outside" in service.get("networks", [])} == {
        *("proxy", "label-studio", "legacy"),
    }
    assert services["proxy"]["networks"] == ["outside"]


@pytest.mark.parametrize(
    "name", ["LABEL_STUDIO_URL", "LABEL_STUDIO_USERNAME", "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", *SECRETS]
)
def test_it_does_not_start_without_its_secrets(name: str) -> None:
    with pytest.raises(AssertionError, match=f"{name}: .*set .* in .env"):
        composed(filled() | {name: ""})


def label_studio_says(program: str, env: Mapping[str, str], *words: str) -> str:
    """The last line that a program prints in Label Studio's environment."""
    found = find_label_studio()
    if not found:
        pytest.skip("Label Studio is not installed beside the project")
    command = [str(found.with_name("python")), "-c", program, *words]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


# Every variable that Label Studio's settings and the add-on's ask for by name; a copy of the whole environment asks for none.
ASKED = """
import json, os
kind, asked, copying = type(os.environ), set(), [False]
value, names = kind.__getitem__, kind.__iter__
def told(self, name):
    if not copying[-1]:
        asked.add(name)
    return value(self, name)
def listed(self):
    copying.append(True)
    yield from names(self)
    copying.pop()
kind.__getitem__, kind.__iter__ = told, listed
from label_studio import server
server._setup_env()
from django.conf import settings
settings.DATABASES
print(json.dumps(sorted(asked)))
"""
FIRST_ACCOUNT = {"LABEL_STUDIO_USERNAME", "LABEL_STUDIO_PASSWORD", "LABEL_STUDIO_USER_TOKEN"}
"""Read by Label Studio's start; tests/deployment logs in with them."""


def test_every_variable_is_one_that_is_read(compose: dict[str, Any]) -> None:
    read = {name.upper() for name in Settings.model_fields}
    clouds = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY"}
    for name in ("ml-backend", "trainer", "legacy"):
        assert compose["services"][name]["environment"].keys() <= read | clouds
    variables = {match["name"] for match in VARIABLE.finditer(COMPOSE.read_text())}
    assert example().keys() == variables | {"ML_BACKEND_URL"}  # which `podcast import` reads
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
    assert compose["services"]["proxy"]["environment"].keys() <= set(re.findall(r"\{\$(\w+)", caddyfile))
    scripts = "".join(path.read_text() for path in (ROOT / "deploy").glob("*.sh"))
    for name in compose["services"]["backup"]["environment"]:
        assert name in scripts or name in ("PGHOST", "PGUSER", "PGPASSWORD")  # PostgreSQL's own


def test_label_studio_reads_every_variable_that_it_gets(compose: dict[str, Any], tmp_path: Path) -> None:
    given = compose["services"]["label-studio"]["environment"]
    at = {
        "DJANGO_SETTINGS_MODULE": "label_studio_addon.settings",
        "PYTHONPATH": str(ROOT),
        "LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path),
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(tmp_path),
    }
    asked = json.loads(label_studio_says(ASKED, given | at))
    assert given.keys() - asked == FIRST_ACCOUNT


def test_versions_are_those_the_project_is_tested_with(compose: dict[str, Any]) -> None:
    [label_studio] = re.findall(r"^label-studio==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    [moto] = re.findall(r"^moto==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    image = (ROOT / compose["services"]["label-studio"]["build"]["dockerfile"]).read_text()
    assert f"FROM heartexlabs/label-studio:{label_studio}@sha256:" in image
    assert f'TESTED_VERSION = "{label_studio}"' in (ROOT / "label_studio_addon" / "__init__.py").read_text()
    pinned = (ROOT / "demo" / "constraints-label-studio.txt").read_text().splitlines()
    assert {"whitenoise", "brotli"} == {name.partition("==")[0] for name in re.findall(r"\w+==\S+", image) if name in pinned}
    assert compose["services"]["s3"]["image"] == f"motoserver/moto:{moto}"
    assert compose["services"]["backup"]["image"] == compose["services"]["postgres"]["image"]


def test_images_are_pinned_by_digest(compose: dict[str, Any]) -> None:
    used = {name: service["image"] for name, service in compose["services"].items() if "image" in service}
    assert re.fullmatch(r"[\w/]+:\d+\.\d+\.\d+", used.pop("s3"))  # an emulator that is given nothing: docs/adr/0097
    files = [ROOT / service["build"]["dockerfile"] for service in compose["services"].values() if "build" in service]
    stages = [word for path in files for word in re.findall(r"^FROM (\S+)", path.read_text(), re.MULTILINE)]
    for image in (*used.values(), *(word for word in stages if word != "label-studio")):
        assert PINNED.fullmatch(image), image


def test_no_credential_is_in_the_files() -> None:
    raw = yaml.safe_load(COMPOSE.read_text())
    for service in raw["services"].values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name) and value not in ("true", "false"):
                assert VARIABLE.fullmatch(value), name
    assert all(not value for name, value in example().items() if SECRET.search(name))
    assert {match["name"] for match in VARIABLE.finditer(COMPOSE.read_text()) if match["kind"] == "?"} <= example().keys()


def test_label_studio_reaches_the_ml_backend_and_both_the_audio(compose: dict[str, Any]) -> None:
    label_studio, ml_backend = compose["services"]["label-studio"], compose["services"]["ml-backend"]
    assert label_studio["environment"]["USE_DEFAULT_BANNED_SUBNETS"] == "false"
    assert example()["ML_BACKEND_URL"] == f"http://ml-backend:{ml_backend['expose'][0]}"
    for service in (label_studio, ml_backend, compose["services"]["trainer"]):
        root = service["environment"]["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"]
        [audio] = [volume for volume in service["volumes"] if not isinstance(volume, str)]
        assert (audio["type"], audio["target"], audio["read_only"]) == ("bind", root, True)


def test_ml_backend_and_trainer_meet_in_one_queue_and_one_registry() -> None:
    compose = composed(filled() | {"ML_QUEUE": "", "ML_REGISTRY": ""})
    services = [compose["services"][name] for name in ("ml-backend", "trainer")]
    [volume] = {volume for service in services for volume in service["volumes"] if str(volume).startswith("learning:")}
    for service in services:
        assert volume in service["volumes"]
        for name in ("ML_QUEUE", "ML_REGISTRY"):
            assert Path(service["environment"][name]).is_relative_to(volume.partition(":")[2])
            assert f"{name}={service['environment'][name]}" in dockerfile()["ENV"].split()
    assert volume.partition(":")[2] in dockerfile()["VOLUME"].split()
    # The proxy's own host name is of no use inside: both speak to Label Studio by its name in the network.
    assert {service["environment"]["LABEL_STUDIO_URL"] for service in services} == {"http://label-studio:8080"}


ASK_LABEL_STUDIO = """
import json, os, sys
import label_studio
sys.path.insert(0, os.path.dirname(label_studio.__file__))
from django.conf import settings
from core.utils.params import get_bool_env, get_env_list
settings.configure(
    USE_DEFAULT_BANNED_SUBNETS=get_bool_env("USE_DEFAULT_BANNED_SUBNETS", True),
    USER_ADDITIONAL_BANNED_SUBNETS=get_env_list("USER_ADDITIONAL_BANNED_SUBNETS", default=[]),
)
from core.utils.exceptions import SsrfBlockedUrlError
from core.utils.io import validate_ip
allowed = []
for address in json.loads(sys.argv[1]):
    try:
        validate_ip(address)
        allowed.append(address)
    except SsrfBlockedUrlError:
        pass
print(json.dumps(allowed))
"""


def test_label_studio_reaches_nothing_else_that_is_private(compose: dict[str, Any]) -> None:
    [network] = compose["networks"]["default"]["ipam"]["config"]
    assert network["subnet"] == "172.29.17.0/24"
    ours, public = ["172.29.17.0", "172.29.17.2", "172.29.17.255"], ["8.8.8.8", "172.15.0.1", "172.32.0.1", "2606:4700::1111"]
    private = [
        *(
            "127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.168.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ),
        *(
            "172.16.0.1",
            "172.17.0.1",
            "172.28.0.1",
            "172.29.0.1",
            "172.29.16.255",
            "172.29.18.0",
            "172.29.255.1",
            "172.31.255.255",
        ),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:172.29.17.2", "::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2001:0:1::1", "fc00::1", "fe80::1", "fec0::1", "ff02::1", "192.88.99.1", "198.18.0.1"),
    ]
    settings = compose["services"]["label-studio"]["environment"]
    env = {name: settings[name] for name in ("USE_DEFAULT_BANNED_SUBNETS", "USER_ADDITIONAL_BANNED_SUBNETS")}
    said = label_studio_says(ASK_LABEL_STUDIO, env, json.dumps([*ours, *public, *private]))
    assert json.loads(said) == [*ours, *public]


def dockerfile() -> dict[str, str]:
    """The last of each instruction, with continued lines joined; ENV is kept whole."""
    text = (ROOT / "ml_backend" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return {line[0]: line[1] for line in lines}


def test_the_images_own_commands_serve_and_check_health(tmp_path: Path) -> None:
    image = dockerfile()
    assert image["FROM"].startswith("python:3.11.")
    assert image["USER"] not in ("root", "0")
    port = own_port()
    env = dict(item.split("=", 1) for item in shlex.split(image["ENV"]))
    assert (env["ML_HOST"], env["ML_PORT"]) == ("0.0.0.0", image["EXPOSE"])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env |= {"ML_PORT": str(port), "ML_CACHE_DIR": str(tmp_path / "cache"), "PATH": path, "PYTHONPATH": str(ROOT)}
    health = json.loads(image["HEALTHCHECK"].partition(" CMD ")[2])

    def healthy() -> bool:
        return subprocess.run(health, env={**os.environ, **env}, capture_output=True, check=False).returncode == 0

    assert not healthy()
    url = f"http://127.0.0.1:{port}/health"
    with running("the image's command", json.loads(image["CMD"]), env, tmp_path / "log", url, TIMEOUT_S) as child:
        child.wait_healthy()
        assert httpx.get(url, timeout=TIMEOUT_S).json()["status"] == "UP"
        assert healthy()
