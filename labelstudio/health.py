"""What can be wrong with a round in Label Studio, and how to mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labelstudio.audio import audio_place
from labelstudio.client import Server
from labelstudio.cloud import audio_problem
from labelstudio.labels import LabelConfig
from podcast.errors import PodcastError

Json = dict[str, Any]

TESTED_VERSION = "1.23.2"
MEND_CLOUD = "import once more, which makes the storage object; its credentials must read the file (docs/storage.md)"
MEND_WEB = "the file must be public, and its server must allow other origins and ranges (docs/storage.md)"
MEND_AUDIO = {
    "": "set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED and _DOCUMENT_ROOT where Label Studio runs; import once more",
    "s3:": MEND_CLOUD,
    "azure-blob:": MEND_CLOUD,
    "http:": MEND_WEB,
    "https:": MEND_WEB,
}
"""By the beginning of an address; those of Label Studio itself begin with a slash."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `mend` says what to do where it is not `good`."""

    what: str
    good: bool
    detail: str
    mend: str = ""


def examine_server(server: Server) -> Finding:
    """Whether the server answers, takes the key, and is a version that this project was tested with."""
    try:
        version = server.version()
    except PodcastError as error:
        return Finding("Label Studio", False, str(error), "start it (`podcast demo`, or docker compose), or set LABEL_STUDIO_URL")
    tested = version == TESTED_VERSION
    return Finding("Label Studio", True, f"{version} at {server.url}{'' if tested else f'; tested with {TESTED_VERSION}'}")


def examine_round(server: Server, project: Json) -> Iterator[Finding]:
    """Everything that has been seen to go wrong with a round's project."""
    name, number = f"round {project['title']}", project["id"]
    try:
        LabelConfig.parse(project["label_config"], "its labeling configuration")
        yield Finding(f"{name}: page", True, "has every control")
    except PodcastError as error:
        yield Finding(f"{name}: page", False, str(error), "paste label_config.xml into Settings, Labeling Interface")
    sessions: Counter[str] = Counter()
    samples: dict[str, str] = {}
    for _, data in server.tasks(number):
        sessions[str(data.get("session_id", ""))] += 1
        address = str(data.get("audio", ""))
        samples.setdefault(audio_place(address), address)
    yield from _tasks(name, sessions)
    yield from _predictions(name, server, number)
    for place, address in samples.items():
        problem = audio_problem(server, number, address)
        detail = f"{address} {problem or 'plays'}"
        yield Finding(f"{name}: audio", not problem, detail, MEND_AUDIO.get(place.partition("/")[0], "") if problem else "")
    for backend in server.ml_backends(number):
        good = backend["state"] == "CO"
        detail = f"{backend['url']} {'connected' if good else backend.get('error_message') or 'not connected'}"
        mend = "start it; where it has a private address, start Label Studio with USE_DEFAULT_BANNED_SUBNETS=false"
        yield Finding(f"{name}: ML backend", good, detail, "" if good else mend)


def _tasks(name: str, sessions: Counter[str]) -> Iterator[Finding]:
    foreign, twice = sessions.pop("", 0), sorted(session for session, count in sessions.items() if count > 1)
    yield Finding(
        f"{name}: sessions",
        not twice and not foreign,
        f"{len(sessions)} sessions"
        + (f", {len(twice)} of them twice: {', '.join(twice[:5])}" if twice else "")
        + (f", {foreign} tasks without session_id" if foreign else ""),
        "delete the second tasks (was a storage synced?)" if twice or foreign else "",
    )


def _predictions(name: str, server: Server, number: int) -> Iterator[Finding]:
    versions: Counter[str] = Counter()
    pairs: Counter[tuple[int, str]] = Counter()
    for prediction in server.predictions(number):
        versions[prediction["model_version"] or "undefined"] += 1
        pairs[(prediction["task"], prediction["model_version"])] += 1
    double = sum(count > 1 for count in pairs.values())
    good = not double and "undefined" not in versions
    listed = ", ".join(f"{version}: {count}" for version, count in sorted(versions.items())) or "none"
    yield Finding(
        f"{name}: predictions",
        good,
        listed + (f"; {double} sessions have two of one version" if double else ""),
        "" if good else "delete those without a version; import the source once more: it leaves one prediction a version",
    )
