"""What a model takes for orcas, by what made the sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import cli
from evaluation.false_alarms import FalseAlarms, false_alarms, read_sounds
from evaluation.scoring import Span
from evaluation.tables import Labelled, Predicted, truth_of_sessions
from podcast.errors import InputError
from podcast.model import Review, ReviewState
from podcast.report import Report
from tests.releases.sessions import box, session

HEAD = "wav_filename\tstart_time_s\tduration_s\tconfidence\tmodel_version\n"

# Half an hour. A humpback at 10 to 20 s and another at 100 s; a ship from 200 to 300 s, below an orca's call at 250 s.
TRUTH = [
    Labelled("a", "d", "h", (Span(0, 0),), 900.0, (("Humpback", Span(10, 10)), ("Humpback", Span(100, 5)))),
    Labelled("b", "d", "h", (Span(250, 1),), 900.0, (("Vessel", Span(200, 20)), ("Vessel", Span(240, 60)))),
]
BOXES = {
    "a": (Span(11, 2, 0.9), Span(15, 2, 0.9), Span(400, 1, 0.9), Span(101, 1, 0.3)),  # two on one humpback, one on nothing
    "b": (Span(250, 1, 0.9), Span(205, 1, 0.9)),  # the call, and the ship that is alone
}


def test_by_source_and_per_hour() -> None:
    found = false_alarms(TRUTH, Predicted("m", BOXES, are_boxes=True), {"a": 900.0, "b": 900.0}, 0.5)
    assert found == [
        FalseAlarms("Humpback", "biophony", sounds=2, boxed=1, boxes=2, hours=0.5),
        FalseAlarms("Vessel", "anthrophony", sounds=1, boxed=1, boxes=1, hours=0.5),
    ]
    assert [(row.share, row.per_hour) for row in found] == [(0.5, 4.0), (1.0, 2.0)]


def test_scores_a_window_are_joined_first() -> None:
    windows = tuple(Span(10 + start, 1, 0.8) for start in range(5))
    [row, _] = false_alarms(TRUTH, Predicted("m", {"a": windows}), {"a": 900.0, "b": 900.0}, 0.5)
    assert (row.boxed, row.boxes) == (1, 1)


def test_of_a_round() -> None:
    boxes = (box(1, 2, label="Bigg's"), box(5, 6, label="Humpback"))
    reviews = [Review("a", ReviewState.CALLS, boxes), Review("a", ReviewState.NO_CALLS, boxes[1:])]
    strange = Review("a", ReviewState.CALLS, (*boxes, box(8, 9, label="Dolphin")))
    report = Report()
    found = truth_of_sessions([session("s", reviews[0]), session("n", reviews[1]), session("x", strange)], report)
    assert [(item.name, item.spans, item.sounds) for item in found] == [
        ("s", (Span(1, 1),), (("Humpback", Span(5, 1)),)),
        ("n", (), (("Humpback", Span(5, 1)),)),
    ]
    assert list(report.warnings) == ["session x is left out: the vocabulary does not have 'Dolphin'"]


def test_the_command_prints_them(tmp_path: Path) -> None:
    (tmp_path / "truth.tsv").write_text("wav_filename\tstart_time_s\tduration_s\na.wav\t1.0\t1.0\nb.wav\t0.0\t0.0\n")
    (tmp_path / "sounds.csv").write_text(
        "session_id,start_time_s,end_time_s,source,note\na,10.0,20.0,Humpback,\nb,5.0,6.0,Vessel,\ngone,1.0,2.0,Water,\n"
    )
    (tmp_path / "m.tsv").write_text(f"{HEAD}a.wav\t12.0\t1.0\t0.9\tm:1\nb.wav\t30.0\t1.0\t0.9\tm:1\n")
    arguments = ["evaluate", str(tmp_path / "truth.tsv"), str(tmp_path / "m.tsv"), "--length", "60"]
    arguments += ["--sounds", str(tmp_path / "sounds.csv")]
    found = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)["models"][0]["false_alarms"]
    assert [(row["source"], row["sounds"], row["boxed"], row["share"], row["per_hour"]) for row in found] == [
        ("Humpback", 1, 1, 1.0, 30.0),
        ("Vessel", 1, 0, 0.0, 0.0),
    ]
    assert "100%, 30.0 an hour" in CliRunner().invoke(cli, arguments).stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a,1.0,x,Vessel", "line 2, start_time_s and end_time_s"),
        ("a,1.0,2.0,Call", "line 2, source: 'Call' is an orca"),
        ("a", "1 cells"),
    ],
)
def test_a_damaged_table_names_the_line(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "sounds.csv").write_text(f"session_id,start_time_s,end_time_s,source\n{line}\n")
    with pytest.raises(InputError, match=words):
        read_sounds(str(tmp_path / "sounds.csv"))
