"""Whether an answer was heard: what Label Studio and the page note of it, what follows, and what `--min-heard` leaves out.

Shares were worked out by hand: seconds played over the recording's length, or 2.5 times the seconds that the page was open.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import cli
from labelstudio.labels import LabelConfig
from labelstudio.round_out import to_sessions
from labelstudio.tasks import to_task
from podcast.errors import Notice
from podcast.heard import HeardCounts, HeardEnough, faster_than_sound, heard_share
from podcast.model import Heard, Review, ReviewState, Session
from podcast.reviews import review_state
from tests.conftest import write_noise
from tests.exports.rounds import every_format, files_of
from tests.releases.sessions import review, session
from tests.test_submissions import region

Json = dict[str, Any]
CALLS, NO_CALLS, UNSURE = ReviewState.CALLS, ReviewState.NO_CALLS, ReviewState.UNSURE
SKIPPED, UNREVIEWED = ReviewState.SKIPPED, ReviewState.UNREVIEWED
CONFIG = LabelConfig.load()

KNOWN = [
    (Heard(), 60.0, None, None),
    (Heard(open_s=12.0), 60.0, 0.5, True),
    (Heard(open_s=24.0), 60.0, 1.0, True),  # all of it, at 2.5 times its speed
    (Heard(open_s=60.0), 60.0, 1.0, False),
    (Heard(open_s=0.0), 60.0, 0.0, True),
    (Heard(open_s=12.0), None, None, None),
    (Heard(90.0, True, 45.0, 60.0), 60.0, 0.75, True),
    (Heard(90.0, True, 60.0, 60.0), 60.0, 1.0, False),
    (Heard(90.0, True, 59.95, 60.0), 60.0, 1.0, False),  # players and codecs disagree about the last tenth of a second
    (Heard(90.0, True, 57.0, 60.0), 60.0, 0.95, True),
    (Heard(90.0, True, 0.5, 0.6), 0.6, 0.5 / 0.6, True),  # a tenth of a second is as much as may be missing, and too much
    (Heard(40.0, True, 60.0, 60.0), 60.0, 1.0, True),  # the page noted what it played, so its time does not bound it
    (Heard(6.0, True, 45.0, 60.0), 60.0, 0.75, True),
    (Heard(90.0, True, 61.0, 60.0), 60.0, 1.0, False),
    (Heard(None, True, 25.0, 50.0), None, 0.5, True),
    (Heard(90.0, False, 0.0, None), 60.0, 0.0, True),
    (Heard(90.0, False, 0.0, None), None, 0.0, True),
    (Heard(90.0, False, 30.0, None), 60.0, 0.5, True),  # it broke off in the middle
]


@pytest.mark.parametrize(("heard", "duration_s", "share", "faster"), KNOWN)
def test_what_follows_from_what_is_known(
    heard: Heard, duration_s: float | None, share: float | None, faster: bool | None
) -> None:
    said = Review("ann", NO_CALLS, heard=heard)
    assert heard_share(said, duration_s) == share
    assert faster_than_sound(said, duration_s) is faster


def test_answers_are_counted_and_skips_are_none() -> None:
    counts = HeardCounts()
    for heard, duration_s, _, _ in KNOWN:
        counts.add(session("s", review("ann", NO_CALLS, heard=heard), duration_s=duration_s))
    for state in (SKIPPED, UNREVIEWED):
        counts.add(session("s", review("ann", state, heard=Heard(open_s=1.0))))
    # By looking at KNOWN: 12, 24, 0, 40 and 6 s are less than 60; 45, 57, 0.5, 45 and 25 s of a loaded sound are less than all.
    assert counts == HeardCounts(18, unknown=2, not_loaded=3, open_too_short=5, heard_in_part=5, faster_than_sound=12)
    assert HeardCounts() == HeardCounts(0, 0, 0, 0, 0, 0)


RECORD = '{"loaded":true,"heard_s":41.2004,"duration_s":59.94,"asked":["boxes_beside_no_calls"]}'


def kept(*texts: str) -> Json:
    return {"id": "heard4k2", "from_name": "heard", "to_name": "audio", "type": "textarea", "value": {"text": list(texts)}}


def submitted(result: list[Json], **more: Any) -> tuple[Review, list[str]]:
    """A submission as Label Studio exports it, read; and what was said of it."""
    annotation = {"id": 1, "completed_by": 1, "result": result, **more}
    task = {"id": 7, "data": {"session_id": "s", "duration_s": 60.0}, "annotations": [annotation]}
    *notices, found = sorted(to_sessions([task], CONFIG), key=lambda item: isinstance(item, Session))
    assert isinstance(found, Session)
    return found.reviews[0], [item.reason for item in notices if isinstance(item, Notice)]


def test_what_label_studio_and_the_page_note() -> None:
    assert submitted([region("a", 1.0, 2.0)])[0].heard == Heard()
    assert submitted([], lead_time=31.51249)[0].heard == Heard(31.512)
    said, warnings = submitted([kept(RECORD)], lead_time=70)
    assert (said.heard, said.state, warnings) == (Heard(70.0, True, 41.2, 59.94, ("boxes_beside_no_calls",)), NO_CALLS, [])
    nothing = '{"loaded":false,"heard_s":0,"duration_s":null,"asked":["audio_not_loaded"]}'
    assert submitted([kept(nothing)])[0].heard == Heard(None, False, 0.0, None, ("audio_not_loaded",))
    assert submitted([kept("")])[0].heard == Heard()
    half = submitted([kept(RECORD.replace("boxes", "\ud800"))])
    assert (half[0].heard.asked, half[1]) == (("?_beside_no_calls",), [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "no object"),
        ("[" * 100_000, "the record of the listening"),
        (RECORD.replace("true", '"yes"'), "loaded is 'yes'"),
        (RECORD.replace("41.2004", "-1"), "heard_s is -1"),
        (RECORD.replace("41.2004", "NaN"), "heard_s is nan"),
        (RECORD.replace("41.2004", "9" * 400), "heard_s is 9"),
        (RECORD.replace("59.94", "0"), "duration_s is 0"),
        (RECORD.replace('["boxes_beside_no_calls"]', '"x"'), "asked is 'x'"),
        (RECORD.replace('["boxes_beside_no_calls"]', '[""]'), "asked is ['']"),
        (RECORD.replace('["boxes_beside_no_calls"]', "[7]"), "asked is [7]"),
        (RECORD.replace("59.94", "true"), "duration_s is True"),
        (RECORD.replace("59.94", "-1"), "duration_s is -1"),
    ],
)
def test_a_record_that_cannot_be_read_is_named_and_takes_no_box_along(text: str, words: str) -> None:
    said, (warning,) = submitted([region("a", 1.0, 2.0), kept(text)], lead_time=70.0)
    assert (said.heard, len(said.annotations)) == (Heard(70.0), 1)
    assert words in warning and len(warning) < 250


def test_a_time_that_is_none_and_two_records_are_named() -> None:
    for wrong in ("31", -1, True, 1e400):
        said, (warning,) = submitted([], lead_time=wrong)
        assert said.heard == Heard() and "lead_time is" in warning
    said, warnings = submitted([kept(RECORD.replace("41.2004", "3"), RECORD)])
    assert (said.heard.heard_s, warnings) == (41.2, ["2 records of the listening; the last was taken"])
    said, warnings = submitted([kept(RECORD, RECORD), kept(RECORD.replace("41.2004", "0.5"))], lead_time=0)
    assert (said.heard.heard_s, said.heard.open_s) == (0.5, 0.0)
    assert warnings == ["3 records of the listening; the last was taken"]


def test_what_is_known_travels_with_a_session_into_another_label_studio() -> None:
    for heard in (Heard(), Heard(31.5), Heard(31.5, True, 41.2, 59.94, ("not_heard",)), Heard(None, False, 0.0)):
        found = session("s", review("ann", CALLS, [(1, 2)], heard=heard))
        task = {**to_task(found, "/data/x.wav", CONFIG), "id": 7}
        task["annotations"] = [annotation | {"completed_by": 1} for annotation in task["annotations"]]
        (read,) = to_sessions([task], CONFIG)
        assert isinstance(read, Session) and read.reviews[0].heard == heard


HALF, FULL, SHORT = Heard(90.0, True, 30.0, 60.0), Heard(90.0, True, 60.0, 60.0), Heard(open_s=6.0)


def left(least: float, *reviews: Review) -> tuple[Session, list[str], HeardEnough]:
    enough = HeardEnough(least)
    *notices, found = sorted(enough.of([session("s", *reviews)]), key=lambda item: isinstance(item, Session))
    assert isinstance(found, Session)
    return found, [str(item) for item in notices], enough


def test_an_answer_below_the_share_is_as_if_nobody_had_given_it() -> None:
    found, notices, enough = left(0.6, review("ann@x.org", NO_CALLS, heard=HALF))
    assert (review_state(found), found.reviews, enough.left_out) == (UNREVIEWED, (), 1)
    words = "the answer of ann@x.org is left out as unreviewed: at most 0.500 of the recording was heard, 0.6 was asked for"
    assert notices == [f"session s: {words}"]
    found, notices, enough = left(0.5, review("ann@x.org", NO_CALLS, heard=HALF))
    assert (review_state(found), notices, enough.left_out) == (NO_CALLS, [], 0)


def test_of_several_answers_only_those_below_the_share_are_left_out() -> None:
    said = (
        review("ann", CALLS, [(1, 2)], heard=FULL),
        review("ann", NO_CALLS, heard=SHORT),
        review("bob", SKIPPED, heard=SHORT),
        review("cy", UNREVIEWED, heard=SHORT),
        review("di", UNSURE, heard=HALF),
    )
    found, notices, enough = left(0.6, *said)
    assert found.reviews == (said[0], said[2], said[3])
    assert (review_state(found), enough.left_out, len(notices)) == (CALLS, 2, 2)
    assert "at most 0.250" in notices[0]  # 2.5 times 6 s of 60
    assert review_state(left(0.6, said[1], said[2])[0]) is SKIPPED  # a skip stays a skip
    assert left(0.0, *said)[0].reviews == said


def test_an_answer_without_a_name_and_one_to_silence_are_named_too() -> None:
    _, notices, _ = left(0.5, review("", NO_CALLS, heard=Heard(loaded=False)), review("", NO_CALLS, heard=Heard(open_s=2.4)))
    assert notices == [
        "session s: an answer is left out as unreviewed: nothing of the recording was heard, 0.5 was asked for",
        "session s: an answer is left out as unreviewed: at most 0.100 of the recording was heard, 0.5 was asked for",
    ]


def test_answers_of_which_nothing_is_known_stay_and_are_counted() -> None:
    found, notices, enough = left(1.0, review("ann", NO_CALLS), review("bob", CALLS, [(1, 2)]))
    assert (len(found.reviews), enough.left_out) == (2, 0)
    assert notices == ["listening: nothing is known of it for 2 answers; they were not left out"]


def export_file(path: Path, *, with_listening: bool = True) -> Path:
    """Label Studio's export of five sessions of a minute: heard in full, in half, not loaded, skipped at once, nothing noted."""
    box = [region("a", 1.0, 2.0)]
    records: list[tuple[list[Json], Json]] = [
        ([*box, kept(RECORD.replace("41.2004", "60"))], {"lead_time": 80.0}),
        ([kept(RECORD.replace("41.2004", "30"))], {"lead_time": 80.0}),
        ([*box, kept(RECORD.replace("true", "false").replace("41.2004", "0"))], {"lead_time": 3.0}),
        ([], {"lead_time": 1.0, "was_cancelled": True}),
        (box, {}),
    ]
    tasks = []
    for number, (result, more) in enumerate(records, 1):
        if not with_listening:
            result = [item for item in result if item["from_name"] != "heard"]
            more = {name: value for name, value in more.items() if name != "lead_time"}
        annotation = {"id": number, "completed_by": {"id": 1, "email": "v@x.org"}, "result": result, **more}
        data = {"session_id": f"s{number}", "duration_s": 60.0, "audio": "/x.wav", "start": "2017-09-27T15:26:00Z"}
        tasks.append({"id": number, "project": 7, "data": data, "annotations": [annotation]})
    path.write_text(json.dumps(tasks))
    return path


def podcast(*words: object) -> Any:
    return CliRunner().invoke(cli, list(map(str, words)))


def test_an_export_leaves_them_out_as_unreviewed_and_says_so(tmp_path: Path) -> None:
    words = ("export", "--file", export_file(tmp_path / "e.json"), "--to", tmp_path / "out")
    printed = json.loads(podcast(*words, "--json").stdout)
    assert {name: printed[name] for name in ("written", "no_calls", "skipped", "unreviewed")} == {
        "written": 4, "no_calls": 1, "skipped": 1, "unreviewed": 0,
    }  # fmt: skip
    assert "too_little_heard" not in printed
    result = podcast(*words, "--min-heard", "0.9", "--json")
    printed = json.loads(result.stdout)
    assert (result.exit_code, printed["too_little_heard"], printed["unreviewed"], printed["skipped"]) == (0, 2, 2, 1)
    assert (printed["written"], printed["no_calls"], printed["refused"]) == (2, 0, 0)
    assert [warning[:10] for warning in printed["warnings"]] == ["session s2", "session s3", "listening:"]
    assert {path.stem for path in (tmp_path / "out").glob("s*.json")} == {"s1", "s5"}
    result = podcast(*words, "--min-heard", "0.9")
    assert "2 too little heard" in result.stdout and "session s3: the answer of v@x.org is left out" in result.stderr


@every_format
def test_without_the_option_an_export_does_not_depend_on_the_listening(name: str, tmp_path: Path) -> None:
    write_noise(tmp_path / "s1.wav", 60, 1000)
    for folder, listening in (("one", True), ("other", False)):
        file = export_file(tmp_path / f"{folder}.json", with_listening=listening)
        result = podcast("export", "--file", file, "--format", name, "--to", tmp_path / folder, "--audio", tmp_path)
        assert result.exit_code in (0, 2), result.output
    assert files_of(tmp_path / "one", manifest=True) == files_of(tmp_path / "other", manifest=True)


def test_a_misspelt_annotator_is_an_error_that_names_those_that_there_are(tmp_path: Path) -> None:
    words = ("export", "--file", export_file(tmp_path / "e.json"), "--to", tmp_path / "out", "--annotator", "w@x.org")
    result = podcast(*words)
    assert (result.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert result.stderr == "error: there is no review by 'w@x.org'; reviews are by v@x.org\n"
    result = podcast(*words[:-1], "v@x.org", "--min-heard", "1")  # somebody whose answers were all left out is known
    assert result.exit_code == 0


@pytest.mark.parametrize("value", ["1.01", "-0.1", "nan", "half", ""])
@pytest.mark.parametrize("command", ["export", "release"])
def test_a_share_lies_between_0_and_1(command: str, value: str, tmp_path: Path) -> None:
    words = (command, "--file", export_file(tmp_path / "e.json"), "--to", tmp_path / "out", "--min-heard", value)
    result = podcast(*words, *(("--name", "r", "--no-audio") if command == "release" else ()))
    assert (result.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert "--min-heard" in result.output
