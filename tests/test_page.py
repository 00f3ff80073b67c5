"""The page as volunteers use it: real Chromium, mouse and keyboard, and what their submission becomes."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from cli.main import cli
from demo.sessions import DURATION_S, SAMPLE_RATE, DemoSession, render
from labelstudio.labels import LabelConfig
from labelstudio.round_out import to_sessions
from podcast import audio
from podcast.model import Certainty, Outcome, Review, ReviewState, Session, SoundEvent
from podcast.reviews import latest
from tests.browser import COLOURS, launched
from tests.conftest import LabelStudio

WAIT_MS = 60_000
WIDTH, HEIGHT = 1500, 950
ROUNDS = itertools.count(1)
CALLS = (SoundEvent(8.0, 9.2), SoundEvent(22.0, 23.0), SoundEvent(41.0, 42.4))

# Nobody listens in these tests: the add-on's question about that is answered at once (tests/addon/test_page.py reads it).
SEND_ANYWAY = """new MutationObserver(() => document.querySelector("dialog.podcast-ask button[value=send]")?.click())
    .observe(document, {childList: true, subtree: true});"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched(WAIT_MS) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def context(browser: Browser, studio: LabelStudio) -> Iterator[BrowserContext]:
    """A browser that has logged in by the form."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(SEND_ANYWAY)
    page = context.new_page()
    page.goto(f"{studio.url}/user/login/")
    page.fill("input[name=email]", studio.account.email)
    page.fill("input[name=password]", studio.account.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/user/login" not in url)
    page.close()
    yield context
    context.close()


@dataclass
class Stream:
    """A round's label stream in the browser. Times are seconds of the recording."""

    page: Page
    studio: LabelStudio
    project_id: int
    round_name: str
    keys: int = 0
    """How many were pressed."""

    @property
    def boxes(self) -> Locator:
        return self.page.locator(".podcast-box")

    @property
    def answers(self) -> Locator:
        return self.page.locator(".lsf-choices_layout_inline input:checked")

    @property
    def pixel_s(self) -> float:
        return float(DURATION_S / self._canvas()["width"])

    def open(self, boxes: int) -> None:
        """Open the label stream, and wait until it shows so many boxes."""
        self.page.goto(f"{self.studio.url}/projects/{self.project_id}/data?labeling=1")
        self.ready(boxes)

    def ready(self, boxes: int) -> None:
        expect(self.page.get_by_test_id("bottombar-submit-button")).to_be_enabled()
        expect(self.page.get_by_test_id("timebox-end-time").locator("input")).to_have_value("00:01:00:000")
        expect(self.boxes).to_have_count(boxes)

    def paint_spectrogram(self) -> None:
        self.page.wait_for_function(f"({COLOURS})() > 50", timeout=WAIT_MS)

    def click(self, at_s: float) -> None:
        self.page.mouse.click(self._x(at_s), self._y())

    def drag(self, from_s: float, to_s: float) -> None:
        self.page.mouse.move(self._x(from_s), self._y())
        self.page.mouse.down()
        self.page.mouse.move(self._x(to_s), self._y(), steps=8)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.keys += 1

    def labelled(self, label: str, count: int) -> None:
        """Wait until so many boxes have this label."""
        regions = "window.Htx.annotationStore.selected.regions"
        self.page.wait_for_function(
            f"([label, count]) => {regions}.filter((one) => one.labels.includes(label)).length === count", arg=[label, count]
        )

    def submit(self, how: Callable[[], None] | None = None) -> dict[str, Any]:
        """Submit, by Ctrl+Enter unless told otherwise; gives what the page sent."""
        with self.page.expect_response(lambda answer: answer.request.method == "POST" and "/annotations" in answer.url) as found:
            (how or (lambda: self.press("Control+Enter")))()
        assert found.value.ok
        sent: dict[str, Any] = json.loads(found.value.request.post_data or "")
        return sent

    def predicted(self) -> list[list[tuple[float, float]]]:
        """Start and end of the predicted boxes, a list for each session in order of tasks."""
        stored = sorted(self.studio.server.predictions(self.project_id), key=lambda prediction: prediction["task"])
        return [sorted((box["value"]["start"], box["value"]["end"]) for box in item["result"]) for item in stored]

    def reviews(self) -> dict[str, Review]:
        """The latest review of each submitted session, as exporters that tell outcomes read it."""
        found: list[Session] = []
        server = self.studio.server
        for session in to_sessions(server.export(self.project_id, with_predictions=True), LabelConfig.load(), server.users()):
            assert isinstance(session, Session), session
            found.append(session)
        return {session.id: review for session in found if (review := latest(session.reviews))}

    def export(self, to: Path, export_format: str = "podcast-json") -> dict[str, Any]:
        result = podcast(self.studio, "export", "--round", self.round_name, "--to", str(to), "--format", export_format, "--json")
        return dict(json.loads(result.stdout))

    def _canvas(self) -> Any:
        return self.page.locator("canvas").first.bounding_box()

    def _x(self, at_s: float) -> float:
        canvas = self._canvas()
        return float(canvas["x"] + at_s / DURATION_S * canvas["width"])

    def _y(self) -> float:
        return float(self._canvas()["y"] + 60)


@pytest.fixture
def stream(context: BrowserContext, studio: LabelStudio, ml_backend_url: str) -> Iterator[Callable[..., Stream]]:
    """Makes a round of synthetic sessions with predictions of the ML backend, and gives its label stream."""
    pages: list[Page] = []

    def make(*sessions: DemoSession, page: str = "find-calls") -> Stream:
        name = f"Page {next(ROUNDS)}"
        (studio.audio / name).mkdir()
        for number, session in enumerate(sessions):
            samples = render(session, number).astype(np.float32)[:, None]
            audio.write_wav(str(studio.audio / name / f"{session.id}.wav"), samples, SAMPLE_RATE)
        more = ("--label-config", page, "--json")
        result = podcast(studio, "import", str(studio.audio / name), "--round", name, *more, ML_BACKEND_URL=ml_backend_url)
        project_id = json.loads(result.stdout)["project"]
        studio.server.retrieve_predictions(project_id)
        pages.append(context.new_page())
        return Stream(pages[-1], studio, project_id, name)

    yield make
    for page in pages:
        page.close()


def podcast(studio: LabelStudio, *arguments: str, **env: str) -> Result:
    result = CliRunner().invoke(cli, arguments, env={**studio.env, **env})
    assert result.exit_code == 0, result.output
    return result


def session(chunk: int, *truth: SoundEvent) -> DemoSession:
    return DemoSession(f"OS_9_27_2017_08_25_00__{chunk:04x}", truth)


def ms(*times_s: float) -> list[float]:
    return [round(time_s, 3) for time_s in times_s]


def test_move_delete_add_and_submit(stream: Callable[..., Stream], tmp_path: Path) -> None:
    round_ = stream(session(0, *CALLS))
    moved, deleted, kept = round_.predicted()[0]
    round_.open(boxes=3)
    round_.paint_spectrogram()
    round_.drag(moved[1], moved[1] + 2)
    round_.click(sum(deleted) / 2)
    round_.press("Backspace")
    expect(round_.boxes).to_have_count(2)
    round_.press("Escape", "1")
    round_.drag(30, 31.5)
    expect(round_.boxes).to_have_count(3)
    round_.press("2")
    round_.drag(50, 52)
    expect(round_.boxes).to_have_count(4)
    round_.click(sum(kept) / 2)
    round_.page.locator(".lsf-choices_layout_select").get_by_test_id("select-trigger").click()
    round_.page.get_by_role("option", name="S10", exact=True).click()
    round_.page.get_by_placeholder("Note on this box").click()
    round_.page.keyboard.type("12 nux, faint")
    expect(round_.boxes).to_have_count(4)
    expect(round_.answers).to_have_count(0)
    round_.press("Enter")
    pixel_s = round_.pixel_s
    sent = round_.submit()

    [review] = round_.reviews().values()
    assert review.state is ReviewState.CALLS
    first, added, last, uncertain = review.annotations
    assert first.event.start_s == moved[0]
    assert first.event.end_s == pytest.approx(moved[1] + 2, abs=pixel_s)
    assert (added.event.start_s, added.event.end_s) == pytest.approx((30, 31.5), abs=pixel_s)
    assert (last.event.start_s, last.event.end_s) == kept
    assert (uncertain.event.start_s, uncertain.event.end_s) == pytest.approx((50, 52), abs=pixel_s)
    assert [item.outcome for item in review.annotations] == [Outcome.MOVED, Outcome.ADDED, Outcome.ACCEPTED, Outcome.ADDED]
    assert [item.certainty for item in review.annotations] == [Certainty.CERTAIN] * 3 + [Certainty.UNCERTAIN]
    assert [item.label for item in review.annotations] == ["Call"] * 4
    assert [(item.call_type, item.note) for item in review.annotations] == [
        ("", ""),
        ("", ""),
        ("S10", "12 nux, faint"),
        ("", ""),
    ]
    assert [(item.event.start_s, item.event.end_s) for item in review.rejected] == [deleted]
    assert review.annotator == round_.studio.account.email

    submitted = sorted(ms(box["value"]["start"], box["value"]["end"]) for box in sent["result"] if box["type"] == "labels")
    assert round_.export(tmp_path / "json")["written"] == 1
    written = json.loads((tmp_path / "json" / "OS_9_27_2017_08_25_00__0000.json").read_text())
    boxes = [ms(box["start_s"], box["start_s"] + box["duration_s"]) for box in written["annotations"]]
    assert boxes == submitted
    round_.export(tmp_path / "tsv", "dataset-tsv")
    with (tmp_path / "tsv" / "annotations.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [ms(float(row["start_time_s"]), float(row["start_time_s"]) + float(row["duration_s"])) for row in rows] == submitted
    assert {row["wav_filename"] for row in rows} == {"OS_9_27_2017_08_25_00__0000.wav"}


def test_one_key_accepts_all_predictions(stream: Callable[..., Stream], tmp_path: Path) -> None:
    round_ = stream(session(0, *CALLS), session(1, *CALLS[:2]))
    predicted = round_.predicted()
    assert [len(boxes) for boxes in predicted] == [3, 2]
    round_.open(boxes=3)
    round_.submit()
    round_.ready(boxes=2)
    round_.submit()

    assert round_.export(tmp_path)["written"] == 2
    for chunk, boxes in enumerate(predicted):
        written = json.loads((tmp_path / f"OS_9_27_2017_08_25_00__{chunk:04x}.json").read_text())["annotations"]
        assert [tuple(ms(box["start_s"], box["start_s"] + box["duration_s"])) for box in written] == boxes
    for review in round_.reviews().values():
        assert {item.outcome for item in review.annotations} == {Outcome.ACCEPTED}
        assert not review.rejected


@pytest.mark.parametrize(
    ("key", "state"), [("n", ReviewState.NO_CALLS), ("u", ReviewState.UNSURE), ("x", ReviewState.UNREVIEWED)]
)
def test_a_key_answers_for_a_session_without_boxes(
    stream: Callable[..., Stream], tmp_path: Path, key: str, state: ReviewState
) -> None:
    round_ = stream(session(0))
    assert round_.predicted() == [[]]
    round_.open(boxes=0)
    round_.press(key)
    expect(round_.answers).to_have_count(1)
    round_.submit()

    [(name, review)] = round_.reviews().items()
    assert (review.state, review.annotations) == (state, ())
    counts = round_.export(tmp_path)
    if state is ReviewState.NO_CALLS:
        assert json.loads((tmp_path / f"{name}.json").read_text())["annotations"] == []
    else:
        assert counts[str(state)] == 1
        assert not (tmp_path / f"{name}.json").exists()


def test_a_skipped_session_is_left_out(stream: Callable[..., Stream], tmp_path: Path) -> None:
    round_ = stream(session(0, *CALLS))
    round_.open(boxes=3)
    round_.submit(lambda: round_.page.get_by_test_id("bottombar-skip-button").click())

    assert [review.state for review in round_.reviews().values()] == [ReviewState.SKIPPED]
    counts = round_.export(tmp_path)
    assert (counts["written"], counts["skipped"]) == (0, 1)
    assert not list(tmp_path.glob("OS_*.json"))


def test_work_taken_up_again_after_a_reload_still_tells_what_became_of_the_predictions(stream: Callable[..., Stream]) -> None:
    """Label Studio submits a draft that was opened again without the number of its prediction."""
    round_ = stream(session(0, *CALLS))
    kept, deleted, noted = round_.predicted()[0]
    round_.open(boxes=3)
    with round_.page.expect_response(lambda answer: "/drafts" in answer.url):
        round_.click(sum(deleted) / 2)
        round_.press("Backspace")
        expect(round_.boxes).to_have_count(2)
    round_.open(boxes=2)
    round_.click(sum(noted) / 2)
    round_.page.get_by_placeholder("Note on this box").click()
    round_.page.keyboard.type("echo")
    sent = round_.submit(lambda: round_.page.get_by_test_id("bottombar-submit-button").click())
    assert sent["parent_prediction"] is None

    [review] = round_.reviews().values()
    assert [(item.event.start_s, item.event.end_s) for item in review.annotations] == [kept, noted]
    assert [(item.outcome, item.note) for item in review.annotations] == [(Outcome.ACCEPTED, ""), (Outcome.ACCEPTED, "echo")]
    assert [(item.event.start_s, item.event.end_s) for item in review.rejected] == [deleted]


def test_a_grey_box_is_kept_once_a_key_names_it(stream: Callable[..., Stream]) -> None:
    """As the page's words say. Label Studio draws it where no label is lit: 1 pressed after Backspace puts the label out."""
    round_ = stream(session(0, *CALLS))
    round_.open(boxes=3)
    round_.paint_spectrogram()
    round_.press("Escape")
    round_.drag(30, 31.5)
    expect(round_.page.get_by_text("A grey box is not kept until 1, 2 or 3 names it")).to_be_visible()
    expect(round_.boxes).to_have_count(3)
    round_.press("2")
    expect(round_.boxes).to_have_count(4)
    round_.submit()

    [review] = round_.reviews().values()
    assert [item.certainty for item in review.annotations if item.outcome is Outcome.ADDED] == [Certainty.UNCERTAIN]


def test_the_page_plays_a_copy_as_long_as_the_recording(context: BrowserContext, studio: LabelStudio) -> None:
    folder = studio.audio / "Copied"
    folder.mkdir()
    frames, rate = 3 * 44_100 + 17_001, 44_100
    samples = np.random.default_rng(0).normal(0, 0.1, (frames, 2))
    soundfile.write(folder / "OS_9_27_2017_08_25_00__0000.wav", samples, rate, subtype="PCM_24")  # the copy has 24 bits too
    project_id = json.loads(podcast(studio, "import", str(folder), "--round", "Copied", "--json").stdout)["project"]
    page = context.new_page()
    with page.expect_response(lambda answer: "/listening/" in answer.url) as fetched:
        page.goto(f"{studio.url}/projects/{project_id}/data?labeling=1")
    assert fetched.value.headers["content-type"] == "audio/flac"
    page.wait_for_function("() => window.podcast.audio()?._ws?.loaded")
    played = page.evaluate("() => ({seconds: window.podcast.audio()._ws.duration, hz: window.podcast.audio()._ws.sampleRate})")
    assert played["seconds"] == pytest.approx(frames / rate, abs=0.001)
    assert played["hz"] == 24_000  # so that the spectrogram is as high as 12 kHz
    page.close()


def test_a_humpback_costs_no_more_keys_than_deleting_its_box(stream: Callable[..., Stream], tmp_path: Path) -> None:
    """Each box a key, and the answer: deleting them takes a key a box, N, and Ctrl+Enter."""
    round_ = stream(session(0, *CALLS), session(1, *CALLS[:2]))
    first, second = round_.predicted()
    round_.open(boxes=3)
    round_.press("6")  # of no box, so nothing
    round_.keys = 0
    for number, box in enumerate(first):
        round_.click(sum(box) / 2)
        round_.press("3")
        round_.labelled("Something else", number + 1)
    round_.submit()
    assert round_.keys <= len(first) + 2
    round_.ready(boxes=2)
    named, deleted = second
    round_.click(sum(named) / 2)
    round_.press("3", "6")
    expect(round_.page.locator("label", has_text="Vessel").locator("input")).to_be_checked()
    round_.click(sum(deleted) / 2)
    round_.press("Backspace")
    expect(round_.boxes).to_have_count(1)
    round_.press("Escape", "3")
    round_.drag(30, 31.5)
    round_.labelled("Something else", 2)
    round_.submit()

    reviews = round_.reviews()
    assert [[item.label for item in review.annotations] for review in reviews.values()] == [
        ["Something else"] * 3,
        ["Vessel", "Something else"],
    ]
    assert [review.state for review in reviews.values()] == [ReviewState.NO_CALLS] * 2
    assert [(item.event.start_s, item.event.end_s) for item in reviews["OS_9_27_2017_08_25_00__0001"].rejected] == [deleted]
    counts = round_.export(tmp_path)
    assert (counts["written"], counts["no_calls"], counts["other_sounds"]) == (2, 2, 5)
    assert json.loads((tmp_path / "OS_9_27_2017_08_25_00__0000.json").read_text())["annotations"] == []


@pytest.mark.parametrize(
    ("page", "key", "label", "state"),
    [("which-orcas", "5", "Bigg's", ReviewState.CALLS), ("sort-false-alarms", "4", "Humpback", ReviewState.NO_CALLS)],
)
def test_a_page_of_the_rounds_own(stream: Callable[..., Stream], page: str, key: str, label: str, state: ReviewState) -> None:
    round_ = stream(session(0, CALLS[0]), page=page)
    [[(start_s, end_s)]] = round_.predicted()
    round_.open(boxes=1)
    round_.click((start_s + end_s) / 2)
    round_.press(key)
    round_.labelled(label, 1)
    round_.submit()

    [review] = round_.reviews().values()
    assert review.state is state
    assert [(item.label, item.event.start_s, item.outcome) for item in review.annotations] == [(label, start_s, Outcome.ACCEPTED)]
