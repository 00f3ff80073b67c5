"""What holds for every format: every state, annotator and name, byte for byte; and two formats to the letter."""

from __future__ import annotations

import importlib
import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporters import EXPORTERS
from exporters.base import WriteOptions
from exporters.dataset_tsv import rows
from podcast.errors import InputError, Refusal, StorageError
from podcast.model import Recording, Review, ReviewState, Session
from tests.conftest import ROOT
from tests.exports.readers import READERS
from tests.exports.rounds import (
    BOXES,
    COUNTS,
    LISTS,
    NO_CALLS,
    OUTCOMES,
    SESSIONS,
    boxes,
    calls,
    every_format,
    every_format_of_sessions,
    export,
    files_of,
    session,
)


def test_every_format_is_read_back_and_has_its_page() -> None:
    assert set(READERS) == set(EXPORTERS) - LISTS
    for name, write in EXPORTERS.items():
        page = f"docs/formats/{name}.md"
        assert (ROOT / page).read_text().startswith("# "), name
        assert page in (importlib.import_module(write.__module__).__doc__ or ""), name


@every_format_of_sessions
def test_every_state(name: str, tmp_path: Path, wavs: str) -> None:
    report, _ = export(tmp_path, name, SESSIONS, wavs)
    assert READERS[name](tmp_path) == BOXES  # an empty list for any other session would call it "no calls"
    assert dict(report.counts) == COUNTS
    kept = {row["session_id"]: row["review_state"] for row in map(json.loads, (tmp_path / "sidecar.jsonl").open())}
    assert kept == {"s_uncertain": "calls", "s_unsure": "unsure", "s_answer": "unreviewed", "s_torn": "unsure"}
    assert any("sidecar.jsonl" in warning for warning in report.warnings)


@every_format
def test_the_same_sessions_in_any_order_give_the_same_bytes(name: str, tmp_path: Path, wavs: str) -> None:
    export(tmp_path / "a", name, SESSIONS, wavs)
    for seed in range(3):
        shuffled = random.Random(seed).sample(SESSIONS, len(SESSIONS))
        export(tmp_path / f"b{seed}", name, shuffled, wavs)
        assert files_of(tmp_path / "a", manifest=True) == files_of(tmp_path / f"b{seed}", manifest=True)


@every_format
def test_counts_add_up_to_the_sessions(name: str, tmp_path: Path, wavs: str) -> None:
    bad: list[Session | Refusal] = [
        replace(session("s_bad", calls((1, 2))), round="\udfff"),
        replace(session("s_quiet", NO_CALLS), round="\udfff"),
        Refusal("task 3", "bad"),
        SESSIONS[0],
    ]
    report = EXPORTERS[name]([*SESSIONS, *bad], str(tmp_path), WriteOptions(audio=wavs))
    assert {outcome: report.counts[outcome] for outcome in COUNTS} == {**COUNTS, "refused": 4}
    assert sum(report.counts[outcome] for outcome in OUTCOMES) == len(SESSIONS) + len(bad)
    assert len(report.refusals) == 4


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("dclde", {"start": None}),
        ("dclde", {"duration_s": None}),
        ("orcahello", {"start": None}),
        ("raven-birdnet", {"duration_s": None}),
        ("audiofolder", {"duration_s": 59.0}),
        ("audiofolder", {"sha256": "0" * 64}),
    ],
)
def test_a_session_that_the_format_refuses_is_neither_written_nor_a_no_call(
    name: str, change: dict[str, object], tmp_path: Path, wavs: str
) -> None:
    refused = replace(SESSIONS[1], recording=replace(SESSIONS[1].recording, **change))  # type: ignore[arg-type]
    given = wavs if name == "audiofolder" else str(tmp_path)  # others find no audio to ask for its length
    report, files = export(tmp_path / "to", name, [refused], given)
    assert dict(report.counts) == {**dict.fromkeys(COUNTS, 0), "refused": 1}
    assert files == {}
    report, _ = export(tmp_path / "to", name, [refused, SESSIONS[0]], wavs if name == "audiofolder" else str(tmp_path))
    assert READERS[name](tmp_path / "to") == {"s_calls": BOXES["s_calls"]}
    assert (report.counts["written"], report.counts["no_calls"], report.counts["refused"]) == (1, 0, 1)


@pytest.mark.parametrize("evil", ["../evil", "a/b", "/evil", "..", "", ".evil", "a\\b", "a\nb", "a\0b", "x" * 300, "\ud800"])
def test_no_session_has_a_name_that_is_no_file_s(evil: str) -> None:
    with pytest.raises(InputError, match="cannot name a file"):
        session(evil, calls((1, 2)))


@every_format
@pytest.mark.parametrize("evil", ["../evil", "a/b", "..", ".evil", "a\nb", "x" * 300])
def test_an_annotator_whose_name_is_no_file_s_is_refused_alone(name: str, evil: str, tmp_path: Path, wavs: str) -> None:
    given = session("s_calls", calls((24.5, 26.95), annotator=evil), calls((24.5, 26.95), annotator="v@x.org"))
    report = EXPORTERS[name]([given], str(tmp_path / "to"), WriteOptions("all", audio=wavs))
    assert (report.counts["written"], report.counts["refused"]) == (1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["to"]
    assert not any("\n" in str(refusal) for refusal in report.refusals)


@every_format_of_sessions
@pytest.mark.parametrize(
    "bad",
    [
        session("s", Review("v", ReviewState.CALLS, (replace(boxes((1, 2))[0], note="\ud800"),))),
        replace(session("s", calls((1, 2))), round="\udfff"),
        replace(session("s", calls((1, 2))), absolute_time="\udfff"),
        session("OS_13_45_2020_08_25_00_", calls((1, 2))),  # the 45th of the 13th month
    ],
    ids=["note", "round", "absolute_time", "date"],
)
def test_a_bad_session_ends_nothing(name: str, bad: Session, tmp_path: Path, wavs: str) -> None:
    report, _ = export(tmp_path, name, [bad, SESSIONS[0]], wavs)
    found = READERS[name](tmp_path)
    assert found["s_calls"] == BOXES["s_calls"]
    assert report.counts["written"] + report.counts["refused"] == 2
    assert set(found) == {"s_calls", bad.id} if not report.counts["refused"] else {"s_calls"}
    export(tmp_path, name, [SESSIONS[0]], wavs)  # and the folder can be exported into again


@every_format_of_sessions
@pytest.mark.parametrize(
    ("annotator", "expected"),
    [
        ("latest", {"": [2.0]}),
        ("ground-truth", {"": [2.0]}),
        ("a@x.org", {"": [1.0]}),
        ("c@x.org", {}),
        ("all", {"a@x.org": [1.0], "b@x.org": [3.0]}),
    ],
)
def test_which_of_several_annotators(
    name: str, tmp_path: Path, wavs: str, annotator: str, expected: dict[str, list[float]]
) -> None:
    reviews = (
        calls((1, 2), annotator="a@x.org"),
        calls((2, 3), annotator="b@x.org", ground_truth=True),
        calls((3, 4), annotator="b@x.org"),
        Review("c@x.org", ReviewState.SKIPPED),
    )
    report, _ = export(tmp_path, name, [session("s", *reviews)], wavs, annotator)
    for folder in ("", "a@x.org", "b@x.org"):
        assert READERS[name](tmp_path / folder) == ({"s": expected[folder]} if folder in expected else {})
    assert report.counts["written"] == len(expected)
    assert report.counts["skipped"] == (annotator in ("all", "c@x.org"))


@every_format
def test_an_annotator_that_there_is_not_ends_the_export_before_it_writes(name: str, tmp_path: Path, wavs: str) -> None:
    sessions = [session("s", calls((1, 2), annotator="a@x.org")), session("new", NO_CALLS)]
    words = "there is no review by 'nobody@x.org'; reviews are by a@x.org, v@x.org"
    with pytest.raises(InputError, match=words):
        export(tmp_path / "to", name, sessions, wavs, "nobody@x.org")
    assert not (tmp_path / "to").exists()
    many = [session(f"s{number:02}", calls((1, 2), annotator=f"a{number:02}")) for number in range(25)]
    with pytest.raises(InputError, match=r"a18, a19, 5 more$"):
        export(tmp_path / "to", name, many, wavs, "nobody")


@every_format_of_sessions
@pytest.mark.parametrize("annotator", ["../a", "a/b", ""])
def test_an_annotator_whose_name_is_no_folder(name: str, annotator: str, tmp_path: Path, wavs: str) -> None:
    given = session("s", calls((1, 2), annotator=annotator), calls((3, 4), annotator="b@x.org"))
    report, _ = export(tmp_path / "to", name, [given], wavs, "all")
    assert (report.counts["refused"], report.counts["written"]) == (1, 1)
    assert READERS[name](tmp_path / "to" / "b@x.org") == {"s": [3.0]}
    assert [path.name for path in tmp_path.iterdir()] == ["to"]


@every_format_of_sessions
def test_a_second_task_of_a_session_is_refused_and_overwrites_nothing(name: str, tmp_path: Path, wavs: str) -> None:
    report, _ = export(tmp_path, name, [session("s", calls((1, 2))), session("s", NO_CALLS)], wavs)
    assert READERS[name](tmp_path) == {"s": [1.0]}
    assert report.counts["refused"] == 1 and "second task" in report.refusals[0].reason
    assert report.counts["no_calls"] == 0


@every_format
def test_a_folder_that_cannot_be_written(name: str, tmp_path: Path, wavs: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/below.*Not a directory"):
        export(tmp_path / "file" / "below", name, SESSIONS, wavs)


def test_podcast_json_to_the_byte(tmp_path: Path) -> None:
    _, files = export(tmp_path, "podcast-json", SESSIONS)
    assert files["s_calls.json"].decode() == (
        '{"uri": "https://x/s_calls.wav", "absolute_time": "OS_9_27_2017_08_25_00_", "source_guid": "rpi_orcasound_lab", '
        '"annotations": [{"start_s": 24.5, "duration_s": 2.45}, {"start_s": 39.2, "duration_s": 2.45}]}\n'
    )


def test_the_sidecar_holds_what_the_format_cannot(tmp_path: Path) -> None:
    _, files = export(tmp_path, "podcast-json", SESSIONS)
    kept = {row["session_id"]: row for row in map(json.loads, files["sidecar.jsonl"].splitlines())}
    assert sorted(kept) == ["s_answer", "s_torn", "s_uncertain", "s_unsure"]
    assert kept["s_uncertain"]["annotations"][0] == {
        "start_s": 3.0, "duration_s": 1.0, "label": "Call", "certainty": "uncertain", "call_type": "S01", "note": "",
    }  # fmt: skip
    assert (kept["s_unsure"]["review_state"], kept["s_unsure"]["note"]) == ("unsure", "ship?")


def test_dataset_tsv_to_the_byte(tmp_path: Path) -> None:
    winter = session("1573775700_0002", calls((0.5, 1.25)), start=datetime(2019, 11, 15, 0, 0, tzinfo=UTC))
    tape = Session("60012", Recording("60012.wav", ""), "60012", "round1", reviews=(NO_CALLS,))
    _, files = export(tmp_path, "dataset-tsv", [tape, winter, *SESSIONS[:3]])
    assert files["annotations.tsv"].decode() == (
        "dataset\twav_filename\tstart_time_s\tduration_s\tlocation\tdate\tpst_or_master_tape_identifier\n"
        "round3\t1573775700_0002.wav\t0.5\t0.75\torcasound_lab\t2019-11-14\t16:00:00\n"
        "round1\t60012.wav\t0.0\t0.0\t\t\t60012\n"
        "round3\ts_calls.wav\t24.5\t2.45\torcasound_lab\t2017-09-27\t08:26:00\n"
        "round3\ts_calls.wav\t39.2\t2.45\torcasound_lab\t2017-09-27\t08:26:00\n"
        "round3\ts_empty.wav\t0.0\t0.0\torcasound_lab\t2017-09-27\t08:26:00\n"
    )


def test_a_dataset_without_a_name_is_podcast(tmp_path: Path) -> None:
    """The published scorer takes no empty name."""
    _, files = export(tmp_path, "dataset-tsv", [replace(session("s", calls((1, 2))), round="")])
    assert files["annotations.tsv"].decode().splitlines()[1].split("\t")[0] == "podcast"
    unnamed = replace(session("s", calls((1, 2))), round=" \t")
    for given, name in (("", "podcast"), (" ", "podcast"), ("the  5th\tset", "the 5th set")):
        assert [row[0] for row in rows(unnamed, unnamed.reviews[0], given)] == [name]
    assert [row[0] for row in rows(replace(unnamed, round="r"), unnamed.reviews[0], "other")] == ["r"]


def test_a_time_that_is_unknown_stays_empty_and_is_reported(tmp_path: Path) -> None:
    unknown = session("OS_9_27_2017_08_25_00__0001", calls((1, 2)), start=None)
    report, files = export(tmp_path, "dataset-tsv", [unknown])
    assert files["annotations.tsv"].decode().splitlines()[1].split("\t")[5:] == ["", ""]
    assert any("1 sessions were imported without audio, so their own start is unknown" in words for words in report.warnings)
    tape = Session("60012", Recording("60012.wav", ""), "60012", "round1", reviews=(NO_CALLS,))
    known = session("OS_9_27_2017_08_25_00__0001", calls((1, 2)))
    assert list(export(tmp_path / "known", "dataset-tsv", [tape, known])[0].warnings) == []  # a tape has none, and no audio tells
