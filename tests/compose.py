"""The compose file as compose reads it, for tests; Docker is not needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.conftest import ROOT

COMPOSE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<words>[^}]*))?\}")


def example() -> dict[str, str]:
    """What `.env.example` names, with the values that it gives."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolated(content: Any, env: Mapping[str, str]) -> Any:
    """As compose does it, for the forms that the file uses: `${NAME:?words}`, `${NAME:-default}`, and `$$` for a dollar."""

    def value(match: re.Match[str]) -> str:
        if found := env.get(match["name"]):
            return found
        assert match["kind"] == "-", f"{match['name']}: {match['words']}"
        return match["words"]

    if isinstance(content, dict):
        return {key: interpolated(item, env) for key, item in content.items()}
    if isinstance(content, list):
        return [interpolated(item, env) for item in content]
    return VARIABLE.sub(value, content).replace("$$", "$") if isinstance(content, str) else content


def composed(env: Mapping[str, str]) -> dict[str, Any]:
    """The file with the values of `env`. Fails where a required one is missing."""
    content: dict[str, Any] = interpolated(yaml.safe_load(COMPOSE.read_text()), env)
    return content
