"""`podcast models`: what maintainers see of the registry, and how they choose what serves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import cli
from detectors.model_folder import Model, seal
from detectors.registry import Registry, Verdict
from tests.conftest import write_noise
from tests.detectors.test_registry import run

REGISTRY = ".podcast/models"


def podcast(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["models", *words])
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code, result.stdout, result.stderr


def answered(*words: str) -> dict[str, Any]:
    status, out, _ = podcast(*words, "--json")
    assert status == 0, out
    found: dict[str, Any] = json.loads(out)
    return found


def recording(name: str, node: str, calls: Sequence[Sequence[float]], boxes: Sequence[Sequence[float]]) -> dict[str, Any]:
    return {"name": name, "node": node, "length_s": 60.0, "calls": calls, "unsure": [], "boxes": boxes}


def finished(folder: Path, least: float, recordings: Sequence[dict[str, Any]], **more: Any) -> Path:
    """A finished run whose test has these answers."""
    run(folder, least)
    (folder / "scores.json").write_text(json.dumps({"recordings": recordings, **more}))
    files, told = ["rules.json", "README.md", "scores.json"], {"parent": "energy:1", "recipe": "rules", "rounds": ["r"]}
    seal(folder, files, detector="energy", version="1", strengths="1-b2c6129f", counts={"sessions": 20}, **told)  # type: ignore[arg-type]
    return folder


def two(tmp_path: Path) -> tuple[Model, Model]:
    registry = Registry(REGISTRY)
    first, second = (
        registry.add(
            finished(tmp_path / str(least), least, [], before={"edits_a_minute": 6.25}, after={"edits_a_minute": 10 * least})
        )
        for least in (0.3, 0.4)
    )
    return first, second


def test_an_empty_registry_says_what_serves() -> None:
    assert podcast() == (
        0,
        "No models yet in .podcast/models: `podcast train` makes one, `podcast models add` takes it.\n"
        "Nothing is promoted: ML_DETECTOR serves.\n",
        "",
    )
    assert answered()["in_service"] is None


def test_added_promoted_rolled_back(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run", 0.3, [])
    name = answered("add", str(folder))["name"]
    assert answered("add", str(folder))["name"] == name
    other = answered("add", str(finished(tmp_path / "other", 0.4, [])))["name"]
    assert podcast("promote", name[:-3])[1] == f"Promotion 1: {name} promoted by the maintainer in place of ML_DETECTOR\n"
    assert answered("promote", other, "--why", "fewer ships")["number"] == 2
    assert answered()["in_service"] == other
    _, out, _ = podcast()
    assert f"Promotion 2: {other} promoted by the maintainer in place of {name}: fewer ships" in out
    [row] = [line for line in out.splitlines() if f" {other} " in line and "\u2502" in line]
    assert [cell.strip() for cell in row.strip("\u2502").split("\u2502")][:5] == [other, "yes", "rules", "energy:1", "20"]
    assert podcast("rollback", "--why", "no")[1] == f"Promotion 3: {name} put back in place of {other}: no\n"
    assert answered("rollback")["model"] is None
    status, _, errors = podcast("rollback")
    assert (status, errors) == (2, "error: .podcast/models: no promotion is in force that could be taken back\n")


def test_overruling_the_gate_takes_a_reason_that_stays(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    registry = Registry(REGISTRY)
    registry.record_verdict(first.name, Verdict(False, "12 held-out recordings are missing", {}))
    registry.record_verdict(second.name, Verdict(True, "fewer edits", {}))
    status, _, errors = podcast("promote", first.name)
    assert (status, errors.count("\n")) == (2, 1)
    assert "12 held-out recordings are missing. To overrule it say --why" in errors
    assert registry.in_service() is None
    podcast("promote", first.name, "--why", "heard them all")
    shown = answered("show", first.name)
    assert [(one["by"], one["why"]) for one in shown["promotions"]] == [("maintainer", "heard them all")]
    assert shown["verdict"]["promoted"] is False
    assert "refused: 12 held-out recordings are missing" in podcast()[1]
    assert [row["edits_a_minute"] for row in answered()["models"] if row["name"] == first.name] == [[6.25, 3.0]]
    podcast("promote", second.name)  # the gate agrees
    assert registry.in_service() == second.name


def test_show_tells_what_it_is_and_whether_it_is_whole(tmp_path: Path) -> None:
    model, _ = two(tmp_path)
    status, out, _ = podcast("show", model.name[:-1])
    assert status == 0
    for words in (f"name: {model.name}", "rounds: r", "counts: sessions 20", "whole: every file has its SHA-256"):
        assert words in out.splitlines() or words in out
    (Path(model.uri) / "README.md").write_text("changed")
    assert "damaged: " in podcast("show", model.name)[1]
    assert "README.md: damaged" in answered("show", model.name)["damage"]
    (Path(model.uri) / "scores.json").write_text("{}")
    status, out, errors = podcast()  # the rest is shown
    assert (status, errors.count("refused: ")) == (2, 1)
    assert "scores.json: damaged" in errors


def test_two_models_on_the_recordings_of_both(tmp_path: Path) -> None:
    calls = [[10.0, 12.0], [20.0, 22.0]]
    first = [
        recording("a", "rpi_north", calls, [[10.0, 12.0, 0.9], [40.0, 41.0, 0.3]]),  # one kept, one deleted, one added
        recording("b", "rpi_south", [], [[5.0, 6.0, 0.5]]),  # one deleted
        recording("only first", "rpi_south", [], []),
        recording("changed", "rpi_south", [], []),
    ]
    second = [
        recording("a", "rpi_north", calls, [[10.1, 12.0, 0.8], [20.0, 22.5, 0.6]]),  # one kept, one moved
        recording("b", "rpi_south", [], []),
        recording("changed", "rpi_south", [[1.0, 2.0]], []),
    ]
    names = [
        answered("add", str(finished(tmp_path / str(i), 0.3 + i / 10, some)))["name"] for i, some in enumerate((first, second))
    ]
    found = answered("compare", *names)
    assert found["recordings"] == ["a", "b"]
    rows = {row["name"]: row["models"] for row in found["rows"]}
    assert list(rows) == ["rpi_north", "rpi_south", "all"]
    assert [[one[key] for key in ("kept", "moved", "deleted", "added")] for one in rows["rpi_north"]] == [
        [1, 0, 1, 1],
        [1, 1, 0, 0],
    ]
    assert [one["edits_a_minute"] for one in rows["all"]] == [1.5, 0.5]  # three and one, in two minutes
    assert [one["edits_a_minute"] for one in rows["rpi_south"]] == [1.0, 0.0]
    # Of the four seconds with a call the first finds two at precision 1, and none of the others before all 60 seconds.
    assert rows["rpi_north"][0]["average_precision"] == pytest.approx(0.5 + 0.5 * 4 / 60)
    assert rows["rpi_south"][0]["average_precision"] is None
    # 0.9 on a call, 0.3 and 0.5 on none; 0.8 and 0.6 on calls.
    assert [one["calibration_error"] for one in rows["all"]] == pytest.approx([(0.1 + 0.3 + 0.5) / 3, (0.2 + 0.4) / 2])
    assert found["warnings"] == [
        f"left out: 1 recordings that were a test of {names[0]} and not of {names[1]}",
        "left out: 1 recordings of which people said something else between the two tests",
    ]
    status, out, errors = podcast("compare", *names)
    assert (status, errors.count("warning: left out")) == (0, 2)
    [row] = [line for line in out.splitlines() if "all" in line]
    assert [cell.strip() for cell in row.split("\u2502")][2:4] == ["2.0", "1.0"]


def test_models_without_a_common_test_are_not_compared(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    status, out, errors = podcast("compare", first.name, second.name)
    assert (status, out) == (0, "")
    assert errors == "warning: no recording was a test of both, so the two cannot be compared\n"
    broken = Registry(REGISTRY).add(finished(tmp_path / "broken", 0.7, [{"name": "a"}]))
    status, _, errors = podcast("compare", first.name, broken.name)
    assert status == 2 and "scores.json: recordings: holds no answers" in errors


def test_the_doctor_says_what_serves_and_what_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "")

    def finding() -> dict[str, Any]:
        result = CliRunner().invoke(cli, ["doctor", "--json"])
        [found] = [one for one in json.loads(result.stdout)["findings"] if one["what"] == "model in service"]
        assert isinstance(found, dict)
        return found

    assert (finding()["good"], finding()["detail"]) == (True, "energy, ML_DETECTOR: nothing is promoted")
    model, _ = two(tmp_path)
    podcast("promote", model.name, "--why", "better")
    expected = f"Promotion 1: {model.name} promoted by the maintainer in place of ML_DETECTOR: better"
    assert (finding()["good"], finding()["detail"]) == (True, expected)
    (Path(model.uri) / "config.json").unlink()
    assert not finding()["good"] and "config.json: there is no such file" in finding()["detail"]


def test_what_is_in_service_detects_where_no_detector_is_named(tmp_path: Path) -> None:
    model = Registry(REGISTRY).add(run(tmp_path / "run"))
    podcast("promote", model.name)
    write_noise(tmp_path / "a.wav", 5.0)
    done = CliRunner().invoke(cli, ["detect", "a.wav", "--workers", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model_version"] == f"energy:{model.version}"
