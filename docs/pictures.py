"""Takes the pictures of pages in `docs/images`, in real Chromium, as a volunteer gets them: `python docs/pictures.py`."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import httpx
from click.testing import CliRunner
from PIL import Image
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._page import desk, recording, stream
from benchmarks._studio import Studio
from cli.main import cli
from tests.addon.conftest import Volunteer
from tests.browser import COLOURS, launched

IMAGES = Path(__file__).parent / "images"
SIZES = {"": (1280, 720), "-1440": (1440, 900), "-phone": (390, 844)}
WAIT_MS = 120_000
SECONDS = 25
ROUNDS = {
    "Orcasound Lab, 2 December 2018": (
        8,
        "You are listening to recordings from Orcasound Lab. J pod passed close by; between the calls are ships, "
        "and some minutes hold nothing but water.\n\nOrcasound Lab: https://live.orcasound.net/listen/orcasound-lab",
    ),
    "Port Townsend, 14 November 2019": (
        5,
        "Faint calls behind splashing water. Take your time, and say so when you are not sure."
        "\n\nPort Townsend: https://live.orcasound.net/listen/port-townsend",
    ),
}


def make_round(studio: Studio, name: str, sessions: int, card: str) -> int:
    """A round of a real recording, cut at different places, with the boxes of the `energy` detector."""
    folder = studio.document_root / "audio" / name
    folder.mkdir(parents=True)
    for number in range(sessions):
        recording(folder / f"OS_12_02_2018_19_00_00__{number:04x}.wav", SECONDS, shift_s=3.1 * number)
    for words in (
        ["detect", str(folder), "-o", f"{folder}.tsv"],
        ["import", f"{folder}.tsv", "--audio", str(folder), "--round", name],
    ):
        result = CliRunner().invoke(cli, words, env={**studio.env, "ML_DETECTOR": "energy"})
        assert result.exit_code == 0, result.output
    project = studio.server.find_project(name)
    assert project
    headers = {"Authorization": f"Token {studio.account.token}"}
    httpx.patch(
        f"{studio.url}/api/projects/{project['id']}/", json={"description": card}, headers=headers, timeout=60
    ).raise_for_status()
    return int(project["id"])


def take(page: Page, name: str) -> None:
    """A picture of what is in the window, in few colours, so that it stays small."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(256, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)


def main() -> None:
    """Both pages in all sizes."""
    with tempfile.TemporaryDirectory(prefix="podcast-pictures-") as temporary:
        studio = Studio(Path(temporary) / "studio", Path(temporary) / "files")
        with studio.running(), launched(WAIT_MS) as browser:
            first, second = [make_round(studio, name, *round_) for name, round_ in ROUNDS.items()]
            volunteer, other = Volunteer(studio), Volunteer(studio)
            for person, project in ((volunteer, first), (other, first), (volunteer, second)):
                person.submit(person.next_session(project)["id"])
            for size, viewport in SIZES.items():
                with desk(browser, studio, volunteer, viewport) as page:
                    page.goto(f"{studio.url}/rounds/")
                    take(page, f"rounds{size}")
                    if viewport == SIZES["-phone"]:
                        continue  # Label Studio's own page is not made for phones
                    page.goto(stream(studio, first))
                    page.wait_for_function(f"() => document.querySelector('.podcast-box') && ({COLOURS})() > 50")
                    page.locator(".podcast-box").nth(3).hover()
                    page.wait_for_function("() => !document.querySelector('.podcast-tools').hidden")
                    page.wait_for_load_state("networkidle")
                    take(page, f"page{size}")


if __name__ == "__main__":
    main()
