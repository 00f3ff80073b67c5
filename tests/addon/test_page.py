"""The labelling page with the add-on, in real Chromium, as a volunteer's account gets it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from tests.addon.conftest import Volunteer
from tests.browser import COLOURS, launched
from tests.conftest import LabelStudio

WAIT_MS = 60_000
LOADS = 10


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched(WAIT_MS) as browser:
        yield browser


@dataclass
class Desk:
    """A volunteer's browser at a round's label stream, with what the server refused and what the network carried."""

    page: Page
    volunteer: Volunteer
    project: int
    url: str
    refused: list[str] = field(default_factory=list)
    carried: dict[str, int] = field(default_factory=dict)

    def open(self) -> None:
        self.page.goto(f"{self.url}/projects/{self.project}/data?labeling=1")
        expect(self.page.get_by_test_id("bottombar-submit-button")).to_be_enabled()
        expect(self.page.get_by_test_id("timebox-end-time").locator("input")).to_have_value("00:00:02:000")
        expect(self.page.locator(".podcast-bar summary")).to_contain_text("done")

    @property
    def boxes(self) -> Any:
        return self.page.locator(".podcast-box")

    @property
    def question(self) -> Any:
        return self.page.locator("dialog.podcast-ask")

    def painted(self) -> None:
        self.page.wait_for_function(f"() => document.querySelector('canvas') && ({COLOURS})() > 50", timeout=WAIT_MS)

    def draw(self, to_px: float = 260) -> None:
        """A box from 200 px on; the page's two seconds are some 1,200 px."""
        self.page.keyboard.press("1")
        self.move(200)
        self.page.mouse.down()
        self.move(to_px)
        self.page.mouse.up()
        expect(self.boxes).to_have_count(1)

    def move(self, to_px: float) -> None:
        canvas = self.page.locator("canvas").first.bounding_box()
        assert canvas
        self.page.mouse.move(canvas["x"] + to_px, canvas["y"] + 60, steps=6)

    def player(self, what: str) -> Any:
        return self.page.evaluate(f"(audio => {what})([...document.querySelectorAll('audio')].at(-1))")

    def waits_for(self, what: str) -> None:
        self.page.wait_for_function(f"() => (audio => {what})([...document.querySelectorAll('audio')].at(-1))")

    def listen(self) -> None:
        """Play more than half of the two seconds."""
        self.page.wait_for_function("() => podcast.audio()?._ws?.loaded")
        self.page.keyboard.press("Space")
        self.page.wait_for_function(
            "() => { const { played } = [...document.querySelectorAll('audio')].at(-1);"
            " return [...Array(played.length).keys()].reduce((sum, at) => sum + played.end(at) - played.start(at), 0) > 1.2; }"
        )

    def send(self, *keys: str) -> dict[str, Any]:
        """Press keys, and give what the page sends then."""
        with self.page.expect_response(
            lambda answer: answer.request.method in ("POST", "PATCH") and "/annotations" in answer.url
        ) as sent:
            for key in keys:
                self.page.keyboard.press(key)
        assert sent.value.ok
        body: dict[str, Any] = json.loads(sent.value.request.post_data or "")
        return body


@pytest.fixture
def desk(
    chromium: Browser, studio: LabelStudio, volunteers: Callable[[], Volunteer], new_round: Callable[[int], int]
) -> Iterator[Desk]:
    volunteer = volunteers()
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(WAIT_MS)
    context.add_cookies([{"name": name, "value": value, "url": studio.url} for name, value in volunteer.http.cookies.items()])
    page = context.new_page()
    desk = Desk(page, volunteer, new_round(3), studio.url)
    page.on("response", lambda answer: _note(desk, answer))
    protocol, addresses = context.new_cdp_session(page), {}
    protocol.send("Network.enable")
    protocol.on("Network.requestWillBeSent", lambda event: addresses.update({event["requestId"]: event["request"]["url"]}))
    protocol.on(
        "Network.loadingFinished",
        lambda event: desk.carried.update(
            {f"{addresses.get(event['requestId'])} {event['requestId']}": int(event["encodedDataLength"])}
        ),
    )
    yield desk
    context.close()


def _note(desk: Desk, answer: Response) -> None:
    if answer.status >= 400:
        desk.refused.append(f"{answer.status} {answer.request.method} {answer.url}")


def heard(studio: LabelStudio, project: int) -> dict[str, Any]:
    """What is kept of the one answer in a round."""
    [annotation] = [item for task in studio.server.export(project) for item in task["annotations"]]
    [kept] = [item for item in annotation["result"] if item["from_name"] == "heard"]
    found: dict[str, Any] = json.loads(kept["value"]["text"][0])
    return found


@pytest.mark.timeout(400)
def test_the_spectrogram_is_painted_untouched_in_ten_of_ten_loads(desk: Desk) -> None:
    for _ in range(LOADS):
        desk.open()
        desk.painted()
    desk.send("n", "Control+Enter", "Control+Enter")
    desk.painted()


def test_scripts_travel_once_and_small_and_a_sound_travels_once(desk: Desk) -> None:
    desk.open()
    desk.painted()
    page = {address: size for address, size in desk.carried.items() if "/react-app" in address or "/rounds/files" in address}
    sounds = [size for address, size in desk.carried.items() if "/data/local-files/" in address]
    assert 1_000_000 < sum(page.values()) < 2_000_000
    assert len(sounds) == 1
    desk.carried.clear()
    desk.open()
    desk.painted()
    assert sum(size for address, size in desk.carried.items() if "/react-app" in address or "/rounds/files" in address) == 0


def test_a_persons_own_settings_stay(desk: Desk) -> None:
    stored = "JSON.parse(localStorage.getItem('ls:audio-tag:settings'))"
    desk.open()
    assert desk.page.evaluate(stored)["spectrogramColorScheme"] == "inferno"
    assert desk.page.evaluate(stored)["playpauseHotkey"] == "audio:playpause"
    desk.page.evaluate(
        f"localStorage.setItem('ls:audio-tag:settings', JSON.stringify({{...{stored}, spectrogramMinDb: -90, loopRegion: true}}))"
    )
    desk.open()
    kept = desk.page.evaluate(stored)
    assert (kept["spectrogramMinDb"], kept["loopRegion"], kept["spectrogramScale"]) == (-90, True, "linear")


def test_boxes_beside_no_calls_are_asked_about_and_the_answer_is_kept(desk: Desk, studio: LabelStudio) -> None:
    desk.open()
    desk.draw()
    desk.listen()
    desk.page.keyboard.press("n")
    desk.page.keyboard.press("Control+Enter")
    expect(desk.question).to_contain_text("said that there are no calls")
    desk.page.keyboard.press("Escape")
    expect(desk.question).to_have_count(0)
    expect(desk.page.get_by_test_id("bottombar-submit-button")).to_be_enabled()
    assert not [task for task in studio.server.export(desk.project) if task["annotations"]]
    desk.page.keyboard.press("Control+Enter")
    expect(desk.question).to_be_visible()
    desk.send("Control+Enter")
    found = heard(studio, desk.project)
    assert found["asked"] == ["boxes_beside_no_calls"]
    assert found["loaded"] is True and found["duration_s"] == pytest.approx(2, abs=0.1) and 1 < found["heard_s"] <= 2.1


def test_who_has_listened_is_not_asked(desk: Desk, studio: LabelStudio) -> None:
    desk.open()
    desk.listen()
    desk.send("n", "Control+Enter")
    assert heard(studio, desk.project)["asked"] == []


def test_a_minute_that_was_not_played_is_asked_about(desk: Desk, studio: LabelStudio) -> None:
    desk.open()
    desk.page.keyboard.press("n")
    desk.page.keyboard.press("Control+Enter")
    expect(desk.question).to_contain_text("heard less than half")
    desk.send("Control+Enter")
    assert (heard(studio, desk.project)["asked"], heard(studio, desk.project)["heard_s"]) == (["not_heard"], 0)


def test_a_minute_whose_sound_did_not_load_is_asked_about(desk: Desk, studio: LabelStudio) -> None:
    shutil.rmtree(studio.audio / studio.server.project(desk.project)["title"])
    desk.page.goto(f"{desk.url}/projects/{desk.project}/data?labeling=1")
    expect(desk.page.get_by_test_id("error:http")).to_contain_text("404")
    desk.page.get_by_test_id("bottombar-submit-button").click()
    expect(desk.question).to_contain_text("The sound did not load")
    desk.send("Control+Enter")
    assert (heard(studio, desk.project)["asked"], heard(studio, desk.project)["loaded"]) == (["audio_not_loaded"], False)


def test_a_whole_evening_is_refused_nothing(desk: Desk, studio: LabelStudio) -> None:
    """Draft, clear all, listen, answer, skip, go back, mend the answer: whatever the page asks for is on the list.

    Who mends an answer has heard what they had heard before, and is not asked again.
    """
    desk.open()
    with desk.page.expect_response(lambda answer: "/drafts" in answer.url):
        desk.draw()
    desk.page.get_by_role("button", name="Clear all boxes").click()
    expect(desk.boxes).to_have_count(0)
    desk.listen()
    desk.send("n", "Control+Enter")
    before = heard(studio, desk.project)
    expect(desk.page.locator(".podcast-bar summary")).to_contain_text("1 of 3 done, 1 by you")
    with desk.page.expect_response(lambda answer: answer.request.method == "POST" and "/annotations" in answer.url):
        desk.page.get_by_test_id("bottombar-skip-button").click()
    desk.painted()
    desk.page.get_by_test_id("prev-task").click()
    desk.page.get_by_test_id("prev-task").click()
    expect(desk.page.get_by_test_id("bottombar-update-button")).to_be_visible()
    sent = desk.send("u", "Control+Enter")
    (kept,) = [json.loads(item["value"]["text"][0]) for item in sent["result"] if item["from_name"] == "heard"]
    assert kept["heard_s"] == before["heard_s"] > 1 and kept["loaded"] and kept["asked"] == []
    assert [item["value"]["choices"] for item in sent["result"] if item["type"] == "choices"] == [["Not sure"]]
    assert not [line for line in desk.refused if not line.startswith("404")]


SCROLLED = """() => [...document.querySelectorAll("*")].filter((found) => found.scrollHeight > found.clientHeight + 1
    && /auto|scroll/.test(getComputedStyle(found).overflowY)).map((found) => found.className)"""


def test_all_of_the_page_fits_a_small_screen_and_most_of_it_is_the_spectrogram(desk: Desk) -> None:
    desk.open()
    desk.draw()
    for words in ("Did not listen", "L repeats it"):
        expect(desk.page.get_by_text(words).first).to_be_in_viewport(ratio=1)
    expect(desk.page.get_by_test_id("bottombar-submit-button")).to_be_in_viewport(ratio=1)
    assert desk.page.evaluate(SCROLLED) == []
    desk.move(230)
    desk.page.mouse.down()
    desk.page.mouse.up()
    expect(desk.page.get_by_placeholder("Note on this box")).to_be_in_viewport(ratio=1)
    assert desk.page.evaluate(SCROLLED) == []
    canvas = desk.page.locator("canvas").first.bounding_box()
    assert canvas and canvas["width"] > 1200 and canvas["height"] > 360


def test_one_key_plays_repeats_or_slows_one_box_and_one_click_deletes_it(desk: Desk) -> None:
    desk.open()
    desk.draw(to_px=500)  # about 0.3 to 0.8 s
    desk.move(800)
    desk.page.keyboard.press("p")
    desk.waits_for("audio.played.length && audio.paused")
    assert 0.2 < desk.player("audio.played.start(0)") < 0.4 and 0.6 < desk.player("audio.currentTime") < 1.2
    desk.page.evaluate("window.begun = 0")
    desk.player("audio.addEventListener('seeked', () => { window.begun += 1; })")
    desk.page.keyboard.press("l")
    desk.page.wait_for_function("() => window.begun > 3")
    desk.page.keyboard.press("l")
    desk.waits_for("audio.paused")
    desk.page.keyboard.press("h")
    desk.waits_for("!audio.paused && audio.playbackRate === 0.5")
    desk.waits_for("audio.paused && audio.playbackRate === 1")
    desk.page.get_by_title("Call: play it (P)").click()
    desk.waits_for("!audio.paused")
    desk.page.keyboard.press("Space")
    desk.waits_for("audio.paused")
    desk.move(350)
    desk.page.get_by_title("Delete this box").click()
    expect(desk.boxes).to_have_count(0)


def test_a_key_that_the_page_does_not_name_says_nothing(desk: Desk) -> None:
    """Label Studio gives each call type of the list a letter or digit of its own choice."""
    desk.open()
    desk.draw()
    desk.move(230)
    desk.page.mouse.down()
    desk.page.mouse.up()
    expect(desk.page.get_by_placeholder("Note on this box")).to_be_visible()
    desk.page.keyboard.type("4579qwetasdfgzcvbyiokjm")
    sent = desk.send("Control+Enter", "Control+Enter")
    assert [item["type"] for item in sent["result"]] == ["labels", "textarea"]


def test_the_card_is_at_hand(desk: Desk, studio: LabelStudio) -> None:
    studio.server.sdk.projects.update(
        desk.project, description="A quiet <i>evening</i>.\n\nBush Point: https://live.orcasound.net/b"
    )
    desk.open()
    card = desk.page.locator(".podcast-card")
    expect(card).to_be_hidden()
    desk.page.locator(".podcast-bar summary").click()
    expect(card).to_contain_text("A quiet <i>evening</i>.")
    expect(card.get_by_role("link", name="Bush Point")).to_have_attribute("href", "https://live.orcasound.net/b")
