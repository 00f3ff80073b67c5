"""A real Chromium for the tests of pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# How many colours the lowest quarter of the canvas, which the spectrogram fills, holds along one line.
COLOURS = """() => {
    const canvas = document.querySelector('canvas');
    const line = canvas.getContext('2d').getImageData(0, Math.round(canvas.height * 0.85), canvas.width, 1).data;
    return new Set(Array.from({length: canvas.width}, (_, x) => line.slice(4 * x, 4 * x + 3).join())).size;
}"""


@contextmanager
def launched(wait_ms: float, *, headless: bool = True) -> Iterator[Browser]:
    """A browser whose expectations wait for `wait_ms` at most. Skips where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; apt-get install chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=wait_ms)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(QUIET), headless=headless)
        yield browser
        browser.close()
