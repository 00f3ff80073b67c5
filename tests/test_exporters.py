"""Every state, every choice of annotator, byte for byte."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporters import EXPORTERS
from exporters.base import WriteOptions
from podcast.errors import Refusal, StorageError
from podcast.model import Annotation, Certainty, Outcome, Recording, Review, ReviewState, Session, SoundEvent
from podcast.report import Report


def boxes(*times: tuple[float, float], certainty: Certainty = Certainty.CERTAIN, call_type: str = "") -> tuple[Annotation, ...]:
    return tuple(
        Annotation(SoundEvent(start, end), "Call", certainty, "v@x.org", Outcome.ADDED, call_type=call_type)
        for start, end in times
    )


def session(name: str, *reviews: Review, start: datetime | None = datetime(2017, 9, 27, 15, 26, tzinfo=UTC)) -> Session:
    recording = Recording(f"https://x/{name}.wav", "rpi_orcasound_lab", start, 60.0)
    return Session(name, recording, "OS_9_27_2017_08_25_00_", "round3", reviews=reviews)


def calls(*times: tuple[float, float], annotator: str = "v@x.org", **more: object) -> Review:
    return Review(annotator, ReviewState.CALLS, boxes(*times), **more)  # type: ignore[arg-type]


NO_CALLS = Review("v@x.org", ReviewState.NO_CALLS)
SESSIONS = [
    session("s_calls", calls((24.5, 26.95), (39.2, 41.65))),
    session("s_empty", NO_CALLS),
    session("s_unsure", Review("v@x.org", ReviewState.UNSURE, boxes((1, 2)), note="ship?")),
    session("s_skipped", Review("v@x.org", ReviewState.SKIPPED)),
    session("s_unreviewed"),
    session("s_answer", Review("v@x.org", ReviewState.UNREVIEWED)),
    session("s_uncertain", Review("v@x.org", ReviewState.CALLS, boxes((3, 4), certainty=Certainty.UNCERTAIN, call_type="S01"))),
]


def export(to: Path, name: str, sessions: list[Session], annotator: str = "latest") -> tuple[Report, dict[str, bytes]]:
    report = EXPORTERS[name](sessions, str(to), WriteOptions(annotator))
    return report, {str(path.relative_to(to)): path.read_bytes() for path in sorted(to.rglob("*")) if path.is_file()}


def test_podcast_json_to_the_byte(tmp_path: Path) -> None:
    report, files = export(tmp_path, "podcast-json", SESSIONS)
    assert files["s_calls.json"].decode() == (
        '{"uri": "https://x/s_calls.wav", "absolute_time": "OS_9_27_2017_08_25_00_", "source_guid": "rpi_orcasound_lab", '
        '"annotations": [{"start_s": 24.5, "duration_s": 2.45}, {"start_s": 39.2, "duration_s": 2.45}]}\n'
    )
    assert json.loads(files["s_empty.json"])["annotations"] == []
    # Unsure, skipped and unreviewed sessions have no file: an empty list would call them "no calls".
    assert sorted(files) == ["s_calls.json", "s_empty.json", "s_uncertain.json", "sidecar.jsonl"]
    assert dict(report.counts) == {"written": 3, "no_calls": 1, "unsure": 1, "skipped": 1, "unreviewed": 2, "refused": 0}


def test_the_sidecar_holds_what_the_format_cannot(tmp_path: Path) -> None:
    report, files = export(tmp_path, "podcast-json", SESSIONS)
    rows = {row["session_id"]: row for row in map(json.loads, files["sidecar.jsonl"].splitlines())}
    assert sorted(rows) == ["s_answer", "s_uncertain", "s_unsure"]
    assert rows["s_uncertain"]["annotations"][0] == {
        "start_s": 3.0, "duration_s": 1.0, "label": "Call", "certainty": "uncertain", "call_type": "S01", "note": "",
    }  # fmt: skip
    assert (rows["s_unsure"]["review_state"], rows["s_unsure"]["note"]) == ("unsure", "ship?")
    assert any("sidecar.jsonl" in warning for warning in report.warnings)


def test_a_sidecar_of_an_earlier_export_does_not_stay(tmp_path: Path) -> None:
    export(tmp_path, "podcast-json", SESSIONS)
    _, files = export(tmp_path, "podcast-json", SESSIONS[:2])
    assert files["sidecar.jsonl"] == b""


@pytest.mark.parametrize("name", ["podcast-json", "dataset-tsv"])  # the others: tests/releases/test_formats.py
def test_the_same_sessions_in_any_order_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(SESSIONS, len(SESSIONS))
    assert export(tmp_path / "a", name, SESSIONS)[1] == export(tmp_path / "b", name, shuffled)[1]


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


def test_a_time_that_is_unknown_stays_empty_and_is_reported(tmp_path: Path) -> None:
    unknown = session("OS_9_27_2017_08_25_00__0001", calls((1, 2)), start=None)
    report, files = export(tmp_path, "dataset-tsv", [unknown])
    assert files["annotations.tsv"].decode().splitlines()[1].split("\t")[5:] == ["", ""]
    assert any("start is unknown" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("annotator", "expected"),
    [
        ("latest", {"s.json": [3.0]}),
        ("ground-truth", {"s.json": [2.0]}),
        ("a@x.org", {"s.json": [1.0]}),
        ("nobody@x.org", {}),
        ("all", {"a@x.org/s.json": [1.0], "b@x.org/s.json": [3.0]}),
    ],
)
def test_which_of_several_annotators(tmp_path: Path, annotator: str, expected: dict[str, list[float]]) -> None:
    reviews = (
        calls((1, 2), annotator="a@x.org"),
        calls((2, 3), annotator="b@x.org", ground_truth=True),
        calls((3, 4), annotator="b@x.org"),
        Review("c@x.org", ReviewState.SKIPPED),
    )
    _, files = export(tmp_path, "podcast-json", [session("s", *reviews)], annotator)
    found = {name: [box["start_s"] for box in json.loads(content)["annotations"]] for name, content in files.items()}
    assert found == expected


def test_a_second_task_of_a_session_is_refused_and_overwrites_nothing(tmp_path: Path) -> None:
    report, files = export(tmp_path, "podcast-json", [session("s", calls((1, 2))), session("s", NO_CALLS)])
    assert [box["start_s"] for box in json.loads(files["s.json"])["annotations"]] == [1.0]
    assert report.counts["refused"] == 1 and "second task" in report.refusals[0].reason


def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    report, files = export(tmp_path / "to", "podcast-json", [session("../evil", calls((1, 2))), SESSIONS[0]])
    assert (report.counts["refused"], sorted(files)) == (1, ["s_calls.json"])
    assert not (tmp_path / "evil.json").exists()


def test_refusals_of_the_source_are_counted(tmp_path: Path) -> None:
    report = EXPORTERS["podcast-json"]([Refusal("task 3", "bad"), SESSIONS[0]], str(tmp_path), WriteOptions())
    assert (report.counts["written"], report.counts["refused"]) == (1, 1)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        EXPORTERS["podcast-json"](SESSIONS, str(tmp_path / "file" / "below"), WriteOptions())
