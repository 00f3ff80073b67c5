"""A round of local files in a real Label Studio, the default set-up: exported with its audio, and again after a change."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from click.testing import CliRunner
from pyarrow import parquet

from cli.main import cli
from labelstudio.labels import LabelConfig
from labelstudio.sync import Target, sync
from podcast.model import ReviewState
from tests.conftest import LabelStudio, write_noise
from tests.releases.sessions import review, spread

CONFIG = LabelConfig.load()


def export(studio: LabelStudio, round_name: str, name: str, to: Path) -> dict[str, Any]:
    words = ("export", "--round", round_name, "--format", name, "--to", str(to), "--json")
    result = CliRunner().invoke(cli, words, env=studio.env)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def test_a_live_round_of_local_files(studio: LabelStudio, tmp_path: Path) -> None:
    name, rates = "export-of-a-live-round", (20_000, 32_000, 44_100)
    sessions = [replace(item, round=name) for item in spread(3, review("", ReviewState.CALLS, [(1.5, 2.75)]))]
    for seed, (item, rate) in enumerate(zip(sessions, rates, strict=True)):
        write_noise(studio.audio / f"{item.id}.wav", 60, rate, seed)
    project = studio.server.sdk.projects.create(title=name, label_config=CONFIG.xml).id
    target = Target(studio.server, project, name, CONFIG, lambda item: f"/data/local-files/?d=audio/{item.id}.wav")
    assert sync(target, sessions).refusals == []

    printed = export(studio, name, "raven", tmp_path / "raven")
    assert (printed["written"], printed["warnings"]) == (3, [])
    tables = sorted((tmp_path / "raven").glob("*.txt"))
    assert [pd.read_csv(path, sep="\t")["High Freq (Hz)"].tolist() for path in tables] == [[rate / 2] for rate in rates]

    printed = export(studio, name, "audiofolder", tmp_path / "folder")
    assert (printed["written"], printed["refused"]) == (3, 0)
    rows = [row for path in (tmp_path / "folder").glob("*/metadata.parquet") for row in parquet.read_table(path).to_pylist()]
    assert {row["session_id"] for row in rows} == {item.id for item in sessions}
    for item in sessions:
        (copy,) = (tmp_path / "folder").glob(f"*/{item.id}.wav")
        assert copy.read_bytes() == (studio.audio / f"{item.id}.wav").read_bytes()

    # A disk that is full after 100 bytes of a file: one line that names it, and a folder that the next export mends.
    words = ("export", "--round", name, "--to", str(tmp_path / "full"))
    full = subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        env={**os.environ, **studio.env},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        capture_output=True,
        text=True,
    )
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1 and f"error: {tmp_path / 'full'}/export.jsonl: cannot be written" in full.stderr
    assert not [path for path in (tmp_path / "full").rglob("*") if path.is_file()]
    assert export(studio, name, "podcast-json", tmp_path / "full")["written"] == 3

    # An answer is taken back: its files go from a folder that is exported into again.
    task = next(task for task in studio.server.export(project) if task["data"]["session_id"] == sessions[1].id)
    studio.server.sdk.annotations.delete(task["annotations"][0]["id"])
    for kind in ("raven", "audiofolder"):
        to = tmp_path / {"raven": "raven", "audiofolder": "folder"}[kind]
        printed = export(studio, name, kind, to)
        assert (printed["written"], printed["unreviewed"], printed["refused"]) == (2, 1, 0)
        assert not list(to.rglob(f"{sessions[1].id}*"))
        export(studio, name, kind, tmp_path / f"fresh-{kind}")
        fresh = {path.name: path.read_bytes() for path in (tmp_path / f"fresh-{kind}").rglob("*") if path.is_file()}
        assert {path.name: path.read_bytes() for path in to.rglob("*") if path.is_file()} == fresh
