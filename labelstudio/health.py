"""What can be wrong with a round in Label Studio, and how to mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from labelstudio.audio import MAX_BYTES, TIMEOUT_S, audio_place
from labelstudio.client import Server
from labelstudio.cloud import audio_problem
from labelstudio.doubles import remove_doubles
from labelstudio.labels import RECORDING, LabelConfig
from labelstudio.lease import sole_writer
from labelstudio.served import LOCAL_FILES, local_file, open_served, served_path
from podcast import audio
from podcast.errors import InputError, PodcastError, UnavailableError

Json = dict[str, Any]

TESTED_VERSION = "1.23.2"
WITHOUT_ADDON = (
    "two people at once get the same session, anybody with an account may delete a round, and pages load slowly; "
    "how to add it: docs/label-studio-addon.md"
)
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
    except InputError as error:
        return Finding("Label Studio", False, str(error), "make a token in Label Studio (Account & Settings), and set it in .env")
    except UnavailableError as error:
        return Finding("Label Studio", False, str(error), "start it (`podcast demo`, or docker compose), or set LABEL_STUDIO_URL")
    except PodcastError as error:
        address = urlsplit(server.url)
        mend = f"set LABEL_STUDIO_URL to Label Studio's own address, such as {address.scheme}://{address.netloc}"
        return Finding("Label Studio", False, str(error), mend)
    tested = version == TESTED_VERSION
    return Finding("Label Studio", True, f"{version} at {server.url}{'' if tested else f'; tested with {TESTED_VERSION}'}")


def examine_addon(server: Server) -> Finding:
    """Whether the add-on is there. Label Studio works without it, and lacks what is named."""
    try:
        found = server.addon()
    except PodcastError as error:
        return Finding("add-on", False, str(error), "start Label Studio, or set LABEL_STUDIO_URL")
    if found is None:
        return Finding("add-on", True, "not there: " + WITHOUT_ADDON)
    if not found["sure"]:
        return Finding(
            "add-on", True, f"made for Label Studio {found['tested']}, so it left the page and the order of sessions alone"
        )
    return Finding("add-on", True, "there")


def examine_round(server: Server, project: Json, document_root: Path | None = None, *, mend: bool = False) -> Iterator[Finding]:
    """Everything that has been seen to go wrong with a round's project.

    `document_root` is what this machine takes for Label Studio's. With `mend`, second tasks of a session are removed that nobody
    has touched; nothing else is ever changed.
    """
    name, number = f"round {project['title']}", project["id"]
    try:
        LabelConfig.parse(project["label_config"], "its labeling configuration").check("its labeling configuration")
        yield Finding(f"{name}: page", True, "has every control")
    except PodcastError as error:
        yield Finding(f"{name}: page", False, str(error), "paste label_config.xml into Settings, Labeling Interface")
    samples: dict[tuple[str, str], str] = {}
    copies: Counter[bool] = Counter()
    yield _sessions(name, server, number, samples, copies, document_root, mend=mend)
    if copies:
        detail = f"{copies.total()}, {copies[False]} of them gone" if copies[False] else f"{copies.total()}, all there"
        mend_it = "import the source once more, which makes them anew" if copies[False] else ""
        yield Finding(f"{name}: listening copies", not copies[False], detail, mend_it)
    yield from _predictions(name, server, number)
    for (what, place), address in samples.items():
        problem = audio_problem(server, number, address)
        detail = f"{address} {problem or ('plays' if what == 'audio' else 'is there')}"
        yield Finding(f"{name}: {what}", not problem, detail, MEND_AUDIO.get(place.partition("/")[0], "") if problem else "")
        if document_root and what == "audio" and not problem and address.startswith(LOCAL_FILES):
            yield _document_root(name, server, address, document_root)
    for backend in server.ml_backends(number):
        good = backend["state"] == "CO"
        detail = f"{backend['url']} {'connected' if good else backend.get('error_message') or 'not connected'}"
        mend_it = "start it; where it has a private address, start Label Studio with USE_DEFAULT_BANNED_SUBNETS=false"
        yield Finding(f"{name}: ML backend", good, detail, "" if good else mend_it)


def reached_by_label_studio(server: Server, ml_backend_url: str) -> bool:
    """Whether Label Studio itself reaches an ML backend that may lie in a network of its own, by any round that is connected."""
    return any(
        server.is_connected(backend["id"])
        for project in server.rounds()
        for backend in server.ml_backends(project["id"])
        if str(backend["url"]).rstrip("/") == ml_backend_url.rstrip("/")
    )


def _sessions(
    name: str,
    server: Server,
    number: int,
    samples: dict[tuple[str, str], str],
    copies: Counter[bool],
    document_root: Path | None,
    *,
    mend: bool,
) -> Finding:
    """Sessions that are there twice.

    Notes in `samples` an address of each place that the page and that others read, in `copies` how many are there, or gone.
    """
    sessions: dict[str, list[tuple[int, Json]]] = {}
    foreign, removed = 0, set[int]()
    for task_id, data in server.tasks(number):
        address = str(data.get("audio", ""))
        samples.setdefault(("audio", audio_place(address)), address)
        if recording := str(data.get(RECORDING) or ""):
            samples.setdefault(("recordings", audio_place(recording)), recording)
            if document_root and address.startswith(LOCAL_FILES):
                copies[_is_there(address, document_root)] += 1
        if data.get("session_id"):
            sessions.setdefault(str(data["session_id"]), []).append((task_id, data))
        else:
            foreign += 1
    twice = {session: tasks for session, tasks in sorted(sessions.items()) if len(tasks) > 1}
    if mend and twice:
        with sole_writer(server, number, lambda _: None) as lease:
            removed = set(remove_doubles(server, number, twice.values(), lease.check))
        twice = {key: tasks for key, tasks in twice.items() if len({task_id for task_id, _ in tasks} - removed) > 1}
    mend_it = "`podcast doctor --mend` removes those that nobody touched" if twice and not mend else ""
    if (twice and mend) or foreign:
        mend_it = "delete the second tasks (was a storage synced?)"
    return Finding(
        f"{name}: sessions",
        not twice and not foreign,
        f"{len(sessions)} sessions"
        + (f", removed {len(removed)} second tasks that nobody had touched" if removed else "")
        + (f", {len(twice)} of them twice: {', '.join(list(twice)[:5])}" if twice else "")
        + (f", {foreign} tasks without session_id" if foreign else ""),
        mend_it,
    )


def _is_there(address: str, document_root: Path) -> bool:
    try:
        return local_file(served_path(address, "") or address, document_root).is_file()
    except (InputError, OSError):  # no address at all, or a name that is too long for a file
        return False


def _document_root(name: str, server: Server, address: str, document_root: Path) -> Finding:
    """Whether the file that Label Studio serves is the one below this machine's document root."""
    what = f"{name}: document root"
    try:
        wanted = served_path(address, server.url) or address
        path = local_file(wanted, document_root)
        if not path.is_file():
            raise InputError(f"Label Studio serves {address}, but there is no {path}")
        served = open_served(server, wanted, max_bytes=MAX_BYTES, timeout_s=TIMEOUT_S)
        with served, path.open("rb") as own:
            if audio.sha256(served) != audio.sha256(own):
                raise InputError(f"Label Studio serves another file as {address} than {path}")
    except PodcastError as error:
        return Finding(
            what, False, str(error), "set LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to the folder that Label Studio serves"
        )
    return Finding(what, True, f"{document_root} is Label Studio's")


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
