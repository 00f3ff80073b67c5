"""`podcast plan`, and the round that is made of it: from WAVs, tables and the archive, in the plan's order."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cli.main import cli
from cli.planned import planned_sessions
from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_task
from planning.table import read_plan, write_plan
from podcast import audio
from podcast.errors import Refusal

NODE = "rpi_orcasound_lab"


def run(*words: object) -> dict[str, Any]:
    result = CliRunner().invoke(cli, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_noise(path: Path, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.1, (16_000, 1)).astype(np.float32)
    audio.write_wav(str(path), samples, 16_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for minute in range(12):
        write_noise(tmp_path / "wav" / f"{NODE}_2020_09_30_19_{minute:02d}_00_PDT.wav", minute)
    return tmp_path / "wav"


def test_wavs_are_listened_to_once_and_the_plan_is_the_same_to_the_byte(folder: Path, tmp_path: Path) -> None:
    words = ("plan", folder, "--gap", 0, "--size", 5, "--no-rounds", "--work", tmp_path / "work", "--workers", 1)
    done = run(*words, "-o", tmp_path / "a.csv", "--detector", "energy")
    assert (done["planned"], done["pool"], sum(done["reasons"].values())) == (5, 12, 5)
    assert Image.open(done["plot"]).format == "PNG"
    found = rows(tmp_path / "a.csv")
    assert {row["node"] for row in found} == {NODE} and {row["source"] for row in found} == {str(folder)}
    assert all(0 < float(row["least_probability"]) <= float(row["probability"]) <= 1 for row in found)
    assert all(row["chance_of_calls"] and row["duration_s"] == "1" for row in found)
    run(*words, "-o", tmp_path / "b.csv", "--detector", "energy")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    # What a plan has is not planned again, and neither is its audio under another name.
    again = run(*words, "-o", tmp_path / "c.csv", "--detector", "energy", "--held", tmp_path / "a.csv")
    assert (again["pool"], again["held"]) == (7, 5)
    assert not {row["session_id"] for row in rows(tmp_path / "c.csv")} & {row["session_id"] for row in found}


def test_a_table_makes_a_round_in_the_plans_order_with_its_predictions(folder: Path, tmp_path: Path) -> None:
    names = [path.name for path in sorted(folder.glob("*.wav"))]
    table = tmp_path / "predictions.tsv"
    lines = [f"{name}\t0.25\t0.5\t{0.1 * (at % 10):.1f}\tenergy:1\n" for at, name in enumerate(names)]
    table.write_text(
        "wav_filename\tstart_time_s\tduration_s\tconfidence\tmodel_version\n" + "".join(lines) + "other.wav\tx\t1\t1\te\n"
    )
    result = CliRunner().invoke(
        cli, ["plan", str(table), "--gap", "0", "--size", "6", "-o", str(tmp_path / "p.csv"), "--no-rounds", "--json"]
    )
    assert result.exit_code == 2 and "line 14" in result.stdout  # the bad line is named, and the plan is there
    plan = rows(tmp_path / "p.csv")
    done = run("tasks", tmp_path / "p.csv", "-o", tmp_path / "tasks.json", "--audio", folder, "--page-audio", "original")
    assert done["written"] == 6
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [task["data"]["session_id"] for task in tasks] == [row["session_id"] for row in plan]
    for task, row in zip(tasks, plan, strict=True):
        assert task["data"]["plan"] == {
            "reason": row["reason"],
            "probability": float(row["probability"]),
            "least": float(row["least_probability"]),
            "pool": 12,
        }
        assert task["data"].get("blind", False) is (row["blind"] == "yes")
        assert [item["score"] for item in task["predictions"]] == (
            [] if row["blind"] == "yes" else [float(row["chance_of_calls"])]
        )
        session = from_task({"id": 1, "annotations": [], **task}, LabelConfig.load())
        assert session.planned is not None and session.planned.reason == row["reason"]


def test_a_window_of_the_archive_is_planned_and_cut_where_the_plan_says(small_data: Path, tmp_path: Path) -> None:
    archive = ("--archive", small_data / "hls", "--work", tmp_path / "work")
    window = ("--start", "2020-10-01 02:40:02 UTC", "--end", "2020-10-01 02:42:10 UTC", "--session-length", 10)
    words = ("plan", f"hls://{NODE}", *window, *archive, "--detector", "energy", "--workers", 1, "--gap", 20, "--no-rounds")
    done = run(*words, "--size", 2, "-o", tmp_path / "p.csv")
    assert done["planned"] == 2 and any("hole of" in words for words in done["warnings"])
    plan = rows(tmp_path / "p.csv")
    from cli.archive import ArchiveOptions, one_session
    from podcast.report import Report
    from podcast.settings import Settings

    options = ArchiveOptions(
        None,
        None,
        None,
        0.0,
        str(small_data / "hls"),
        "",
        "us-west-2",
        2.0,
        60,
        "energy",
        False,
        "local",
        None,
        1,
        tmp_path / "w",
    )

    def cut(choice: Any) -> Any:
        return one_session(options, str(tmp_path / "wav"), None, Settings(), Report(), choice)

    found = list(planned_sessions(str(tmp_path / "p.csv"), lambda *_: [], cut))
    assert [item.id for item in found if not isinstance(item, Refusal)] == [row["session_id"] for row in plan]
    for session, row in zip(found, plan, strict=True):
        assert not isinstance(session, Refusal) and session.planned and session.recording.start
        assert session.planned.reason == row["reason"]
        assert session.recording.start.isoformat(timespec="microseconds") == row["start_utc"].replace("Z", "+00:00")
        assert session.recording.duration_s == pytest.approx(float(row["duration_s"]), abs=0.001)


def test_a_plan_comes_back_as_it_was_written_and_bad_rows_are_refused(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "p.csv"
    run("plan", folder, "--detector", "none", "--gap", 0, "--size", 6, "-o", path, "--no-rounds")
    choices = list(read_plan(str(path)))
    write_plan(str(tmp_path / "q.csv"), [item for item in choices if not isinstance(item, Refusal)])
    assert (tmp_path / "q.csv").read_bytes() == path.read_bytes()
    first = rows(path)[0]["session_id"]
    text = path.read_text().replace("\n" + first + "," + NODE, f"\n../{first},{NODE}", 1)
    lines = text.splitlines()
    lines[2] = lines[2].replace(",no,", ",maybe,").replace(",yes,", ",maybe,")
    lines[3] = lines[3].replace("random,0.5,", "random,1.5,")
    path.write_text("\n".join(lines))
    reasons = [item.reason for item in read_plan(str(path)) if isinstance(item, Refusal)]
    assert ["slash" in reasons[0], "blind" in reasons[1], "probability" in reasons[2]] == [True] * 3 and len(reasons) == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--size", "3", "-o", "plan.tsv"], "suffix .csv"),
        (["--size", "3", "-o", "p.csv", "--mix", "likely"], "'likely': expected a name"),
        (["--size", "3", "-o", "p.csv", "--quota", "22-30=0.5"], "hours of day go from 0 to 24"),
        (["--size", "3", "-o", "p.csv", "--quota", "a=0.7", "--quota", "b=0.7"], "the quotas of nodes sum to 1.4"),
        (["--size", "3", "-o", "p.csv", "--quota", "rpi_nowhere=0.5", "--no-rounds"], "no session of 'rpi_nowhere'"),
        (["--size", "3", "-o", "p.csv", "--start", "2020-01-01"], "are for sources hls://NODE"),
    ],
)
def test_what_cannot_be_planned_is_refused(folder: Path, words: list[str], expected: str) -> None:
    result = CliRunner().invoke(cli, ["plan", str(folder), "--detector", "none", *words])
    assert result.exit_code == 2 and expected in result.stderr
