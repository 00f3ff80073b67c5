"""What a volunteer meets, in real Chromium: two people at once, a slow line, the first picture, five tasks, an account's limits.

Prints one JSON object a line with name, value, bar and holds. `--only NAME` runs one part.

- Times are on a line of 5 Mbit/s with an empty cache, for a minute of 48 kHz stereo, from the stream's address to boxes and
  painted spectrogram, with nothing touched. They need a machine with nothing else to do; bytes do not.
- The original page is measured in the same run where its snapshot is given (`--original FOLDER`, unpacked); otherwise ours is
  held against what was recorded of it, and of its next session against the time that the WAV alone takes on this line.
- The five tasks begin when the person has listened: who has not is asked a question, which is one key more, and listening is no
  edit. Keys, clicks and drags are counted, the submission among them; moving the pointer is not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as TooLate

from benchmarks._page import (
    LINE,
    MINUTE_S,
    SEND_ANYWAY,
    SHORT_S,
    WAIT_MS,
    Hand,
    Line,
    desk,
    new_round,
    original,
    ready,
    seconds_until,
    stream,
)
from benchmarks._studio import Studio
from tests.addon.addresses import MAY, answered, listed
from tests.addon.conftest import Volunteer
from tests.browser import launched

ROUNDS, LOADS, BOXES, TASK_BOXES = 20, 10, 20, 7
FIRST_S, NEXT_S, FIRST_MB, NEXT_MB = 9.0, 3.5, 4.0, 1.6
RECORDED_FIRST_S = 23.0
"""The original page's first load of such a minute on such a line."""
PHONE = (390, 844)


@dataclass
class Place:
    """Where it all runs."""

    studio: Studio
    work: Path
    original: Path | None

    @contextmanager
    def browser(self, *, headless: bool = True) -> Iterator[Browser]:
        """Chromium; with a window of its own on a display that nobody sees, unless headless."""
        with launched(WAIT_MS, headless=headless) as browser:
            yield browser


def show(name: str, value: float, bar: float | None) -> None:
    """One line for `make bench`; every bar here is an upper one."""
    holds = bar is None or value <= bar
    print(json.dumps({"name": name, "value": round(value, 2), "bar": bar, "holds": holds}), flush=True)


def two_people(place: Place) -> None:
    """Two accounts open the stream in the same second, and go on together."""
    project = new_round(place.studio, "Two people", 2 * ROUNDS, SHORT_S, 3)
    with place.browser() as browser, ExitStack() as stack:
        pages = [stack.enter_context(desk(browser, place.studio, Volunteer(place.studio))) for _ in range(2)]
        got: list[list[int]] = [[], []]
        for page in pages:
            page.add_init_script(SEND_ANYWAY)
            page.goto(stream(place.studio, project), wait_until="commit")
        for _ in range(ROUNDS):
            for page, mine in zip(pages, got, strict=True):
                page.wait_for_function(
                    "(last) => window.Htx?.task && +window.Htx.task.id !== last && podcast.audio()?._ws?.loaded",
                    arg=mine[-1] if mine else 0,
                )
                mine.append(int(page.evaluate("window.Htx.task.id")))
            for page in pages:
                page.keyboard.press("Control+Enter")
    assert len(got[0]) == len(got[1]) == ROUNDS
    show(f"sessions given to both of two people, {ROUNDS} rounds", len(set(got[0]) & set(got[1])), 0)


def slow_line(place: Place) -> None:
    """First load and next session on a slow line, beside the original's."""
    project = new_round(place.studio, "Slow line", 2, MINUTE_S, BOXES)
    with place.browser() as browser:
        with desk(browser, place.studio, Volunteer(place.studio)) as page:
            page.add_init_script(SEND_ANYWAY)
            line = Line(page)
            address = stream(place.studio, project)
            first_s = seconds_until(page, BOXES, lambda: page.goto(address, wait_until="commit"))
            first_mb, task = line.megabytes(), page.evaluate("window.Htx.task.id")

            def submit() -> None:
                page.keyboard.press("Control+Enter")
                page.wait_for_function("(last) => window.Htx.task && window.Htx.task.id !== last", arg=task, polling=50)

            next_s = seconds_until(page, BOXES, submit)
            next_mb = line.megabytes()
        show("first load to boxes and spectrogram, seconds", first_s, FIRST_S)
        show("next session, seconds", next_s, NEXT_S)
        show("first load, MB", first_mb, FIRST_MB)
        show("next session, MB", next_mb, NEXT_MB)
        wav = next((place.studio.document_root / "audio" / "Slow line").glob("*.wav"))
        if place.original is None:
            alone_s = wav.stat().st_size / LINE["downloadThroughput"]
            show("first load, share of the original's time as recorded", first_s / RECORDED_FIRST_S, 1)
            show("next session, share of the time that the original's WAV alone takes", next_s / alone_s, 1)
            return
        theirs_first_s, theirs_next_s = _original_times(browser, place.original, wav)
        show("the original, first load, seconds", theirs_first_s, None)
        show("the original, next session, seconds", theirs_next_s, None)
        show("first load, share of the original's time", first_s / theirs_first_s, 1)
        show("next session, share of the original's time", next_s / theirs_next_s, 1)


def _original_times(browser: Browser, snapshot: Path, wav: Path) -> tuple[float, float]:
    """The original's first load and next session, in seconds."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.route("https://**", lambda route: route.abort())  # a style sheet of elsewhere that its icons come from
    Line(page)
    with original(snapshot, wav, BOXES) as address:
        first_s = seconds_until(page, BOXES, lambda: page.goto(address, wait_until="commit"), ours=False)

        def submit() -> None:
            page.get_by_text("Submit", exact=False).first.click()
            page.wait_for_function("() => !document.querySelector('region.wavesurfer-region')", polling=20)

        next_s = seconds_until(page, BOXES, submit, ours=False)
    context.close()
    return first_s, next_s


def painted(place: Place) -> None:
    """Ten loads without and ten with a window: on each the first spectrogram is painted before anything is touched."""
    project = new_round(place.studio, "Painted", 2, SHORT_S, 3)  # one for each browser: a session is one person's
    for headless in (True, False):
        if not headless and not shutil.which("Xvfb"):
            print("a browser with a window is left out: it needs Xvfb (Debian's package xvfb)", file=sys.stderr)
            return
        blank, volunteer = 0, Volunteer(place.studio)
        with _display(headless), place.browser(headless=headless) as browser, desk(browser, place.studio, volunteer) as page:
            for _ in range(LOADS):
                page.goto(stream(place.studio, project))
                blank += not _is_painted(page)
        show(f"blank first spectrograms of {LOADS} loads, {'headless' if headless else 'in a window'}", blank, 0)


def _is_painted(page: Page) -> bool:
    try:
        ready(page, 3, timeout_ms=20_000)
    except TooLate:
        return False
    return True


@contextmanager
def _display(headless: bool) -> Iterator[None]:
    """A display for browsers with a window."""
    if headless:
        yield
        return
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1600x1000x24"], pass_fds=[writing], stderr=subprocess.DEVNULL
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        before, os.environ["DISPLAY"] = os.environ.get("DISPLAY"), f":{told.readline().strip()}"
    yield
    os.environ.pop("DISPLAY")
    if before is not None:
        os.environ["DISPLAY"] = before
    server.terminate()
    server.wait()


def five_tasks(place: Place) -> None:
    """Keys, clicks and drags of each task, and that it did what it should."""
    step = SHORT_S / (TASK_BOXES + 1)
    starts = [round((n + 0.5) * step, 3) for n in range(TASK_BOXES)]
    project = new_round(place.studio, "Five tasks", 5, SHORT_S, TASK_BOXES)

    def accept(hand: Hand) -> bool:
        return [round(box["value"]["start"], 3) for box in hand.submit()] == starts

    def move(hand: Hand) -> bool:
        hand.drag(starts[2] + 0.5 * step, starts[2] + 0.8 * step)
        boxes = hand.submit()
        ends = [box["value"]["end"] for box in boxes]
        return len(boxes) == TASK_BOXES and abs(ends[2] - starts[2] - 0.8 * step) < 0.05

    def delete(hand: Hand) -> bool:
        hand.point(starts[3] + 0.25 * step)
        hand.click("Delete this box")
        return [round(box["value"]["start"], 3) for box in hand.submit()] == starts[:3] + starts[4:]

    def add(hand: Hand) -> bool:
        hand.key("1")
        hand.drag(SHORT_S - 0.45 * step, SHORT_S - 0.1 * step)
        return len(hand.submit()) == TASK_BOXES + 1

    def no_calls(hand: Hand) -> bool:
        hand.click("Clear all boxes")
        return hand.submit() == []

    tasks: dict[str, tuple[Callable[[Hand], bool], int]] = {
        "accept all": (accept, 1),
        "move an edge": (move, 2),
        "delete one": (delete, 2),
        "add one": (add, 3),
        f"no calls with {TASK_BOXES} boxes": (no_calls, 2),
    }
    with place.browser() as browser, desk(browser, place.studio, Volunteer(place.studio), (1280, 720)) as page:
        page.goto(stream(place.studio, project))
        for name, (work, bar) in tasks.items():
            ready(page, TASK_BOXES)
            _listen(page)
            hand = Hand(page, SHORT_S)
            right = work(hand)
            show(f"{name}: keys, clicks and drags", hand.done if right else 99, bar)


def _listen(page: Page) -> None:
    """As a person does before anything else; not counted."""
    page.keyboard.press("Space")
    page.wait_for_function(f"() => [...document.querySelectorAll('audio')].at(-1).currentTime > {0.7 * SHORT_S}")
    page.keyboard.press("Space")


def volunteers_account(place: Place) -> None:
    """What a volunteer's account gets of every address and method of the API schema, and of deleting a round."""
    project = new_round(place.studio, "Account", 2, SHORT_S, 1)
    somebody, volunteer = Volunteer(place.studio), Volunteer(place.studio)
    task = somebody.next_session(project)["id"]
    annotation = somebody.submit(task).json()["id"]
    volunteer.http.follow_redirects = False
    got = answered(listed(place.work)["schema"], volunteer.http, {"project": project, "task": task, "annotation": annotation})
    show("addresses that answer a volunteer and are not on the list", len(got.keys() - MAY), 0)
    page = volunteer.http.get(f"/projects/{project}/settings/danger-zone", headers={"Accept": "text/html"})
    refused = [page.status_code, volunteer.http.delete(f"/api/projects/{project}/").status_code]
    there = place.studio.server.project(project)["task_number"] == 2
    show("ways to delete a round that are open to a volunteer", 2 - refused.count(403) + (not there), 0)


PARTS = {
    "two-people": two_people,
    "slow-line": slow_line,
    "painted": painted,
    "five-tasks": five_tasks,
    "account": volunteers_account,
}


def main() -> None:
    """All parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--original", type=Path, help="folder of the original's snapshot, to measure it in the same run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="podcast-bench-") as temporary:
        work = Path(temporary)
        studio = Studio(work / "studio", work / "files")
        with studio.running():
            for name, part in PARTS.items():
                if options.only in (None, name):
                    part(Place(studio, work, options.original))


if __name__ == "__main__":
    main()
