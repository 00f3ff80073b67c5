"""Imports point one way, and what belongs to one room stays in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Each room may import the rooms of lower rows, never its own row's others (docs/adr/0001).
ROWS = [
    {"podcast"},
    {"importers", "exporters", "detectors", "evaluation", "labelstudio"},
    {"ml_backend", "pipeline", "releases", "training", "legacy"},
    {"demo"},
    {"cli"},
]
ROOMS = {room: number for number, row in enumerate(ROWS) for room in row}

# Libraries that one room, or one module, has to itself.
AT_HOME = {
    "torch": ["detectors/", "training/"],
    "torchaudio": ["detectors/"],
    "boto3": ["podcast/storage"],
    "azure": ["podcast/storage"],
    "flask": ["ml_backend/"],
    "label_studio_ml": ["ml_backend/"],
    "label_studio_sdk": ["labelstudio/"],
    "click": ["cli/"],
    "label_studio": [],
}


def modules() -> list[Path]:
    return sorted(path for room in ROOMS if (ROOT / room).is_dir() for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide the direction"
            yield node.module or ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    for name in imported(path):
        other = name.split(".")[0]
        if other in ROOMS and other != room:
            assert ROOMS[other] < ROOMS[room], f"{room} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    for name in imported(path):
        homes = AT_HOME.get(name.split(".")[0])
        assert homes is None or any(place.startswith(home) for home in homes), f"{place} imports {name}"


def test_every_room_is_known() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == set(ROOMS) & packages
