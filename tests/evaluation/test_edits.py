"""Edits a minute: counted by hand, against every way to pair boxes, and as people made them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cli.main import cli
from evaluation.edits import FROM_NOTHING, Edits, ReviewEdits, edit_row, edits
from evaluation.scoring import Span
from podcast.model import Detection, Heard, ModelRun, Outcome, ReviewState, SoundEvent
from tests.releases.sessions import box, review, session

CALLS, NO_CALLS = ReviewState.CALLS, ReviewState.NO_CALLS
OLD, NEW = ModelRun("energy", "1"), ModelRun("energy", "2")


def spans(*times: tuple[float, float]) -> list[Span]:
    return [Span(start, end - start) for start, end in times]


@pytest.mark.parametrize(
    ("predicted", "truth", "kept", "moved", "deleted", "added"),
    [
        ([(1, 2)], [(1, 2)], 1, 0, 0, 0),
        ([(1, 2)], [(1.2, 1.8)], 1, 0, 0, 0),  # 0.2 s is left as it is
        ([(1, 2)], [(1.202, 2)], 0, 1, 0, 0),
        ([(1, 2)], [(0.5, 2.5)], 0, 1, 0, 0),  # both edges: one edit
        ([(1, 2)], [], 0, 0, 1, 0),
        ([], [(1, 2)], 0, 0, 0, 1),
        ([(1, 2)], [(2, 3)], 0, 0, 1, 1),  # they touch: nothing to move
        ([(0, 10)], [(1, 2), (4, 5), (7, 8)], 0, 1, 0, 2),
        ([(1, 2), (2.1, 3)], [(1, 3)], 0, 1, 1, 0),
        # Two moves, or one right box, one deleted and one added: as many edits, and the pairs that overlap most count.
        ([(0, 2), (1.9, 4)], [(1.8, 3.9), (3.8, 6)], 1, 0, 1, 1),
    ],
)
def test_edits_by_hand(
    predicted: list[tuple[float, float]], truth: list[tuple[float, float]], kept: int, moved: int, deleted: int, added: int
) -> None:
    assert edits(spans(*predicted), spans(*truth), 60) == Edits(kept, moved, deleted, added, 60)


BOXES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)).map(lambda t: (t[0] / 10, (t[0] + t[1]) / 10)), max_size=4)


@given(BOXES, BOXES)
def test_no_way_to_pair_them_takes_fewer_edits(predicted: list[tuple[float, float]], truth: list[tuple[float, float]]) -> None:
    def cost(way: tuple[int, ...]) -> int:
        total = len(truth) - sum(place < len(truth) for place in way)
        for one, place in zip(predicted, way, strict=True):
            other = truth[place] if place < len(truth) else None
            if other is None:
                total += 1
            elif min(one[1], other[1]) <= max(one[0], other[0]):
                total += 2
            else:
                total += max(abs(one[0] - other[0]), abs(one[1] - other[1])) > 0.2005
        return total

    ways = permutations(range(len(truth) + len(predicted)), len(predicted))
    assert edits(spans(*predicted), spans(*truth), 60).count == min(map(cost, ways))


def test_rates_are_a_minute_of_audio_and_weigh_recordings_by_their_length() -> None:
    row = edit_row("all", [Edits(3, 1, 2, 3, 120.0), Edits(0, 0, 0, 0, 60.0)])
    assert (row.edits.count, row.edits.a_minute) == (6, 2.0)
    assert row.edits.from_nothing == pytest.approx(7 / 3)
    assert row.interval == (0.0, 3.0)  # both draws of two that are one recording alone
    assert edit_row("one", [Edits(seconds=60.0)]).interval is None
    assert Edits().a_minute is None


def found(start: float, end: float, run: ModelRun) -> Detection:
    return Detection(SoundEvent(start, end), "Call", 0.5, run)


def test_what_people_changed_is_counted_by_the_version_that_they_began_from() -> None:
    made = ReviewEdits()
    shown = tuple(found(start, start + 1, OLD) for start in (1, 5, 9, 13))
    accepted = box(1, 2, outcome=Outcome.ACCEPTED, detection=shown[0])
    nudged = box(5.1, 6.2, outcome=Outcome.MOVED, detection=shown[1])
    moved = box(8, 10, outcome=Outcome.MOVED, detection=shown[2])
    one = review("ann", CALLS)
    one = type(one)("ann", CALLS, (accepted, nudged, moved, box(20, 21)), (shown[3],))
    made.add(session("a", one, detections=shown, model_runs=(OLD,)))
    made.add(session("b", review("ann", NO_CALLS), duration_s=30.0, model_runs=(NEW,)))  # it found nothing, rightly
    made.add(session("c", review("ann", CALLS, [(1, 2)]), detections=shown, model_runs=(OLD,)))  # none of its boxes was taken up
    made.add(session("d", review("ann", ReviewState.UNSURE, [(1, 2)]), detections=shown))
    made.add(session("e", review("ann", CALLS, [(1, 2)]), duration_s=None))
    assert {row.name: row.edits for row in made.rows()} == {
        "energy:1": Edits(2, 1, 1, 1, 60.0),
        "energy:2": Edits(0, 0, 0, 0, 30.0),
        FROM_NOTHING: Edits(0, 0, 0, 1, 60.0),
    }
    assert made.without_length == 1


def test_what_nobody_heard_is_no_review() -> None:
    made = ReviewEdits()
    unheard = replace(review("ann", NO_CALLS), heard=Heard(open_s=30.0, loaded=False, heard_s=0.0))
    heard = replace(review("ben", CALLS, [(1, 2)]), heard=Heard(open_s=30.0, loaded=True, heard_s=20.0))
    made.add(session("a", unheard, heard, model_runs=(NEW,)))
    made.add(session("b", unheard, model_runs=(NEW,)))
    assert ([(row.name, row.edits) for row in made.rows()], made.unheard) == ([("energy:2", Edits(added=1, seconds=60.0))], 2)


def test_evaluate_prints_edits_by_recording_and_node_beside_an_empty_page(tmp_path: Path) -> None:
    head = "wav_filename\tstart_time_s\tduration_s"
    truth = f"{head}\tlocation\tlength_s\na.wav\t1\t1\thaven\t60\na.wav\t5\t1\thaven\t60\nb.wav\t0\t0\tbight\t30\n"
    (tmp_path / "truth.tsv").write_text(truth)
    # One right, one false at a low confidence, one missed in `a`; one false in `b`.
    boxes = "a.wav\t1.1\t1\t0.9\tm:1\na.wav\t30\t1\t0.1\tm:1\nb.wav\t7\t1\t0.9\tm:1\n"
    (tmp_path / "m.tsv").write_text(f"{head}\tconfidence\tmodel_version\n{boxes}")
    command = ["evaluate", str(tmp_path / "truth.tsv"), str(tmp_path / "m.tsv")]
    made = json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)["models"][0]["edits"]
    assert [(row["name"], row["deleted"], row["added"], row["edits_a_minute"]) for row in made["recordings"]] == [
        ("a", 1, 1, 2.0),
        ("b", 1, 0, 2.0),
    ]
    assert [(row["name"], row["from_nothing_a_minute"]) for row in made["hydrophones"]] == [("bight", 0.0), ("haven", 2.0)]
    assert (made["all"]["minutes"], made["all"]["kept"], made["all"]["interval"]) == (1.5, 1, [2.0, 2.0])
    table = CliRunner().invoke(cli, command).stdout
    assert "Edits a minute" in table and "recording a" in table and "2.0 (2.0 to 2.0)" in table
