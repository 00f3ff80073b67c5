"""The files that the cases begin with: real ones of the data folder, and what this project and Label Studio made of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from click.testing import CliRunner

from cli.main import cli
from podcast.dataset_table import DETECTION_COLUMNS
from tests.fuzz.mutators import SECRETS, Rows

EXPORT = Path(__file__).with_name("label-studio-export.json")
"""Six sessions as a real Label Studio 1.23.2 exported them: boxes kept, moved and added, texts, answers, and a skip."""
SETTINGS = {
    "LABEL_STUDIO_URL": "http://127.0.0.1:1",
    "LABEL_STUDIO_API_KEY": SECRETS[0],
    "ML_BASIC_AUTH_USER": "",
    "ML_BASIC_AUTH_PASSWORD": "",
    "ML_BACKEND_URL": f"http://someone:{SECRETS[2]}@127.0.0.1:1",
    "AZURE_STORAGE_CONNECTION_STRING": "",
    "AWS_ACCESS_KEY_ID": "AKIAFUZZ",
    "AWS_SECRET_ACCESS_KEY": SECRETS[0],
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_MAX_ATTEMPTS": "1",
    "ML_DETECTOR": "energy",
    "ML_CACHE_DIR": "cache",
}
"""The environment of every case: no server answers, and every key that there can be is one of the secrets."""
MINUTES_HZ = 2000


@dataclass(frozen=True)
class Seeds:
    """`data` is laid out as tests/data; `work` is a folder for what is made of it."""

    data: Path
    work: Path

    def rows(self, name: str, delimiter: str, first: int, count: int = 12) -> Rows:
        """The header and a few lines of a table of labels."""
        with (self.data / "labels" / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter=delimiter))
        return [rows[0], *rows[first : first + count]]

    @cached_property
    def export(self) -> list[dict[str, Any]]:
        """Label Studio's export."""
        tasks: list[dict[str, Any]] = json.loads(EXPORT.read_bytes())
        return tasks

    @cached_property
    def load_files(self) -> list[Any]:
        """Pod.Cast's load and submit files that are JSON."""
        paths = sorted((self.data / "labels/podcast_json").glob("*.json"))
        return [json.loads(path.read_bytes()) for path in paths if not path.name.endswith("-old.json")]

    def label(self, name: str) -> Any:
        """One JSON file of the labels."""
        return json.loads((self.data / "labels" / name).read_bytes())

    @property
    def old_file(self) -> bytes:
        """An old submit file in Python's notation."""
        return (self.data / "labels/podcast_json/example-submit-old.json").read_bytes()

    @cached_property
    def boxes_table(self) -> Rows:
        """A table as `podcast detect` writes it: two sessions with boxes, one without."""
        rows: Rows = [list(DETECTION_COLUMNS)]
        for name in ("OS_7_05_2019_08_24_00__0000.wav", "rpi_bush_point_2020_11_01_01_59_55_PDT.wav"):
            rows += [[name, f"{1.5 + 4 * n}", f"{0.25 + n / 8}", f"{0.5 + n / 16}", "energy:1"] for n in range(4)]
        return [*rows, ["tape-7.wav", "0.0", "0.0", "0.0", "energy:1"]]

    @cached_property
    def minutes(self) -> Path:
        """A folder with a minute of faint noise for every session that the seeds name."""
        folder, samples = self.work / "minutes", np.random.default_rng(0).normal(0, 0.01, (60 * MINUTES_HZ, 1))
        folder.mkdir(parents=True, exist_ok=True)
        names = {row[0].removesuffix(".wav") for row in self.boxes_table[1:]}
        names |= {file["uri"].replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".wav") for file in self.load_files}
        for name in names:
            soundfile.write(folder / f"{name}.wav", samples, MINUTES_HZ, subtype="PCM_16")
        return folder

    @cached_property
    def release(self) -> Path:
        """A release of the export."""
        words = ("release", "--file", str(EXPORT), "--to", str(self.work), "--name", "released", "--no-audio")
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, result.output
        return self.work / "released"

    @cached_property
    def sounds(self) -> Sequence[bytes]:
        """Two seconds of a real recording in every format that libsndfile writes and people hand over."""
        samples, rate = soundfile.read(self.data / "bouts" / "example.wav", frames=60_000, dtype="float32", always_2d=True)
        found = []
        for kind, subtype in (
            *(
                ("WAV", "PCM_16"),
                ("WAV", "PCM_24"),
                ("WAV", "FLOAT"),
                ("WAV", "MS_ADPCM"),
                ("WAVEX", "PCM_16"),
                ("RF64", "PCM_16"),
            ),
            *(("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"), ("AU", "PCM_16")),
        ):
            file = io.BytesIO()
            soundfile.write(file, samples, rate if kind != "MP3" else 44_100, subtype=subtype, format=kind)
            found.append(file.getvalue())
        return found

    @cached_property
    def raw_sounds(self) -> bytes:
        """The beginning of a real recording, to the byte."""
        return (self.data / "bouts" / "example.wav").read_bytes()[:100_000]
