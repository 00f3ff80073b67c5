"""croissant.json and CITATION.cff, read by MLCommons' own library and by the schema of the Citation File Format 1.2."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import mlcroissant
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

from podcast.model import ReviewState
from releases.build import ReleaseOptions
from releases.citation import licence_address, spdx
from releases.lint import lint
from tests.releases.sessions import review, session, spread
from tests.releases.test_lint import mend_checksums
from tests.releases.test_release import released, rows, with_audio

CALLS, NO_CALLS = ReviewState.CALLS, ReviewState.NO_CALLS
QUIET = ['Property "https://schema.org/datePublished" is recommended', 'Property "https://schema.org/version" is recommended']
"""A release holds no clock, and a version of three numbers would say something of it that nobody has decided."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    said = (review("ann", CALLS, [(1, 2.5), (3, 4)]), review("bob", CALLS, [(1.125, 2)], note='no "doubt", ü'))
    tape = session("60012", review("ann", NO_CALLS), node="")
    sessions = with_audio([*spread(9, *said), *spread(2, review("ann", NO_CALLS), node="rpi_bush_point"), tape], folder / "in")
    return released(sessions, folder, ReleaseOptions("podcast 2026 ü"))


def test_croissant_loads_every_record_of_every_table(release: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    dataset = mlcroissant.Dataset(jsonld=str(release / "croissant.json"))
    warned = [line for line in dataset.metadata.ctx.issues.report().splitlines() if line.strip().startswith("-")]
    assert len(warned) == 2 and all(quiet in line for quiet, line in zip(QUIET, warned, strict=True))
    assert "@context" not in caplog.text  # not the standard one, it would say
    tables = {path.stem: rows(path) for ending in ("tsv", "csv") for path in release.glob(f"*.{ending}")}
    assert {records.uuid for records in dataset.metadata.record_sets} == set(tables)
    for name, expected in tables.items():
        loaded = list(dataset.records(record_set=name)) if expected else []
        assert [_texts(name, record) for record in loaded] == [_numbers(row) for row in expected], name
    assert len(tables["annotations"]) == 18 and len(tables["sessions"]) == 12
    (wavs,) = [item for item in dataset.metadata.distribution if item.uuid == "wav"]
    assert {path.name for path in release.glob(wavs.includes[0])} == {row["wav_filename"] for row in tables["sessions"]}


def _texts(name: str, record: dict[str, Any]) -> dict[str, Any]:
    """A record as text: times as the tables have them."""
    found = {}
    for field, value in record.items():
        if value is None or value != value:  # NaN
            text = ""
        elif isinstance(value, bytes):
            text = value.decode()
        elif hasattr(value, "isoformat"):
            column_is_date = field.endswith("/date")
            text = f"{value:%Y-%m-%d}" if column_is_date else value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
        found[field.removeprefix(f"{name}/")] = _number(text)
    return found


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    return {column: _number(cell) for column, cell in row.items()}


def _number(text: str) -> float | str:
    """0.50 and 0.5 are one number, and so are 1 and 1.0."""
    try:
        return float(text)
    except ValueError:
        return text


def test_the_citation_is_valid(release: Path, tmp_path: Path) -> None:
    schema = get_builtin_schema("vendor.citation-file-format")
    assert "1.2" in schema["$id"]
    found = yaml.safe_load((release / "CITATION.cff").read_text("utf-8"))
    jsonschema.Draft7Validator(schema).validate(found)
    assert (found["title"], found["license"], found["type"]) == ("podcast 2026 ü", "CC-BY-NC-SA-4.0", "dataset")
    own = released(spread(3, review("ann", CALLS, [(1, 2)])), tmp_path, ReleaseOptions("r", with_audio=False, licence="ask us"))
    found = yaml.safe_load((own / "CITATION.cff").read_text())
    jsonschema.Draft7Validator(schema).validate(found)
    assert "license" not in found and found["abstract"].endswith("Licence: ask us.")


@pytest.mark.parametrize(
    ("licence", "identifier", "address"),
    [
        ("CC BY-NC-SA 4.0", "CC-BY-NC-SA-4.0", "https://creativecommons.org/licenses/by-nc-sa/4.0/"),
        ("cc by 4.0", "CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/"),
        ("CC0 1.0", "CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("CC BY-SA-NC 4.0", "", "CC BY-SA-NC 4.0"),
        ("Open Government Licence", "", "Open Government Licence"),
    ],
)
def test_licences(licence: str, identifier: str, address: str) -> None:
    assert (spdx(licence), licence_address(licence)) == (identifier, address)


def drop_a_table(content: dict[str, Any]) -> None:
    del content["distribution"][3]


def other_sum(content: dict[str, Any]) -> None:
    content["distribution"][3]["sha256"] = "0" * 64


def other_column(content: dict[str, Any]) -> None:
    content["recordSet"][3]["field"][1]["source"]["extract"]["column"] = "ring"


def no_version(content: dict[str, Any]) -> None:
    del content["conformsTo"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = released(spread(3, review("ann", CALLS, [(1, 2)])), tmp_path_factory.mktemp("small"))
    assert list(lint(str(own))) == []
    return own


@pytest.mark.parametrize("spoil", [drop_a_table, other_sum, other_column, no_version])
def test_the_linter_sees_a_croissant_that_is_not_true(
    spoil: Callable[[dict[str, Any]], None], small: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(small, tmp_path / "own")
    content = json.loads((own / "croissant.json").read_text())
    spoil(content)
    (own / "croissant.json").write_text(json.dumps(content))
    mend_checksums(own)
    assert {(item.file, item.rule) for item in lint(str(own))} == {("croissant.json", "croissant")}


@pytest.mark.parametrize(
    "text",
    ["cff-version: 1.2.0\ntitle: a\n", "cff-version: 1.1.0\ntitle: a\nmessage: b\nauthors: [{name: c}]\n", "- a\n", "a: ["],
)
def test_the_linter_sees_a_citation_that_is_none(text: str, small: Path, tmp_path: Path) -> None:
    own = shutil.copytree(small, tmp_path / "own")
    (own / "CITATION.cff").write_text(text)
    mend_checksums(own)
    assert [(item.file, item.rule) for item in lint(str(own))] == [("CITATION.cff", "citation")]
