"""Label Studio in an environment of its own, since its pins and this project's do not go together: found, or made once."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from demo.processes import running
from podcast.errors import InputError

CONSTRAINTS = Path(__file__).parent / "constraints-label-studio.txt"
PACKAGES = ("label-studio", "whitenoise", "brotli")
"""The server, and what the add-on needs in its environment."""
BESIDE = Path(__file__).parents[1] / ".venv-label-studio"
"""Where `make` puts it."""
WHOLE = "installed"
"""An environment is whole once this file is in it; before that its making was interrupted."""


def find_label_studio() -> Path | None:
    """Its executable: $LABEL_STUDIO_COMMAND, `.venv-label-studio` beside the project, on the PATH, or as it was made here.

    Raises InputError if $LABEL_STUDIO_COMMAND is no file.
    """
    if given := os.environ.get("LABEL_STUDIO_COMMAND"):
        if not Path(given).is_file():
            raise InputError(f"LABEL_STUDIO_COMMAND: there is no file {given}")
        return Path(given)
    own = _own_environment()
    if (BESIDE / WHOLE).is_file():
        return _executable(BESIDE)
    if on_path := shutil.which("label-studio"):
        return Path(on_path)
    return _executable(own) if (own / WHOLE).is_file() else None


def install_label_studio(say: Callable[[str], None]) -> None:
    """Make the environment in the user's cache, unless Label Studio is found; tells what it does.

    Raises ServiceError if it cannot be installed, InputError if nothing can be written there.
    """
    if find_label_studio():
        return
    place = _own_environment()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = place.with_suffix(".lock").open("w")
    except OSError as error:
        raise InputError(f"Label Studio cannot be installed: {error}; name a folder for it by XDG_CACHE_HOME") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another start may be at it already: wait for that one
        if not find_label_studio():
            say(f"Installing Label Studio into {place}: once, about 300 MB to download and two minutes …")
            _install(place)


def _install(place: Path) -> None:
    python = str(place / "bin" / "python")
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(place)],
        [python, "-m", "pip", "install", "--disable-pip-version-check", "--constraint", str(CONSTRAINTS), *PACKAGES],
    ):
        log = place.with_suffix(".log")
        with running("the installation of Label Studio", command, {}, log, url="", start_s=0) as child:
            if child.process.wait():
                child.check()
    (place / WHOLE).touch()


def _own_environment() -> Path:
    """Another version of Label Studio or of Python gets a folder of its own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made_of = "\n".join([CONSTRAINTS.read_text(), sys.version, sys.base_prefix])
    return cache / "orcasound-podcast" / f"label-studio-{sha256(made_of.encode()).hexdigest()[:12]}"


def _executable(environment: Path) -> Path:
    return environment / "bin" / "label-studio"
