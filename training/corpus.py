"""Training sounds from a manifest: a table `path role session label licence`, tab separated, paths beside the table.

Role `positive` is one call a file; `negative` is sound without calls. What a licence does not permit weights to be trained on is
kept apart, for tests alone.
"""

from __future__ import annotations

import csv
import io

from detectors.starter import at_own_rate
from podcast import audio, storage
from podcast.errors import InputError
from training.loop import Sounds
from training.sounds import Clip, without_noise

COLUMNS = ("path", "role", "session", "label", "licence")
FORBIDDEN = "GPL"


def read_manifest(uri: str) -> tuple[Sounds, Sounds]:
    """The sounds to train on, and backgrounds for tests alone. Raises InputError for a missing column."""
    calls, others, backgrounds, tests = [], [], [], []
    rows = csv.DictReader(io.StringIO(storage.read(uri).decode("utf-8-sig")), delimiter="\t")
    if missing := [column for column in COLUMNS if column not in (rows.fieldnames or [])]:
        raise InputError(f"{uri}, line 1: columns {missing} are missing; expected {list(COLUMNS)}")
    for row in rows:
        if row["role"] not in ("positive", "negative"):
            continue
        wave = at_own_rate(*audio.read(storage.join(uri.rpartition("/")[0] or ".", row["path"])))
        clip = Clip(wave, row["session"])
        if FORBIDDEN in row["licence"]:
            tests.append(clip)
        elif row["role"] == "positive":
            call, noise = without_noise(wave)
            calls.append(Clip(call, row["session"]))
            others.append(Clip(noise, row["session"]))
        elif "humpback" in row["label"]:
            others += [Clip(wave, row["session"])] * 6
        else:
            backgrounds.append(clip)
    return Sounds(tuple(calls), tuple(others), tuple(backgrounds)), Sounds(backgrounds=tuple(tests))
