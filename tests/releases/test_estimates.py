"""A planned round in a release: its card says what the sea holds; without a plan it says nothing of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from podcast.model import Planned, ReviewState
from releases.build import ReleaseOptions
from tests.releases.sessions import review, spread
from tests.releases.test_release import released


def test_the_card_of_a_planned_round_says_what_the_sea_holds(tmp_path: Path) -> None:
    """Of 10 sessions that stand for 10 each, 2 have calls, and of one nobody was sure."""
    said = [review("ann", ReviewState.CALLS, [(1, 2)])] * 2 + [review("ann", ReviewState.UNSURE)]
    said += [review("ann", ReviewState.NO_CALLS)] * 7
    sessions = [replace(item, reviews=(answer,)) for item, answer in zip(spread(10), said, strict=True)]
    released(sessions, tmp_path, ReleaseOptions("plain", with_audio=False))
    assert "What the sea holds" not in (tmp_path / "plain" / "README.md").read_text()
    planned = [replace(item, planned=Planned("random", 0.1, 0.1, 100)) for item in sessions]
    released(planned, tmp_path, ReleaseOptions("planned", with_audio=False))
    card = (tmp_path / "planned" / "README.md").read_text()
    [row] = [line for line in card.splitlines() if "2 of 10 (1 unsure)" in line]
    cells = [cell.strip() for cell in row.strip("| ").split("|")]
    assert cells[:4] == ["round1", "Orcasound Lab", "2020-07", "100"]
    middle, _, interval = cells[5].partition(" (")
    low, high = (float(number) for number in interval.rstrip(")").split(" to "))
    assert 20 <= float(middle) <= 23 and 2 <= low < 15 and 30 < high <= 100
