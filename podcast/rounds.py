"""The rounds file of Pod.Cast (`ROUND_INFO_CONFIG.yaml`): what volunteers read about each round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podcast import storage
from podcast.errors import InputError
from podcast.model import Round
from podcast.reading import parse_yaml


def parse_rounds(content: bytes, source: str) -> dict[str, Round]:
    """All rounds of a rounds file by name, `default` included: the text of the card and a link to the hydrophone.

    Raises InputError naming `source` and the field that is missing or of the wrong kind.
    """
    whole = _mapping(parse_yaml(content, source), "the file", source)
    rounds = whole.get("round_info")
    hydrophones = _mapping(whole.get("hydrophone_info", {}), "hydrophone_info", source)
    return {
        str(name): Round(str(name), _description(_mapping(info, f"round_info.{name}", source), hydrophones, source))
        for name, info in _mapping(rounds, "round_info", source).items()
    }


def find_round(name: str, rounds_uri: str | None) -> Round:
    """The round `name` with its card from the rounds file, its `default` card if it has none of its own."""
    if rounds_uri is None:
        return Round(name)
    rounds = parse_rounds(storage.read(rounds_uri), rounds_uri)
    found = rounds.get(name) or rounds.get("default")
    return Round(name, found.description if found else "")


def _description(info: Mapping[str, Any], hydrophones: Mapping[str, Any], source: str) -> str:
    text = str(info.get("text") or "").strip()
    node = str(info.get("hydrophone_id") or "")
    if node not in hydrophones:
        return text
    hydrophone = _mapping(hydrophones[node], f"hydrophone_info.{node}", source)
    return f"{text}\n\n{hydrophone.get('display_name') or node}: {hydrophone.get('url') or ''}".strip()


def _mapping(value: Any, field: str, source: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{source}: {field} must be a mapping, not {type(value).__name__}")
    return value
