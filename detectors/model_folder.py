"""A trained model as a folder, in the layout of the Hugging Face hub: `config.json` beside weights, rules, card and scores.

`config.json` holds the SHA-256 of every other file and is written last, so a folder without it is no model, and the SHA-256 of
`config.json` stands for the whole content. Nothing in such a folder is ever run: weights are safetensors, all else is text or a
picture.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from podcast import storage
from podcast.errors import InputError, NotFoundError
from podcast.reading import parse_json

CONFIG, WEIGHTS, RULES = "config.json", "model.safetensors", "rules.json"
CARD, SCORES = "README.md", "scores.json"
FORMAT = 1
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.(?:safetensors|json|md|png)")
"""What a model's file may be called: no folder, nothing hidden, and no kind that could hold a pickle."""
DETECTOR = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Model:
    """One model's folder, by its `config.json`.

    `version` is the model version at the time of training, `parent` what it began from, `rounds` and `counts` what it learned
    from, `code` the version of this program that made it, `files` the SHA-256 of every other file.
    """

    uri: str
    digest: str
    detector: str
    version: str
    strengths: str
    recipe: str
    parent: str
    rounds: tuple[str, ...]
    counts: Mapping[str, int]
    code: str
    files: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name in a registry, made of the content: the same files have the same name everywhere."""
        return f"{self.detector}-{self.digest[:12]}"

    @property
    def spec(self) -> str:
        """What `load_detector` takes."""
        return f"model:{self.uri}"

    def read(self, file: str) -> bytes:
        """One of its files. Raises InputError if it is not there, or is not what the model was made with."""
        place = storage.join(self.uri, file)
        if file not in self.files:
            raise InputError(f"{self.uri}: this model has no {file}")
        try:
            content = storage.read(place)
        except NotFoundError as error:
            raise InputError(f"{place}: missing, though {CONFIG} names it; add the model again, or fetch it again") from error
        if hashlib.sha256(content).hexdigest() != self.files[file]:
            raise InputError(f"{place}: damaged, its SHA-256 is not the one in {CONFIG}; add the model again, or fetch it again")
        return content

    def scores(self) -> dict[str, Any]:
        """What `scores.json` holds; empty where the model has none. Raises InputError if it is damaged."""
        if SCORES not in self.files:
            return {}
        found = parse_json(self.read(SCORES), storage.join(self.uri, SCORES))
        if not isinstance(found, dict):
            raise InputError(f"{storage.join(self.uri, SCORES)}: expected an object")
        return found

    def check(self) -> None:
        """Read every file. Raises InputError naming the first that is missing or damaged."""
        for file in self.files:
            self.read(file)


def read_model(uri: str) -> Model:
    """The model in the folder `uri`, by its `config.json` alone.

    Raises NotFoundError if the folder holds no model, InputError for a config that is damaged, that a newer version of this
    program wrote, or that names files outside of the folder.
    """
    if not uri:
        raise InputError("model: names no folder; expected model:URI")
    place = storage.join(uri, CONFIG)
    content = storage.read(place)
    whole = parse_json(content, place)
    try:
        if (made := int(whole["format"])) > FORMAT:
            code = whole.get("code")
            raise InputError(f"{place}: made by a newer version of this program ({code}, format {made}); upgrade to use it")
        model = Model(
            uri.rstrip("/"),
            hashlib.sha256(content).hexdigest(),
            rounds=tuple(map(str, whole["rounds"])),
            counts={str(name): int(count) for name, count in whole["counts"].items()},
            files={str(name): str(digest) for name, digest in whole["files"].items()},
            **{name: str(whole[name]) for name in ("detector", "version", "strengths", "recipe", "parent", "code")},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{place}: describes no model ({type(error).__name__}: {error})") from error
    if not DETECTOR.fullmatch(model.detector):
        raise InputError(f"{place}: detector: {model.detector!r} is no detector's name")
    for file, digest in model.files.items():
        if not FILE.fullmatch(file) or file == CONFIG:
            raise InputError(f"{place}: files: {file!r} is no file that a model may have; weights are {WEIGHTS}, never a pickle")
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise InputError(f"{place}: files.{file}: expected a SHA-256 of 64 hexadecimal digits")
    return model


def seal(
    folder: Path,
    files: Sequence[str],
    *,
    detector: str,
    version: str,
    strengths: str,
    recipe: str,
    parent: str,
    rounds: Sequence[str],
    counts: Mapping[str, int],
    more: Mapping[str, Any] | None = None,
) -> Model:
    """Make a model of the files in a finished run's folder, by writing its `config.json`; other files there are no part of it.

    `strengths` as `Framed.strengths` has it; for the others see `Model`. `more` is kept beside them for people. The same
    arguments and files give the same bytes.
    """
    whole = {
        **(more or {}),
        "format": FORMAT,
        "detector": detector,
        "version": version,
        "strengths": strengths,
        "recipe": recipe,
        "parent": parent,
        "rounds": sorted(rounds),
        "counts": dict(counts),
        "code": installed("orcasound-podcast"),
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    storage.write(str(folder / CONFIG), (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode())
    return read_model(str(folder))


@contextmanager
def fetched(model: Model) -> Iterator[tuple[str, str]]:
    """Copies of a model's weights and rules for as long as the block lasts, "" for what it has not: what was checked is what is
    loaded. Errors about them name the model's own files. Raises InputError for a file that is missing or damaged.
    """
    with tempfile.TemporaryDirectory(prefix="podcast-model-") as folder:
        paths = {name: Path(folder) / name for name in (WEIGHTS, RULES) if name in model.files}
        for name, path in paths.items():
            path.write_bytes(model.read(name))
        try:
            yield str(paths.get(WEIGHTS, "")), str(paths.get(RULES, ""))
        except InputError as error:
            raise InputError(str(error).replace(folder, model.uri)) from error
