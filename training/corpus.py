"""Training sounds from a manifest: a table `path role session label licence`, tab separated, paths beside the table.

Role `positive` is one call a file; `negative` is sound without calls. What a licence does not permit weights to be trained on is
kept apart, for tests alone.
"""

from __future__ import annotations

from contextlib import closing

from detectors.starter import at_own_rate
from podcast import audio, storage
from podcast.errors import InputError, PodcastError
from podcast.reading import Table
from training.loop import Sounds
from training.sounds import Clip, without_noise

COLUMNS = ("path", "role", "session", "label", "licence")
FORBIDDEN = "GPL"
HUMPBACK = "Humpback"
"""The name in the vocabulary of the negatives that calls are most easily taken for."""


def read_manifest(uri: str) -> tuple[Sounds, Sounds]:
    """The sounds to train on, and backgrounds for tests alone. Raises InputError naming the line that is wrong: a bad line is an
    error and not a refusal, since nobody would see from the weights what they have not learned."""
    calls, others, backgrounds, tests = [], [], [], []
    with closing(storage.open_read(uri)) as file:
        for line in Table(file, uri, "\t", COLUMNS):
            row = line.cells
            if line.problem:
                raise InputError(f"{line.where}: {line.problem}")
            if row["role"] not in ("positive", "negative"):
                continue
            try:
                wave = at_own_rate(*audio.read(storage.join(uri.rpartition("/")[0] or ".", row["path"])))
            except PodcastError as error:
                raise InputError(f"{line.where}: {error}") from error
            clip = Clip(wave, row["session"])
            if FORBIDDEN in row["licence"]:
                tests.append(clip)
            elif row["role"] == "positive":
                call, noise = without_noise(wave)
                calls.append(Clip(call, row["session"]))
                others.append(Clip(noise, row["session"]))
            elif "humpback" in row["label"]:
                others += [Clip(wave, row["session"], HUMPBACK)] * 6
            else:
                backgrounds.append(clip)
    return Sounds(tuple(calls), tuple(others), tuple(backgrounds)), Sounds(backgrounds=tuple(tests))
