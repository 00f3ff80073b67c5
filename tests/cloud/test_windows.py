"""Windows by hand, by OrcaHello's detections, by Orcasound's bouts."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from importers.windows import Window, read_windows
from podcast.errors import InputError
from podcast.times import parse_moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-07-25 19:15", "2020-07-26T02:15:00"),  # Pacific in summer: seven hours behind
        ("2020-12-25 19:15:30", "2020-12-26T03:15:30"),
        ("2020-07-25 19:15 Pacific", "2020-07-26T02:15:00"),
        ("2020-07-25 19:15 PST", "2020-07-26T02:15:00"),  # "PST" in summer means local time
        ("2020-07-25 19:15 UTC", "2020-07-25T19:15:00"),
        ("2020-07-25T19:15:00Z", "2020-07-25T19:15:00"),
        ("2020-07-25 19:15+02:00", "2020-07-25T17:15:00"),
        ("2020-11-01 01:30 PDT", "2020-11-01T08:30:00"),  # the hour that comes twice
        ("2020-11-01 01:30 PST", "2020-11-01T09:30:00"),
    ],
)
def test_a_time_as_people_write_it(text: str, expected: str) -> None:
    assert parse_moment(text) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2020-07-25 25:00", "2020-07-25 19:15 CEST", "2020-07-25 19:15Z PDT"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_moment(text)


def test_a_stored_detection_names_its_minute(small_data: Path) -> None:
    windows, refusals = read_windows(str(small_data / "labels" / "orcahello" / "OrcaHelloDetection.json"))
    start = datetime(2025, 8, 31, 15, 13, 53, 250260, UTC)
    assert (windows, refusals) == ([Window("rpi_bush_point", start, start + timedelta(seconds=60))], [])


def bout(start: str, end: str | None, node: str = "rpi_orcasound_lab") -> dict[str, object]:
    return {"id": "bout_1", "category": "BIOPHONIC", "startTime": start, "endTime": end, "feed": {"nodeName": node}}


def test_bouts_as_the_web_answers_them(tmp_path: Path) -> None:
    bouts = [
        bout("2024-09-01T10:00:00.000Z", "2024-09-01T10:20:00.000Z"),
        bout("2024-09-01T10:20:30.000Z", "2024-09-01T10:40:00.000Z"),
        bout("2024-09-01T10:00:00.000Z", "2024-09-01T10:05:00.000Z", "rpi_north_sjc"),
        bout("2024-09-02T10:00:00.000Z", None),
        bout("2024-09-03T10:00:00", "2024-09-03T10:05:00"),
    ]
    (tmp_path / "bouts.json").write_text(json.dumps({"data": {"bouts": {"results": bouts, "count": 5}}}))
    windows, refusals = read_windows(str(tmp_path / "bouts.json"), margin_s=15)
    day = datetime(2024, 9, 1, 10, 0, tzinfo=UTC)

    def window(node: str, first: int, last: int) -> Window:
        return Window(node, day + timedelta(seconds=first), day + timedelta(seconds=last))

    assert windows == [window("rpi_north_sjc", -15, 315), window("rpi_orcasound_lab", -15, 2415)]
    assert [refusal.reason.split(";")[0] for refusal in refusals] == [
        "endTime is missing",
        "'2024-09-03T10:00:00' names no time zone",
    ]


def test_bouts_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "bouts.csv").write_text("node,start,end\nrpi_bush_point,2024-09-01T10:00:00Z,2024-09-01T10:05:00Z\n,2024,2025\n")
    windows, refusals = read_windows(str(tmp_path / "bouts.csv"))
    day = datetime(2024, 9, 1, 10, 0, tzinfo=UTC)
    assert windows == [Window("rpi_bush_point", day, day + timedelta(minutes=5))]
    assert ["names no node" in refusal.reason for refusal in refusals] == [True]


def test_a_file_that_is_neither(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1, 2")
    with pytest.raises(InputError, match="not JSON"):
        read_windows(str(tmp_path / "x.json"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"timestamp": "2024-01-01T00:00:00Z", "node": "../up"}', "'../up' is no node's name"),
        ('{"timestamp": "2024-01-01T00:00:00Z", "node": {"a": 1}}', "is no node's name"),
        ('{"timestamp": "9999-12-31T23:59:59Z", "node": "rpi_x"}', "outside 1900 to 2199"),
        ('{"timestamp": 1e400, "node": "rpi_x"}', "no ISO 8601 time"),
        ('{"attributes": {"timestamp": "2024"}, "relationships": 5}', "names no node"),
        ("null", "expected an object, not None"),
        ('"2024-01-01"', "expected an object, not '2024-01-01'"),
        ('node,start,end\nrpi_x,2024-09-01T10:00:00Z,"2024\n', "line 2: cannot be read"),
        ("node,start,end\nrpi_x,2024-09-01T10:00:00Z\n", "has 2 cells"),
    ],
)
def test_a_bad_entry_is_refused_and_the_rest_goes_on(tmp_path: Path, content: str, words: str) -> None:
    good = {"timestamp": "2024-01-01T00:00:00Z", "node": "rpi_good"}
    if content.startswith("node"):
        content += "rpi_good,2024-01-01T00:00:00Z,2024-01-01T00:01:00Z\n"
    else:
        content = f"[{content}, {json.dumps(good)}]"
    (tmp_path / "w").write_text(content)
    windows, refusals = read_windows(str(tmp_path / "w"), margin_s=1.0)
    assert [window.node for window in windows] == ["rpi_good"]
    assert len(refusals) == 1 and words in str(refusals[0]) and len(refusals[0].reason) < 200


@given(st.binary(max_size=60) | st.text(st.sampled_from('{}[]":,atsrtimep2024-Z\n'), max_size=60).map(str.encode))
@example(b"[" * 900 + b"]" * 900)
@example(b'{"a":' * 900 + b"1" + b"}" * 900)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with suppress(InputError):
        read_windows(str(tmp_path / "w"))
