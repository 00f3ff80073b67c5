"""Blind sessions in a release: its table, its card, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from importers import dataset
from importers.base import ReadOptions
from podcast.model import Detection, ReviewState, Session, SoundEvent
from releases.build import ReleaseOptions
from releases.lint import lint
from tests.releases.sessions import RUN, review, spread
from tests.releases.test_release import released, rows


def test_a_release_tells_which_sessions_were_blind_and_compares_them(tmp_path: Path) -> None:
    """Ann hears a call in each blind session that the model has no box for, and in no other."""
    boxed = (Detection(SoundEvent(1, 2), "Call", 0.9, RUN),)
    sessions = [
        replace(item, reviews=(said,), detections=boxed if number % 2 else (), model_runs=(RUN,), blind=number < 4)
        for number, item in enumerate(spread(20))
        for said in [
            review("ann@x.org", ReviewState.CALLS, [(5, 6)]) if number < 4 else review("ann@x.org", ReviewState.NO_CALLS)
        ]
    ]
    sessions = [item if item.blind or not item.detections else _deleted(item) for item in sessions]
    released(sessions, tmp_path, ReleaseOptions("r", with_audio=False))
    assert [row["blind"] for row in rows(tmp_path / "r" / "sessions.csv")] == ["true"] * 4 + ["false"] * 16
    table = {(row["annotator"], row["measure"]): row for row in rows(tmp_path / "r" / "blind.csv")}
    assert set(table) == {(who, what) for who in ("", "annotator-001") for what in ("found", "added", "confirmed")}
    added = table["", "added"]
    assert (added["blind_sessions"], added["shown_sessions"], added["blind_value"], added["shown_value"]) == (
        "4",
        "16",
        "1.0",
        "0.0",
    )
    assert (added["led"], table["", "confirmed"]["led"]) == ("true", "false")
    card = (tmp_path / "r" / "README.md").read_text()
    assert "## Blind and shown" in card and "4 of 20 sessions are heard without boxes" in card
    back = {
        item.id: item.blind
        for item in dataset.read(str(tmp_path / "r"), ReadOptions(audio_required=False))
        if isinstance(item, Session)
    }
    assert back == {item.id: item.blind for item in sessions}
    assert list(lint(str(tmp_path / "r"), 600.0)) == []


def test_a_release_without_blind_sessions_says_nothing_of_them(tmp_path: Path) -> None:
    released(spread(4, review("ann", ReviewState.NO_CALLS)), tmp_path, ReleaseOptions("r", with_audio=False))
    assert rows(tmp_path / "r" / "blind.csv") == []
    assert "Blind and shown" not in (tmp_path / "r" / "README.md").read_text()


def _deleted(session: Session) -> Session:
    """The same, where the reviewer deleted the model's boxes."""
    return replace(session, reviews=tuple(replace(item, rejected=session.detections) for item in session.reviews))
