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

from demo.install import CONSTRAINTS
from demo.processes import running
from tests.conftest import ROOT, TIMEOUT_S
from tests.ports import own_port

COMPOSE = ROOT / "docker-compose.yml"
SECRET = re.compile("PASSWORD|TOKEN|KEY")
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<words>[^}]*))?\}")


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolated(text: str, env: Mapping[str, str]) -> str:
    """As compose does it, for the two forms that the file uses: `${NAME:?words}` and `${NAME:-default}`."""

    def value(match: re.Match[str]) -> str:
        if found := env.get(match["name"]):
            return found
        assert match["kind"] == "-", f"{match['name']}: {match['words']}"
        return match["words"]

    return VARIABLE.sub(value, text)


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file as compose sees it, every required variable set."""
    filled = {name: value or "filled-in" for name, value in example().items()}
    root = {"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": "/srv/files"}
    content: dict[str, Any] = yaml.safe_load(interpolated(COMPOSE.read_text(), filled | root))
    return content


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
    assert set(services) == {"label-studio", "ml-backend", "postgres", "s3", "azure", "legacy"}
    assert {name for name, service in services.items() if service.get("profiles") == ["dev"]} == {"s3", "azure"}
    assert services["legacy"]["profiles"] == ["legacy"]
    for service in services.values():
        for name, needs in service.get("depends_on", {}).items():
            assert "profiles" not in services[name]
            assert needs["condition"] != "service_healthy" or "healthcheck" in services[name]
        for volume in service.get("volumes", []):
            if isinstance(volume, str):
                assert volume.partition(":")[0] in compose["volumes"]
    assert all(services[name]["restart"] == "unless-stopped" for name in ("label-studio", "ml-backend", "postgres"))
    assert (ROOT / services["ml-backend"]["build"]["dockerfile"]).is_file()


def test_versions_are_those_the_project_is_tested_with(compose: dict[str, Any]) -> None:
    [label_studio] = re.findall(r"^label-studio==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    [moto] = re.findall(r"^moto==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    image = (ROOT / compose["services"]["label-studio"]["build"]["dockerfile"]).read_text()
    assert f"FROM heartexlabs/label-studio:{label_studio} AS label-studio\n" in image
    assert f'TESTED_VERSION = "{label_studio}"' in (ROOT / "label_studio_addon" / "__init__.py").read_text()
    pinned = (ROOT / "demo" / "constraints-label-studio.txt").read_text().splitlines()
    assert {"whitenoise", "brotli"} == {name.partition("==")[0] for name in re.findall(r"\w+==\S+", image) if name in pinned}
    assert compose["services"]["s3"]["image"] == f"motoserver/moto:{moto}"
    assert compose["services"]["postgres"]["image"] == "postgres:16.10-bookworm"
    images = [service["image"] for service in compose["services"].values() if "image" in service]
    for image in (*images, dockerfile()["FROM"]):
        assert re.search(r":\d+\.\d+(\.\d+)?(-|$)", image), f"{image}: not an exact tag"


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
    for service in (label_studio, ml_backend):
        root = service["environment"]["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"]
        [audio] = [volume for volume in service["volumes"] if not isinstance(volume, str)]
        assert (audio["type"], audio["target"], audio["read_only"]) == ("bind", root, True)


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
    python = ROOT / ".venv-label-studio" / "bin" / "python"
    if not python.exists():
        pytest.skip("Label Studio is not installed beside the project")
    settings = compose["services"]["label-studio"]["environment"]
    env = {name: settings[name] for name in ("USE_DEFAULT_BANNED_SUBNETS", "USER_ADDITIONAL_BANNED_SUBNETS")}
    command = [str(python), "-c", ASK_LABEL_STUDIO, json.dumps([*ours, *public, *private])]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [*ours, *public]


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
