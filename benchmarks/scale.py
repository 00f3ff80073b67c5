"""10,000 sessions with 4 predictions each: import and export against Label Studio's own, in one run on one server.

Prints one JSON object a line with name, value, bar and holds. Ratios are of medians over interleaved runs.
"""

from __future__ import annotations

import json
import resource
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.servers import Account, free_port, label_studio
from exporters import EXPORTERS
from exporters.base import WriteOptions
from labelstudio.client import Server
from labelstudio.labels import LabelConfig
from labelstudio.round_out import to_sessions
from labelstudio.sync import Target, sync
from labelstudio.tasks import to_task
from podcast.model import Detection, ModelRun, Recording, Round, Session, SoundEvent

COUNT = 10_000
RUNS = 2
RUN = ModelRun("bench", "1")
CONFIG = LabelConfig.load()


def sessions() -> Iterator[Session]:
    """Sessions as an importer gives them."""
    for number in range(COUNT):
        name = f"OS_9_27_2017_08_25_00__{number:05d}"
        found = tuple(Detection(SoundEvent(10.0 * k, 10.0 * k + 2.45), "Call", 0.5 + k / 10, RUN) for k in range(4))
        recording = Recording(f"https://x/{name}.wav", "rpi_orcasound_lab", duration_s=60.0)
        yield Session(name, recording, "OS_9_27_2017_08_25_00_", "bench", found, (RUN,))


def address(session: Session) -> str:
    """What the page would play."""
    return session.recording.uri


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bare_import(server: Server, project: int) -> None:
    """What a script with the SDK alone would do, on tasks that are made already."""
    tasks = [to_task(session, address(session), CONFIG) for session in sessions()]
    began = time.perf_counter()
    for first in range(0, COUNT, 1000):
        server.sdk.projects.import_tasks(project, request=tasks[first : first + 1000])
    seconds["bare import"].append(time.perf_counter() - began)


def our_import(server: Server, project: int) -> None:
    """`podcast import`, from sessions on."""
    target = Target(server, project, "bench", CONFIG, address)
    seconds["our import"].append(timed(lambda: sync(target, sessions())))


def bare_export(server: Server, project: int, folder: Path) -> None:
    """Label Studio's JSON export into a file."""

    def download() -> None:
        with (folder / "export.json").open("wb") as file:
            for chunk in server.sdk.projects.exports.download_sync(project, export_type="JSON"):
                file.write(chunk)

    seconds["bare export"].append(timed(download))


def our_export(server: Server, project: int, folder: Path) -> None:
    """`podcast export`: one file a session."""
    shutil.rmtree(folder / "out", ignore_errors=True)

    def write() -> None:
        report = EXPORTERS["podcast-json"](to_sessions(server.export(project), CONFIG), str(folder / "out"), WriteOptions())
        assert report.counts["written"] == COUNT, report.counts

    seconds["our export"].append(timed(write))


def show(name: str, value: float, bar: float, **more: object) -> None:
    """One line for `make bench`; every bar here is an upper one."""
    print(json.dumps({"name": name, "value": round(value, 3), "bar": bar, "holds": value <= bar, **more}), flush=True)


def peak_mb() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


seconds: dict[str, list[float]] = {name: [] for name in ("bare import", "our import", "bare export", "our export")}


def main() -> None:
    """Run everything on a fresh Label Studio."""
    with tempfile.TemporaryDirectory(prefix="podcast-bench-") as temporary:
        folder, port = Path(temporary), free_port()
        account = Account("bench@example.org", secrets.token_urlsafe(9), secrets.token_hex(20))
        with label_studio(folder / "label-studio", port, folder, account):
            server = Server(f"http://127.0.0.1:{port}", account.token)

            def project(name: str) -> int:
                return int(server.ensure_project(Round(name), CONFIG)[0]["id"])

            before = peak_mb()
            ours = project("ours 0")
            our_import(server, ours)
            import_mb = peak_mb() - before
            bare_import(server, project("bare 0"))
            for run in range(1, RUNS):
                bare_import(server, project(f"bare {run}"))
                our_import(server, project(f"ours {run}"))
            writes: list[str] = []
            count = lambda request: writes.append(request.method) if request.method != "GET" else None  # noqa: E731
            server.http.event_hooks["request"].append(count)
            again = [timed(lambda: sync(Target(server, ours, "bench", CONFIG, address), sessions())) for _ in range(RUNS)]
            server.http.event_hooks["request"].remove(count)
            httpx.post(
                f"{server.url}/api/dm/actions",
                params={"id": "predictions_to_annotations", "project": ours},
                json={"selectedItems": {"all": True, "excluded": []}},
                headers={"Authorization": f"Token {account.token}"},
                timeout=300,
            ).raise_for_status()
            before = peak_mb()
            for _ in range(RUNS):
                our_export(server, ours, folder)
                bare_export(server, ours, folder)
            export_mb = peak_mb() - before
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    show("import, ratio to the bare SDK", middle["our import"] / middle["bare import"], 1.3, seconds=seconds["our import"])
    show("second import, seconds", statistics.median(again), 10.0, seconds=again)
    show("second import, writes", len(writes), 0)
    show("export, ratio to Label Studio's own", middle["our export"] / middle["bare export"], 1.2, seconds=seconds["our export"])
    show("import, peak memory grown by MB", import_mb, 100)
    show("export, peak memory grown by MB", export_mb, 100)


if __name__ == "__main__":
    main()
