"""The coordinator's page: its numbers against sums done by hand, its words against hostile names, and its bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from planning.report import RoundFacts
from planning.report_page import page
from podcast.model import (
    Annotation,
    Certainty,
    Detection,
    Heard,
    ModelRun,
    Outcome,
    Planned,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)
from tests.releases.sessions import session, spread

FIRST, SECOND = ModelRun("energy", "1"), ModelRun("energy", "2")
NIGHT = datetime(2020, 7, 2, 5, tzinfo=UTC)  # still July 1 in the Pacific's summer


def answer(run: ModelRun, at: datetime, *outcomes: Outcome | None, who: str = "ann@x.org", heard_s: float | None = 60) -> Review:
    """An answer that began from a box every 5 s: accepted, moved by half a second, or deleted (None); `ADDED` came from none."""
    kept, deleted = [], []
    for number, outcome in enumerate(outcomes):
        found = Detection(SoundEvent(5 * number, 5 * number + 1), "Call", 0.9 if outcome else 0.4, run)
        if outcome is None:
            deleted.append(found)
            continue
        event = SoundEvent(found.event.start_s, found.event.end_s + (0.5 if outcome is Outcome.MOVED else 0))
        shown = None if outcome is Outcome.ADDED else found
        kept.append(Annotation(event, "Call", Certainty.CERTAIN, who, outcome, shown))
    state = ReviewState.CALLS if kept else ReviewState.NO_CALLS
    return Review(who, state, tuple(kept), tuple(deleted), at, heard=Heard(70, True, heard_s, 60))


def facts(*sessions: Session) -> RoundFacts:
    found = RoundFacts("July", "http://127.0.0.1/projects/1")
    for number, item in enumerate(sessions):
        found.add(item, f"http://127.0.0.1/projects/1/data?task={number}")
    return found


def july() -> RoundFacts:
    a, b, c, d, e = spread(5)
    return facts(
        session(a.id, answer(FIRST, NIGHT, Outcome.ACCEPTED, None), duration_s=60.0),
        session(b.id, answer(SECOND, NIGHT.replace(day=3), Outcome.ACCEPTED, Outcome.MOVED, heard_s=30), duration_s=60.0),
        session(c.id, Review("ann@x.org", ReviewState.UNSURE, submitted=NIGHT, heard=Heard()), duration_s=60.0),
        session(d.id, Review("ann@x.org", ReviewState.SKIPPED, submitted=NIGHT), duration_s=60.0),
        e,
    )


def test_progress_listening_and_pace_are_what_was_answered() -> None:
    found = july()
    assert (found.sessions, found.done, found.left) == (5, 3, 2)
    assert (found.answers, found.not_noted, found.listened_s, found.faster) == (3, 1, 90.0, 1)
    assert {day.isoformat(): count for day, count in found.days.items()} == {"2020-07-01": 2, "2020-07-02": 1}
    assert found.pace == 1.5  # so the two that are left take two more such days
    assert "<strong>2 more such days</strong>" in page([found])


def test_edits_are_told_by_model_version_and_pacific_day() -> None:
    rows = {(day and day.isoformat(), row.name): row.edits for day, row in july().edit_rows()}
    first, second = rows[None, "energy:1"], rows[None, "energy:2"]
    assert (first.kept, first.deleted, first.a_minute) == (1, 1, 1.0)
    assert (second.kept, second.moved, second.a_minute, second.from_nothing) == (1, 1, 1.0, 2.0)
    assert {key for key in rows if key[0]} == {("2020-07-01", "energy:1"), ("2020-07-02", "energy:2")}


def test_a_confidence_is_held_against_what_people_kept() -> None:
    many = [session(item.id, answer(FIRST, NIGHT, Outcome.ACCEPTED, None), duration_s=60.0) for item in spread(20)]
    [(version, boxes, found)] = facts(*many).calibrations()
    assert (version, boxes) == ("energy:1", 40)
    assert [(one.low, one.boxes, one.on_calls) for one in found.bins] == [(0.4, 20, 0), (0.9, 20, 20)]
    assert found.error is not None and abs(found.error - (0.4 + 0.1) / 2) < 1e-9
    assert page([facts(*many)]).count("data:image/png") == 4  # days, edits, reliability, sounds


def test_sessions_worth_another_look_come_with_their_address_the_most_disputed_first() -> None:
    one, other, unsure = spread(3)
    mild = [answer(FIRST, NIGHT, Outcome.ADDED, Outcome.ADDED), answer(FIRST, NIGHT, Outcome.ADDED, who="bob@x.org")]
    wide = [answer(FIRST, NIGHT, Outcome.ADDED), answer(FIRST, NIGHT, who="bob@x.org")]
    found = facts(
        session(one.id, *mild), session(other.id, *wide), session(unsure.id, Review("ann@x.org", ReviewState.UNSURE))
    ).look_again()
    assert [(item.session_id, item.address[-6:]) for item in found] == [
        (other.id, "task=1"),
        (one.id, "task=0"),
        (unsure.id, "task=2"),
    ]


def test_blind_sessions_are_held_against_those_with_boxes() -> None:
    found = RoundFacts("July", "")
    for number, item in enumerate(spread(30)):
        blind = number % 3 == 0  # who hears without boxes finds a call where the model has none
        outcomes = [Outcome.ADDED] if blind else []
        given = session(item.id, answer(FIRST, NIGHT, *outcomes), duration_s=60.0)
        found.add(replace(given, blind=blind, model_runs=(FIRST,)))
    [added] = [row for row in found.blind.report().rows if row.measure == "added" and not row.annotator]
    assert (added.blind, added.shown, added.led) == (1.0, 0.0, True)
    text = page([found])
    assert "10 of 30 sessions are heard without boxes" in text and "<strong>ann@x.org</strong>" in text
    assert "Do boxes lead people?" not in page([july()])


def test_what_the_sea_holds_is_told_where_a_plan_chose_the_sessions() -> None:
    found = RoundFacts("July", "")
    for number, item in enumerate(spread(20)):
        given = session(item.id, answer(FIRST, NIGHT, *[Outcome.ADDED] * (number < 5)), start=item.recording.start)
        found.add(replace(given, planned=Planned("random", 0.1, 0.1, 200)))
    [row] = found.sea.rows()
    assert (row.pool, row.answered, row.with_calls, row.minutes) == (200, 20, 5, 50.0)  # 5 minutes, each for ten
    assert f"{row.low:.1f} to {row.high:.1f}" in page([found]) and row.low < 50 < row.high
    assert "What the sea holds" not in page([july()])


def test_names_from_outside_are_words_and_the_page_loads_nothing() -> None:
    found = RoundFacts("<script>alert(1)</script>", "")
    found.add(session("s", answer(ModelRun("<img src=x>", "1"), NIGHT, Outcome.ACCEPTED, who="<b>ann</b>"), duration_s=60.0))
    text = page([found, july()])
    assert "<script" not in text and "<img src=x>" not in text and "<b>ann" not in text
    assert "default-src 'none'" in text and 'src="http' not in text


def test_the_same_content_gives_the_same_bytes_and_none_a_page_that_says_so() -> None:
    assert page([july()]) == page([july()])
    assert "There are no rounds yet" in page([])
    assert "No session has answers of two people yet" in page([RoundFacts("empty", "")])
