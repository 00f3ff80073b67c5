"""What benchmarks of the labelling page share: rounds to open, a slow line that counts bytes, hands that count what they do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import soundfile
from click.testing import CliRunner
from playwright.sync_api import Browser, BrowserContext, Page
from scipy.signal import resample_poly

from benchmarks._studio import Studio
from cli.main import cli
from podcast import audio
from tests.addon.conftest import Volunteer
from tests.browser import COLOURS
from tests.conftest import ROOT

RATE = 48_000
MINUTE_S, SHORT_S, PART_S = 60, 6, 2.5
SOUNDS = sorted((ROOT / "tests" / "data" / "bouts").glob("*.wav"))
WAIT_MS = 300_000
LINE = {"offline": False, "latency": 40, "downloadThroughput": 5e6 / 8, "uploadThroughput": 1e6 / 8}

READY = f"""(boxes) => window.Htx?.annotationStore?.selected?.regions?.length === boxes
    && document.querySelectorAll(".podcast-box").length === boxes && document.querySelector("canvas") && ({COLOURS})() > 50"""
ORIGINAL_READY = """(boxes) => document.querySelectorAll("region.wavesurfer-region").length === boxes
    && [...document.querySelectorAll("canvas")].some((canvas) => {
        const height = Math.round(canvas.height * 0.85);
        const line = canvas.width && canvas.getContext("2d").getImageData(0, height, canvas.width, 1).data;
        return line && new Set(Array.from({length: canvas.width}, (_, x) => line.slice(4 * x, 4 * x + 3).join())).size > 5;
    })"""
# Nobody listens while pages are timed: the add-on's question about that is answered at once.
SEND_ANYWAY = """new MutationObserver(() => document.querySelector("dialog.podcast-ask button[value=send]")?.click())
    .observe(document, {childList: true, subtree: true});"""


def recording(path: Path, seconds: int, shift_s: float = 0) -> None:
    """A WAV of 48 kHz stereo, made of 2.5 seconds each of real bouts, again and again, the second channel a little softer."""
    found = [soundfile.read(sound, dtype="float32") for sound in SOUNDS]
    real = np.concatenate([resample_poly(samples, RATE, rate)[: round(PART_S * RATE)] for samples, rate in found])
    again = np.resize(np.roll(real, -round(shift_s * RATE)), seconds * RATE)
    audio.write_wav(str(path), np.stack([again, 0.9 * again], axis=1), RATE)


def new_round(studio: Studio, name: str, sessions: int, seconds: int, boxes: int) -> int:
    """Import a round of so many sessions, each with so many predicted boxes; gives its project's number."""
    folder = studio.document_root / "audio" / name
    folder.mkdir(parents=True)
    rows = ["wav_filename\tstart_time_s\tduration_s\tconfidence\tmodel_version"]
    step = seconds / (boxes + 1)
    for number in range(sessions):
        wav = folder / f"OS_9_27_2017_08_25_00__{number:04x}.wav"
        recording(wav, seconds, shift_s=number * 1.7)
        rows += [f"{wav.name}\t{(box + 0.5) * step:.3f}\t{0.5 * step:.3f}\t0.9\tbench:1" for box in range(boxes)]
    table = folder.parent / f"{name}.tsv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["import", str(table), "--audio", str(folder), "--round", name, "--json"]
    result = CliRunner().invoke(cli, words, env=studio.env)
    assert result.exit_code == 0, result.output
    return int(json.loads(result.stdout)["project"])


@contextmanager
def desk(browser: Browser, studio: Studio, volunteer: Volunteer, viewport: tuple[int, int] = (1440, 900)) -> Iterator[Page]:
    """A page in a browser without a cache, logged in as a volunteer."""
    width, height = viewport
    context: BrowserContext = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(WAIT_MS)
    context.add_cookies([{"name": name, "value": value, "url": studio.url} for name, value in volunteer.http.cookies.items()])
    yield context.new_page()
    context.close()


def stream(studio: Studio, project: int) -> str:
    """The address of a round's label stream."""
    return f"{studio.url}/projects/{project}/data?labeling=1"


def ready(page: Page, boxes: int, *, ours: bool = True, timeout_ms: float = WAIT_MS) -> None:
    """Wait until the boxes are drawn and the spectrogram is painted, without touching anything."""
    page.wait_for_function(READY if ours else ORIGINAL_READY, arg=boxes, polling=50, timeout=timeout_ms)


@dataclass
class Line:
    """A page's line of 5 Mbit/s, with an empty cache; `bytes` is what came over it since it was last asked."""

    page: Page
    _bytes: float = 0

    def __post_init__(self) -> None:
        protocol = self.page.context.new_cdp_session(self.page)
        protocol.send("Network.enable")
        protocol.send("Network.clearBrowserCache")
        protocol.send("Network.emulateNetworkConditions", LINE)
        protocol.on("Network.loadingFinished", self._count)

    def _count(self, event: dict[str, Any]) -> None:
        self._bytes += event["encodedDataLength"]

    def megabytes(self) -> float:
        """Since it was last asked."""
        counted, self._bytes = self._bytes / 1e6, 0
        return counted


@dataclass
class Hand:
    """Keys, clicks and drags of a person, each counted once by `did`. Moving the pointer is not counted."""

    page: Page
    seconds: int
    done: int = 0

    def did(self) -> None:
        """Count one thing that a hand did."""
        self.done += 1

    def key(self, key: str) -> None:
        """Press a key, or several together."""
        self.did()
        self.page.keyboard.press(key)

    def click(self, title: str) -> None:
        """Click a button by its words or its hint."""
        self.did()
        self.page.locator(f"button:visible:is([title='{title}'], :text-is('{title}'))").first.click()

    def drag(self, from_s: float, to_s: float) -> None:
        """Drag across the picture."""
        self.did()
        self.point(from_s)
        self.page.mouse.down()
        self.point(to_s)
        self.page.mouse.up()

    def point(self, at_s: float) -> None:
        """Move the pointer to a time of the recording."""
        canvas = self.page.locator("canvas").first.bounding_box()
        assert canvas
        self.page.mouse.move(canvas["x"] + at_s / self.seconds * canvas["width"], canvas["y"] + 150, steps=6)

    def submit(self) -> list[dict[str, Any]]:
        """Ctrl+Enter; gives the boxes that the page sent."""
        with self.page.expect_response(lambda got: got.request.method == "POST" and "/annotations" in got.url) as answer:
            self.key("Control+Enter")
        sent = json.loads(answer.value.request.post_data or "")["result"]
        return [item for item in sent if item["type"] == "labels"]


@contextmanager
def original(folder: Path, wav: Path, boxes: int) -> Iterator[str]:
    """The original's page, from its snapshot, for a session with this recording; gives its address.

    Its three addresses are answered from memory: what is compared is what travels to the browser and what the page does with it.
    """
    annotations = [{"start_time_s": 2.5 * n + 0.5, "duration_s": 1.5, "confidence": 0.9} for n in range(boxes)]
    load = {"uri": "/wav", "absolute_time": "OS_", "source_guid": "", "annotations": annotations}
    told = {
        "/fetch": {"sessionid": "one"},
        "/load": {**load, "backend_state": {"written": 1, "remaining": 9}},
        "/submit": {"task": "one.json"},
    }

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/static/"):
                super().do_GET()
            elif self.path.startswith("/wav"):
                self._send(wav.read_bytes(), "audio/wav")
            elif (known := "/" + self.path.split("/")[1]) in told:
                self._send(json.dumps(told[known]).encode(), "application/json")
            else:
                self._send((folder / "templates" / "index.html").read_bytes(), "text/html")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def _send(self, body: bytes, content_type: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store" if content_type == "audio/wav" else "no-cache")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/round1"
    server.shutdown()


def seconds_until(page: Page, boxes: int, begin: Callable[[], object], *, ours: bool = True) -> float:
    """How long it takes from `begin()` until the page is ready."""
    began = time.perf_counter()
    begin()
    ready(page, boxes, ours=ours)
    return time.perf_counter() - began
