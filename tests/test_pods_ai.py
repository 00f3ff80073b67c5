"""pods-ai's tables: every real row in, at the right time; reviewed sessions out as samples."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest

from cli.archive import ArchiveOptions, archive_sessions
from exporters import EXPORTERS
from exporters.base import WriteOptions
from importers.windows import read_windows
from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_task
from labelstudio.tasks import to_task
from podcast.model import Certainty, Detection, ModelRun, Outcome, Review, ReviewState, Session, Sighting, SoundEvent
from podcast.report import Report
from podcast.settings import load_settings
from tests.releases.sessions import box, review, session

HEADER = "Category,NodeName,Timestamp,URI,Description,Notes,Confidence\n"
FALL_2020 = datetime(2020, 11, 1, 7, tzinfo=UTC)  # two hours before the clocks of that night go back


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def address_time(row: dict[str, str]) -> datetime:
    return datetime.fromisoformat(unquote(row["URI"].partition("?time=")[2]))


def pacific_hours(moment: datetime) -> int:
    """By the rule of the law since 2007: second Sunday of March to first Sunday of November, 2 h on the clock."""
    march, november = datetime(moment.year, 3, 8, 10, tzinfo=UTC), datetime(moment.year, 11, 1, 9, tzinfo=UTC)
    begin, end = (day + timedelta(days=(6 - day.weekday()) % 7) for day in (march, november))
    return -7 if begin <= moment < end else -8


def test_every_real_row_is_read_at_the_time_that_its_address_tells(each_data: Path) -> None:
    folder = each_data / "labels" / "pods_ai"
    rows = rows_of(folder / "detections.csv")
    assert len(rows) in (56, 2168)
    windows, refusals = read_windows(str(folder / "detections.csv"))
    assert refusals == []
    found = {(item.node, item.time, item.category, item.source): item for window in windows for item in window.sightings}
    assert sum(len(window.sightings) for window in windows) == len(rows)
    seasons: Counter[int] = Counter()
    for row in rows:
        moment = address_time(row)
        item = found[row["NodeName"], moment, row["Category"], row["Notes"]]
        minute = timedelta(seconds=60)
        expected = (moment - minute, moment) if row["Notes"] == "tp_human_only" else (moment, moment + minute)
        assert (item.start, item.end) == expected
        hours = pacific_hours(moment)
        seasons[hours] += 1
        assert f"{moment + timedelta(hours=hours):%Y_%m_%d_%H_%M_%S}_PST" == row["Timestamp"]  # the suffix says PST in summer too
        assert item.confidence == (None if not row["Confidence"] else pytest.approx(float(row["Confidence"]) / 100))
        assert item.description == row["Description"].strip() or Counter(map(address_time, rows))[moment] > 1
    assert set(seasons) == {-7, -8} and min(seasons.values()) >= 20
    for window in windows:  # no report lies outside the window that is imported for it
        assert all(window.start <= item.start and item.end <= window.end for item in window.sightings)


def test_samples_of_their_own_time_are_looked_at_on_both_sides(each_data: Path) -> None:
    for name, reach_s in (("training_samples", {30}), ("testing_samples", {0, 60})):
        path = each_data / "labels" / "pods_ai" / f"{name}.csv"
        windows, refusals = read_windows(str(path))
        assert (refusals, sum(len(window.sightings) for window in windows)) == ([], len(rows_of(path)))
        told = [item for window in windows for item in window.sightings]
        assert {(item.end - item.time).total_seconds() for item in told} == reach_s


GOOD = "resident,rpi_bush_point,2020_07_25_19_15_00_PST,https://live.orcasound.net/bouts/new/bush-point?time=2020-07-26T02%3A15%3A00.250Z,"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (GOOD.replace("19_15_00", "18_15_00") + "x,tp_both,50", "one of them is wrong"),  # Pacific standard time, in summer
        (GOOD.replace("rpi_bush_point", "rpi_sunset_bay") + "x,tp_both,50", "URI names 'bush-point'"),
        (GOOD + "x,tp_both,101", "Confidence"),
        (GOOD + "x,tp_both,often", "Confidence"),
        (GOOD.replace("?time=", "?at=") + "x,tp_both,50", "URI"),
        (GOOD.replace("_PST", "") + "x,tp_both,50", "Timestamp"),
        (GOOD.replace("2020_07_25", "9999_12_31") + "x,tp_both,50", "one of them is wrong"),
        (GOOD + "x,tp_both", "has 6 cells"),
        (GOOD + '"never closed,tp_both,50', "cannot be read"),
    ],
)
def test_a_bad_row_is_refused_by_its_line_and_the_rest_goes_on(row: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "detections.csv"
    path.write_text(f"{HEADER}{row}\n{GOOD}fine,tp_human_only,\n")
    (window,), (refusal,) = read_windows(str(path))
    assert refusal.where == f"{path}, line 2" and words in refusal.reason
    assert [item.description for item in window.sightings] == ["fine"]


def test_the_hour_that_comes_twice(tmp_path: Path) -> None:
    rows = [GOOD.replace("2020_07_25_19_15_00", "2020_11_01_01_30_00").replace("2020-07-26T02", f"2020-11-01T{hour}")
            for hour in ("08", "09")]  # fmt: skip
    rows = [row.replace("%3A15%3A", "%3A30%3A") for row in rows]
    (tmp_path / "d.csv").write_text(HEADER + "".join(f"{row}x,tp_both,\n" for row in rows))
    windows, refusals = read_windows(str(tmp_path / "d.csv"))
    assert refusals == []
    assert [window.start for window in windows] == [datetime(2020, 11, 1, hour, 30, 0, 250000, UTC) for hour in (8, 9)]


ARCHIVE_START = datetime(2020, 10, 1, 2, 40, 2, tzinfo=UTC)  # the folder 1601520000 and the encoder's two seconds


def test_a_round_from_reports_keeps_them_in_its_tasks(small_data: Path, tmp_path: Path) -> None:
    def row(after_s: int, notes: str, category: str) -> str:
        moment = ARCHIVE_START + timedelta(seconds=after_s)
        return (
            f"{category},rpi_orcasound_lab,{moment - timedelta(hours=7):%Y_%m_%d_%H_%M_%S}_PST,https://live.orcasound.net/bouts/"
            f'new/orcasound-lab?time={moment:%Y-%m-%dT%H%%3A%M%%3A%S.000Z},"two\nlines",{notes},{"81.5" if after_s else ""}\n'
        )

    path = tmp_path / "detections.csv"
    path.write_text(HEADER + row(5, "tp_machine_only", "resident") + row(60, "tp_human_only", "humpback"))
    archive = str(small_data / "hls")
    options = ArchiveOptions(
        None, None, str(path), 0.0, archive, "", "us-west-2", 2.0, 60, "none", False, "local", None, 1, tmp_path / "w"
    )
    found = list(archive_sessions("hls://", options, str(tmp_path / "wav"), None, load_settings(), Report(), lambda _: None))
    sessions = [item for item in found if isinstance(item, Session)]
    # The minute before 60 s and the minute from 5 s on are one window: 0 to 65 s; audio of the folder ends soon after 60 s.
    first = sessions[0]
    assert first.recording.start == ARCHIVE_START
    assert [(item.source, item.category, item.confidence) for item in first.sightings] == [
        ("tp_human_only", "humpback", 0.815), ("tp_machine_only", "resident", 0.815),
    ]  # fmt: skip
    config = LabelConfig.load()
    task = to_task(replace(first, round="r"), "/a.wav", config)
    assert [item["description"] for item in task["data"]["sightings"]] == ["two\nlines"] * 2
    back = from_task({**task, "id": 1, "annotations": []}, config)
    assert back.sightings == first.sightings
    said: list[str] = []
    spoilt = {**task["data"], "sightings": [{"time": 5}, "x", *task["data"]["sightings"]]}
    assert from_task({"id": 1, "data": spoilt, "annotations": []}, config, say=said.append).sightings == first.sightings
    assert len(said) == 2


def samples(to: Path, *sessions: Session) -> list[dict[str, str]]:
    report = EXPORTERS["pods-ai"](sessions, str(to), WriteOptions())
    found = rows_of(to / "training_samples.csv")
    assert report.counts["samples"] == len(found)
    return found


def reported(category: str, source: str, at_s: int, confidence: float | None = None) -> Sighting:
    time = FALL_2020 + timedelta(seconds=at_s)
    return Sighting("rpi_north_sjc", time, time, time + timedelta(seconds=60), source, category, confidence)


def reviewed(name: str, *boxes: tuple[float, str, str], more: tuple[Sighting, ...] = ()) -> Session:
    said = tuple(box(start, start + 1, label=label, call_type=call_type) for start, label, call_type in boxes)
    orcas = {"Call", "Southern Resident", "Bigg's"} & {label for _, label, _ in boxes}
    state = ReviewState.CALLS if orcas else ReviewState.NO_CALLS
    found = session(name, replace(review("v", state), annotations=said), start=FALL_2020, node="rpi_north_sjc")
    return replace(found, sightings=more)


def test_reviewed_sessions_are_samples_of_their_own_times(tmp_path: Path) -> None:
    rows = samples(
        tmp_path,
        reviewed(
            "b", (5400.0, "Call", "S16"), (1.5, "Humpback", ""), (2.25, "Call", ""), (3.0, "Vessel", ""), (4.0, "Bigg's", "")
        ),
        reviewed("a", (0.0, "Call", ""), more=(reported("transient", "tp_machine_only", 0, 0.623839),)),
        reviewed("quiet"),
    )
    node, quoted = "rpi_north_sjc", "https://live.orcasound.net/bouts/new/north-sjc?time=2020-11-01T{}Z"
    assert [list(row.values()) for row in rows] == [
        # In the night of the change-over, 07:00 UTC is midnight in summer time, and 08:30 half past one, for the first time.
        ["transient", node, "2020_11_01_00_00_00_PST", quoted.format("07%3A00%3A00.000"), "", "tp_machine_only", "62.3839"],
        ["resident", node, "2020_11_01_01_30_00_PST", quoted.format("08%3A30%3A00.000"), "S16", "tp_human_only", ""],
        ["humpback", node, "2020_11_01_00_00_01_PST", quoted.format("07%3A00%3A01.500"), "", "tp_human_only", ""],
        ["vessel", node, "2020_11_01_00_00_03_PST", quoted.format("07%3A00%3A03.000"), "", "", ""],
        ["transient", node, "2020_11_01_00_00_04_PST", quoted.format("07%3A00%3A04.000"), "", "tp_human_only", ""],
    ]
    sidecar = (tmp_path / "sidecar.jsonl").read_text()
    assert '"session_id": "b"' in sidecar and '"session_id": "quiet"' in sidecar  # an orca of no known kind; nothing to name
    windows, refusals = read_windows(str(tmp_path / "training_samples.csv"))  # and the importer takes them
    assert (refusals, sum(len(window.sightings) for window in windows)) == ([], 5)


def test_what_is_no_sample(tmp_path: Path) -> None:
    unsure = replace(box(1, 2, label="Humpback"), certainty=Certainty.UNCERTAIN)
    odd = [
        replace(reviewed("uncertain"), reviews=(Review("v", ReviewState.CALLS, (unsure,)),)),
        reviewed("two kinds", (1.0, "Call", ""), more=(reported("resident", "", 0), reported("transient", "", 0))),
        reviewed("other time", (1.0, "Call", ""), more=(reported("resident", "", 30),)),
        reviewed("reported ship", (1.0, "Call", ""), more=(reported("vessel", "fp_machine_only", 0),)),
    ]
    assert samples(tmp_path, *odd) == []
    untimed = replace(reviewed("x", (1.0, "Call", "")), id="tape")
    untimed = replace(untimed, recording=replace(untimed.recording, start=None))
    report = EXPORTERS["pods-ai"]([untimed], str(tmp_path / "to"), WriteOptions())
    assert (report.counts["written"], report.counts["refused"]) == (0, 1)


@pytest.mark.parametrize(("at_s", "told"), [(-30, False), (-29, True), (30, True), (31, False)])
def test_a_report_tells_of_the_sounds_of_its_minute_alone(at_s: int, told: bool, tmp_path: Path) -> None:
    given = reviewed("a", (30.0, "Call", ""), more=(reported("resident", "tp_both", at_s),))
    assert [row["Category"] for row in samples(tmp_path, given)] == ["resident"] * told


def test_a_call_type_and_the_box_tell_before_a_report(tmp_path: Path) -> None:
    """S16 is a call of residents alone; who says Bigg's has heard them, and a ship is none of both."""
    near = (reported("transient", "tp_both", 0), reported("vessel", "fp_both", 0), reported("", "tp_both", 0))
    boxes = ((1.0, "Call", "S16"), (2.0, "Call", ""), (3.0, "Southern Resident", "S16"), (4.0, "Humpback", "S16"))
    rows = samples(tmp_path, reviewed("a", *boxes, more=near))
    assert [row["Category"] for row in rows] == ["resident", "transient", "resident", "humpback"]
    assert [row["Description"] for row in rows] == ["S16", "", "S16", "S16"]
    assert [row["Notes"] for row in rows] == ["tp_human_only", "tp_both", "tp_human_only", "tp_human_only"]


def test_the_words_of_a_box_go_before_those_of_the_session(tmp_path: Path) -> None:
    first, second = box(1, 2, label="Humpback", note="a\tsong"), box(3, 4, label="Humpback", call_type="moan")
    said = Review("v", ReviewState.NO_CALLS, (first, second), note='far "away"')
    rows = samples(tmp_path, replace(reviewed("a"), reviews=(said,)))
    assert [row["Description"] for row in rows] == ["a song", "moan far 'away'"]


def test_a_model_that_was_right_or_wrong(tmp_path: Path) -> None:
    run = ModelRun("m", "1")
    right, wrong = (Detection(SoundEvent(start, start + 1), "Call", 0.75, run) for start in (1.0, 5.0))
    kept = box(1.0, 2.0, label="Southern Resident", outcome=Outcome.ACCEPTED, detection=right)
    ship = box(5.2, 6.0, label="Vessel")
    said = Review("v", ReviewState.CALLS, (kept, ship), (wrong,))
    rows = samples(tmp_path, replace(reviewed("a"), reviews=(said,)))
    assert [(row["Category"], row["Notes"], row["Confidence"]) for row in rows] == [
        ("resident", "tp_machine_only", "75"),
        ("vessel", "fp_machine_only", "75"),
    ]
    # Who drew a box of their own was told by no model, unless it overlaps one that they deleted; beside one is not over it.
    drawn = replace(kept, outcome=Outcome.ADDED)
    beside, splash = box(6.0, 7.0, label="Humpback"), box(4.0, 5.0, label="Water")
    said = Review("v", ReviewState.CALLS, (drawn, splash, beside), (wrong,))
    rows = samples(tmp_path / "added", replace(reviewed("a"), reviews=(said,)))
    assert [(row["Notes"], row["Confidence"]) for row in rows] == [("tp_human_only", ""), ("", ""), ("tp_human_only", "")]
