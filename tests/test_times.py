"""Names to UTC: summer, winter, both change-over nights, against real names whose UTC is known from elsewhere."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcast.errors import InputError
from podcast.model import SoundEvent
from podcast.times import format_utc, node_name, pacific_to_utc, parse_moment, parse_session_name, parse_utc


@pytest.mark.parametrize(
    ("name", "parent_start", "chunk", "guid"),
    [
        # Summer time (UTC-7), then standard time (UTC-8); the third is given in formats.md.
        ("OS_9_27_2017_08_25_00__0001", "2017-09-27T15:25:00", 1, ""),
        ("OS_11_14_2019_08_25_00__000a", "2019-11-14T16:25:00", 10, ""),
        ("rpi_orcasound_lab_2023_08_18_00_59_53_PST", "2023-08-18T07:59:53", None, "rpi_orcasound_lab"),
        ("rpi-orcasound-lab_2020_09_30_03_51_56_PDT", "2020-09-30T10:51:56", None, "rpi_orcasound_lab"),
        # 1562337136 is 2019-07-05 14:32:16 UTC.
        ("1562337136_001F", "2019-07-05T14:32:16", 31, ""),
        ("OS_7_05_2019_08_24_00_", "2019-07-05T15:24:00", None, ""),
    ],
)
def test_names_tell_utc(name: str, parent_start: str, chunk: int | None, guid: str) -> None:
    found = parse_session_name(name)
    assert found.parent_start == datetime.fromisoformat(parent_start).replace(tzinfo=UTC)
    assert (found.chunk, found.source_guid) == (chunk, guid)


@pytest.mark.parametrize(
    ("local", "second_pass", "utc"),
    [
        # Autumn 2020: clocks went from 02:00 PDT back to 01:00 PST on 1 November.
        ("2020-11-01 00:59:59", False, "2020-11-01 07:59:59"),
        ("2020-11-01 01:30:00", False, "2020-11-01 08:30:00"),
        ("2020-11-01 01:30:00", True, "2020-11-01 09:30:00"),
        ("2020-11-01 02:00:00", False, "2020-11-01 10:00:00"),
        # Spring 2021: from 02:00 PST on to 03:00 PDT on 14 March. 02:30 did not exist.
        ("2021-03-14 01:59:59", False, "2021-03-14 09:59:59"),
        ("2021-03-14 02:30:00", True, "2021-03-14 10:30:00"),
        ("2021-03-14 03:00:00", True, "2021-03-14 10:00:00"),
    ],
)
def test_change_over_nights(local: str, second_pass: bool, utc: str) -> None:
    found = pacific_to_utc(datetime.fromisoformat(local), second_pass=second_pass)
    assert found == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_without_a_word_the_first_of_two_hours_is_meant() -> None:
    assert pacific_to_utc(datetime(2020, 11, 1, 1, 30)) == datetime(2020, 11, 1, 8, 30, tzinfo=UTC)


def test_suffix_decides_only_in_the_hour_that_comes_twice() -> None:
    first = parse_session_name("rpi_bush_point_2020_11_01_01_30_00_PDT").parent_start
    second = parse_session_name("rpi_bush_point_2020_11_01_01_30_00_PST").parent_start
    assert first and second and second - first == timedelta(hours=1)


def test_real_pacific_names_agree_with_the_utc_in_their_addresses(small_data: Path) -> None:
    rows = list(csv.DictReader((small_data / "labels" / "pods_ai" / "testing_samples.csv").open()))
    compared = 0
    for row in rows:
        address = re.search(r"time=(\S+Z)", unquote(row["URI"]))
        if address is None:
            continue
        expected = parse_utc(address[1])
        found = parse_session_name(f"{row['NodeName']}_{row['Timestamp']}").parent_start
        assert expected and found == expected.replace(microsecond=0), row
        compared += 1
    assert compared >= 60


def test_start_of_a_session_is_its_parents_plus_its_chunks() -> None:
    name = parse_session_name("OS_9_27_2017_08_25_00__0010")
    assert name.start(61.25) == datetime(2017, 9, 27, 15, 41, 20, tzinfo=UTC)  # 16 * 61.25 s = 980 s
    assert name.start(None) is None
    first = parse_session_name("OS_9_27_2017_08_25_00__0000")
    assert first.start(None) == first.start(61.25) == datetime(2017, 9, 27, 15, 25, tzinfo=UTC)  # of whatever length


@pytest.mark.parametrize(
    "name",
    [
        *("OS_13_27_2017_08_25_00__0001", "rpi_bush_point_2020_02_30_00_00_00_PST", "OS_12_31_9999_23_59_59__ffff"),
        *("OS_1_1_0000_00_00_00_", "OS_1_1_0001_00_00_00_", "rpi_bush_point_9999_12_31_23_59_59_PST", "9999999999_0001"),
    ],
)
def test_impossible_dates_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        parse_session_name(name)


def test_a_tape_has_no_time() -> None:
    found = parse_session_name("60012")
    assert (found.parent, found.parent_start, found.chunk, found.source_guid) == ("60012", None, None, "")
    assert found.start(60.0) is None


@given(st.datetimes(datetime(2017, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC)))
def test_node_names_round_trip(start: datetime) -> None:
    assert parse_session_name(node_name("rpi_orcasound_lab", start)).parent_start == start


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(-12, 14))
def test_utc_text_round_trips_to_the_millisecond(moment: datetime, offset: int) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    shifted = (moment + timedelta(hours=offset)).replace(tzinfo=None).isoformat(timespec="milliseconds")
    assert parse_utc(f"{shifted}{offset:+03d}:00") == moment
    assert parse_utc(format_utc(moment)) == moment


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(InputError, match="time zone"):
        parse_utc("2020-07-25 19:15")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        # Winter and summer, by hand: the offset is what is behind UTC, whatever the season.
        ("2020-01-15 12:00-08:00", "2020-01-15 20:00"),
        ("2020-01-15 12:00-07:00", "2020-01-15 19:00"),
        ("2020-07-15 12:00-07:00", "2020-07-15 19:00"),
        ("2020-07-15 12:00-08:00", "2020-07-15 20:00"),
        ("2020-07-15 12:00+00:00", "2020-07-15 12:00"),
        ("2020-07-15T12:00:30+05:45", "2020-07-15 06:15:30"),
        ("2020-01-15 12:00", "2020-01-15 20:00"),
        ("2020-01-15 12:00 PDT", "2020-01-15 20:00"),
        ("2020-01-15 12:00 GMT", "2020-01-15 12:00"),
        # 1 November 2020, 01:30 came twice; 8 March 2020, 02:30 never.
        ("2020-11-01 01:30", "2020-11-01 08:30"),
        ("2020-11-01 01:30 Pacific", "2020-11-01 08:30"),
        ("2020-11-01 01:30 PST", "2020-11-01 09:30"),
        ("2020-11-01 01:30-07:00", "2020-11-01 08:30"),
        ("2020-11-01 01:30-08:00", "2020-11-01 09:30"),
        ("2020-11-01 01:30 UTC", "2020-11-01 01:30"),
        ("2020-03-08 02:30", "2020-03-08 10:30"),
        ("2020-03-08 02:30-08:00", "2020-03-08 10:30"),
        ("2020-03-08 03:30 PST", "2020-03-08 10:30"),
    ],
)
def test_moments_as_people_write_them(text: str, utc: str) -> None:
    found = parse_moment(text)
    assert (found, found.utcoffset()) == (datetime.fromisoformat(utc).replace(tzinfo=UTC), timedelta(0))


@pytest.mark.parametrize(
    "text",
    [
        *("2020-07-15 12:00-08:00 PST", "2020-07-15 12:00Z PDT", "2020-07-15 12:00+00:00 UTC", "2020-07-15 12:00 -08:00 PST"),
        *(
            "2020-07-15 12:00 EST",
            "PST",
            "2200-01-01 12:00 UTC",
            "0001-01-01 00:00+23:59",
            "9999-12-31 23:59-12:00",
            "9999-12-31 23:59",
            "1899-12-31 12:00",
        ),
    ],
)
def test_moments_that_contradict_themselves_or_the_calendar_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=text.split()[0].partition("+")[0]):
        parse_moment(text)


@pytest.mark.parametrize("text", ["1900-01-01T00:00:00.000Z", "2199-12-31T23:59:59.999Z"])
def test_the_first_and_the_last_moment_that_are_believed(text: str) -> None:
    assert format_utc(parse_utc(text)) == text
    assert (parse_utc(""), format_utc(None)) == (None, "")


@pytest.mark.parametrize("text", ["", " "])
def test_nothing_is_no_moment(text: str) -> None:
    with pytest.raises(InputError, match="is no time"):
        parse_moment(text)


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1899-12-31T00:00:00Z", "2200-01-01T00:00:00Z"],
)
def test_utc_at_the_ends_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="outside 1900 to 2199"):
        parse_utc(text)


@given(
    st.text(max_size=30)
    | st.from_regex(r"OS_\d{1,2}_\d{1,2}_\d{4}_\d\d_\d\d_\d\d__[0-9a-f]{4}|\d{9,10}_[0-9a-f]{4}", fullmatch=True)
)
def test_any_name_has_a_start_or_none_or_is_refused(name: str) -> None:
    for parse in (lambda text: parse_session_name(text).start(61.25), parse_utc, parse_moment):
        try:
            found = parse(name)
        except InputError:
            continue
        assert found is None or format_utc(found + timedelta(days=365)).endswith("Z")


@pytest.mark.parametrize(
    "numbers",
    [
        *((0, 1, -1.0, 100.0), (0, 1, float("nan"), 100.0), (0, 1, float("nan"), None), (0, 1, None, float("inf"))),
        *((0, 1, None, -5.0), (0, 1, 100.0, 100.0), (0, 1, 0.0, 10**400), (0, 10**400), (0, 1e8), (0, float("inf"))),
        *((float("nan"), 1), (-(10**400), 1), (1, 1), (2, 1)),
    ],
)
def test_what_no_sound_can_be_is_refused(numbers: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"times must be finite|an event must have"):
        SoundEvent(*numbers)
