"""Imports point one way, and what belongs to one room stays in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import rooms
from tests.conftest import ROOT

# Each room may import the rooms of lower rows, never its own row's others (docs/adr/0001).
ROWS = [
    {"podcast"},
    {"importers", "exporters", "detectors", "evaluation", "labelstudio"},
    {"ml_backend", "pipeline", "releases", "training", "planning", "legacy"},
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
    "flask": ["ml_backend/", "legacy/"],
    "label_studio_ml": ["ml_backend/model.py"],
    "label_studio_sdk": ["labelstudio/"],
    "click": ["cli/"],
    "huey": ["podcast/jobs.py"],
    "redis": ["podcast/jobs.py"],
    "label_studio": ["label_studio_addon/"],
    "django": ["label_studio_addon/"],
    "rest_framework": ["label_studio_addon/"],
}

# What runs inside Label Studio, in its environment: none of the package's rooms, and none of them imports it.
ADDON = "label_studio_addon"


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


@pytest.mark.parametrize(
    "path", [*modules(), *sorted((ROOT / ADDON).rglob("*.py"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    for name in imported(path):
        homes = AT_HOME.get(name.split(".")[0])
        assert homes is None or any(place.startswith(home) for home in homes), f"{place} imports {name}"


def test_the_addon_and_the_package_know_nothing_of_each_other() -> None:
    for path in (ROOT / ADDON).rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & set(ROOMS), path
    for path in modules():
        assert ADDON not in {name.split(".")[0] for name in imported(path)}, path


def test_every_room_is_known() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", ADDON}
    assert packages == set(ROOMS) & packages


def test_the_picture_of_the_rooms_is_true() -> None:
    text = rooms.PAGE.read_text()
    assert rooms.page(text) == text, "run `make rooms`"


def test_every_decision_is_in_the_index_with_its_status() -> None:
    folder = ROOT / "docs" / "adr"
    rows = re.findall(r"^\| (\d{4}) \| \[(.+)\]\((.+)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    assert [file for _, _, file, _ in rows] == sorted(path.name for path in folder.glob("[0-9]*.md"))
    for number, title, file, status in rows:
        assert file.startswith(number) and (folder / file).read_text().split("\n")[0].endswith(title), file
        assert status == "in force" or re.fullmatch(r"replaced by \d{4}|in force, changed by \d{4}", status), file


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} links to {target}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_that_the_code_names_exist(path: Path) -> None:
    for page in re.findall(r"docs/[\w/.-]+\.md", path.read_text()):
        assert (ROOT / page).exists(), f"{path.relative_to(ROOT)} names {page}"
    for number in re.findall(r"docs/adr/(\d{4})\b", path.read_text()):
        assert list((ROOT / "docs" / "adr").glob(f"{number}-*.md")), f"{path.relative_to(ROOT)} names decision {number}"


def test_all_that_is_printed_goes_through_the_redactor() -> None:
    # The demo shows the login that it just made; everything else is printed by cli/output.py.
    printing = {
        str(path.relative_to(ROOT)) for path in modules() if re.search(r"click\.echo|(?<![\w.])print\(", path.read_text())
    }
    assert printing == {"cli/output.py", "cli/demo.py"}
