"""One session with all that can be said of it, in each format to the letter, as its page in docs/formats says."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from podcast.model import Annotation, Certainty, Detection, ModelRun, Outcome, Recording, Review, ReviewState, Session, SoundEvent
from tests.exports.rounds import NO_CALLS, calls, export, session

LAB = "rpi_orcasound_lab"
START = datetime(2020, 11, 1, 8, 59, 55, tzinfo=UTC)
FOUND = Detection(SoundEvent(1, 2), "Call", 0.875, ModelRun("energy", "1"))


def told() -> list[Session]:
    """Calls and other sounds by one person, and a session in which another heard none."""
    boxes = (
        Annotation(SoundEvent(1.001, 2.5), "Call", Certainty.CERTAIN, "v@x.org", Outcome.MOVED, FOUND, "S16"),
        Annotation(SoundEvent(10.25, 11, high_hz=8000.0), "Call", Certainty.UNCERTAIN, "v@x.org", Outcome.ADDED, note='a "ship"'),
        Annotation(SoundEvent(20, 21.125, 500.5, 4000.0), "Humpback", Certainty.CERTAIN, "v@x.org", Outcome.ADDED),
        Annotation(
            SoundEvent(30, 31, low_hz=250.0), "Other animal", Certainty.CERTAIN, "v@x.org", Outcome.ADDED, call_type="Bark S1"
        ),
    )
    submitted = datetime(2020, 11, 2, 10, tzinfo=UTC)
    full = session("full", Review("v@x.org", ReviewState.CALLS, boxes, note="far", submitted=submitted), start=START)
    return [full, session("none", NO_CALLS)]


def table(content: bytes, delimiter: str) -> list[list[str]]:
    return [line.split(delimiter) for line in content.decode().splitlines()]


def test_dclde(tmp_path: Path) -> None:
    _, files = export(tmp_path, "dclde", told())
    head, *rows = table(files["dclde.csv"], ",")
    assert head == [
        *("Soundfile", "Dataset", "LowFreqHz", "HighFreqHz", "FileBeginSec", "FileEndSec", "UTC", "ClassSpecies"),
        *("KW", "KW_certain", "Ecotype", "Provider", "AnnotationLevel", "FilePath", "FileOk"),
    ]
    end = ["OrcaSound", "Call", "wav/full.wav", "TRUE"]
    assert rows == [
        ["full.wav", "round3", "NA", "NA", "1.001", "2.5", "2020-11-01T08:59:56.001Z", "KW", "1", "1", "SRKW", *end],
        ["full.wav", "round3", "NA", "8000.0", "10.25", "11.0", "2020-11-01T09:00:05.250Z", "KW", "1", "0", "NA", *end],
        ["full.wav", "round3", "500.5", "4000.0", "20.0", "21.125", "2020-11-01T09:00:15.000Z", "HW", "0", "NA", "NA", *end],
        ["full.wav", "round3", "250.0", "NA", "30.0", "31.0", "2020-11-01T09:00:25.000Z", "UndBio", "0", "NA", "NA", *end],
        [
            *("none.wav", "round3", "NA", "NA", "0.0", "60.0", "2017-09-27T15:26:00.000Z", "AB", "0", "NA", "NA"),
            *("OrcaSound", "File", "wav/none.wav", "TRUE"),
        ],
    ]


def test_dclde_has_no_rows_for_sounds_without_a_class(tmp_path: Path) -> None:
    made = ("Jingle", "Something else", "Vessel", "Water")
    boxes = tuple(Annotation(SoundEvent(n, n + 1), label, Certainty.CERTAIN, "v", Outcome.ADDED) for n, label in enumerate(made))
    other = replace(NO_CALLS, annotations=boxes)
    both = Review("v", ReviewState.CALLS, (*boxes, replace(boxes[0], event=SoundEvent(9, 10), label="Call")))
    _, files = export(tmp_path, "dclde", [session("both", both), session("other", other)])
    _, *rows = table(files["dclde.csv"], ",")
    assert [(row[0], row[4], row[5], row[7], row[12]) for row in rows] == [
        ("both.wav", "9.0", "10.0", "KW", "Call"),
        ("other.wav", "0.0", "60.0", "AB", "File"),
    ]


def test_raven(tmp_path: Path) -> None:
    report, files = export(tmp_path, "raven", told())
    head, *rows = table(files["full.selections.txt"], "\t")
    assert head == [
        *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"),
        *("Annotation", "Call Type", "Certainty", "Note"),
    ]
    assert rows == [
        ["1", "Spectrogram 1", "1", "1.001", "2.5", "0.0", "24000.0", "Call", "S16", "certain", ""],
        ["2", "Spectrogram 1", "1", "10.25", "11.0", "0.0", "8000.0", "Call", "", "uncertain", "a 'ship'"],
        ["3", "Spectrogram 1", "1", "20.0", "21.125", "500.5", "4000.0", "Humpback", "", "certain", ""],
        ["4", "Spectrogram 1", "1", "30.0", "31.0", "250.0", "24000.0", "Other animal", "Bark S1", "certain", ""],
    ]
    (deaf,) = [warning for warning in report.warnings if "cannot be read here" in warning]
    assert "the audio of 1 sessions" in deaf and "reach to 24000 Hz" in deaf and "--audio" in deaf


def test_raven_birdnet(tmp_path: Path) -> None:
    _, files = export(tmp_path, "raven-birdnet", told())
    head, *rows = table(files["full.BirdNET.selection.table.txt"], "\t")
    assert head == [
        *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)", "Common Name"),
        *("Species Code", "Confidence", "Begin Path", "File Offset (s)", "Call Type", "Certainty", "Note"),
    ]
    first = ["Spectrogram 1", "1"]
    assert rows == [
        ["1", *first, "1.001", "2.5", "0.0", "24000.0", "Call", "orca", "1.0", "full.wav", "1.001", "S16", "certain", ""],
        ["2", *first, "10.25", "11.0", "0.0", "8000.0", "Call", "orca", "0.5", "full.wav", "10.25", "", "uncertain", "a 'ship'"],
        ["3", *first, "20.0", "21.125", "500.5", "4000.0", "Humpback", "humpback", "1.0", "full.wav", "20.0", "", "certain", ""],
        [
            "4",
            *first,
            "30.0",
            "31.0",
            "250.0",
            "24000.0",
            "Other animal",
            "animal",
            "1.0",
            "full.wav",
            "30.0",
            "Bark S1",
            "certain",
            "",
        ],
    ]
    _, none = table(files["none.BirdNET.selection.table.txt"], "\t")
    assert none == ["1", *first, "0.0", "60.0", "0.0", "24000.0", "nocall", "nocall", "1.0", "none.wav", "0.0", "", "", ""]


def test_audacity(tmp_path: Path) -> None:
    _, files = export(tmp_path, "audacity", told())
    assert files["full.txt"].decode() == (
        "1.001000\t2.500000\tCall S16\n"
        "10.250000\t11.000000\tCall ?\n\\\t-1.000000\t8000.000000\n"
        "20.000000\t21.125000\tHumpback\n\\\t500.500000\t4000.000000\n"
        "30.000000\t31.000000\tOther animal Bark S1\n\\\t250.000000\t-1.000000\n"
    )


def test_orcahello(tmp_path: Path) -> None:
    full, none = told()
    (said,) = full.reviews
    named = replace(full, reviews=(replace(said, annotations=said.annotations[:3]),))
    _, files = export(tmp_path, "orcahello", [named, none])
    assert json.loads(files["full.json"]) == {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, "round3/full")),
        "state": "Positive",
        "locationName": "Orcasound Lab",
        "audioUri": "https://x/full.wav",
        "imageUri": "",
        "timestamp": "2020-11-01T08:59:55.000Z",
        "whaleFoundConfidence": 100.0,
        "location": {"id": "rpi_orcasound_lab", "name": "Orcasound Lab", "longitude": -123.1735774, "latitude": 48.5583362},
        "predictions": [
            {"id": 0, "startTime": 1.001, "duration": 1.499, "confidence": 0.875},
            {"id": 1, "startTime": 10.25, "duration": 0.75, "confidence": 1.0},
        ],
        "comments": "far",
        "dateModerated": "2020-11-02T10:00:00.000Z",
        "moderator": "v@x.org",
        "tags": ["S16", "humpback"],
    }
    assert files["full.json"].startswith(b'{\n  "id": ')  # as people read it
    found = json.loads(files["none.json"])
    assert (found["state"], found["whaleFoundConfidence"], found["predictions"], found["tags"]) == ("Negative", 0, [], [])
    assert (found["comments"], found["dateModerated"]) == ("", "")


def test_bouts(tmp_path: Path) -> None:
    """The orca was reported as a resident at that time, so it is one."""
    report, files = export(tmp_path, "bouts", told())
    assert report.counts["bouts"] == 3
    animal, humpback, resident = sorted(json.loads(files["bouts.json"])["bouts"], key=lambda bout: str(bout["source"]))
    place, lab = f"{LAB}/", "Orcasound Lab, 2020-11-01"
    assert [(bout["title"], bout["start"], bout["end"]) for bout in (animal, humpback)] == [
        (f"Other animal at {lab} 09:00 UTC", "2020-11-01T09:00:25.000Z", "2020-11-01T09:00:26.000Z"),
        (f"Humpback at {lab} 09:00 UTC", "2020-11-01T09:00:15.000Z", "2020-11-01T09:00:16.125Z"),
    ]
    assert [bout["tags"] for bout in (animal, humpback)] == [["animal"], ["humpback"]]  # no sea lion, and no call type of an orca
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{place}resident/full"))
    boxes = [
        {"start_offset_s": 1.001, "end_offset_s": 2.5, "confidence": 1.0, "tags": ["SRKW", "S16"], "description": ""},
        {"start_offset_s": 10.25, "end_offset_s": 11.0, "confidence": 0.5, "tags": ["SRKW"], "description": 'a "ship"'},
    ]
    assert resident == {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{place}resident/2020-11-01T08:59:56.001Z")),
        "node": LAB,
        "start": "2020-11-01T08:59:56.001Z",
        "end": "2020-11-01T09:00:06.000Z",
        "type": "biophony",
        "source": "resident",
        "title": f"Southern Resident at {lab} 08:59 UTC",
        "tags": ["S16", "SRKW"],
        "confidence": 1.0,
        "status": "ready",
        "reviewed_by": ["v@x.org"],
        "algorithm_version": "podcast-1, 900 s",
        "coincident_with": [],
        "review_history": [
            {"who": "v@x.org", "when": "2020-11-02T10:00:00.000Z", "field": "status", "from": "new", "to": "ready"}
        ],
        "detections": [
            {
                "id": identity,
                "session_id": "full",
                "node": LAB,
                "timestamp": "2020-11-01T08:59:55.000Z",
                "duration_s": 60.0,
                "annotations": [{"id": f"{identity}/{n}", "label": "Call", **box} for n, box in enumerate(boxes)],
                "tags": ["S16", "SRKW"],
                "confidence": 1.0,
                "reporter_id": "v@x.org",
                "audio_uri": "https://x/full.wav",
                "spectrogram_uri": "",
                "description": "far",
            }
        ],
    }
    head, _, _, row = sorted(files["bouts.csv"].decode().splitlines(), key=lambda line: "Southern" in line)
    assert head == (
        "id,node,start,end,type,source,title,tags,confidence,status,reviewed_by,algorithm_version,coincident_with,detections,signals"
    )
    assert row == (
        f"{resident['id']},{LAB},2020-11-01T08:59:56.001Z,2020-11-01T09:00:06.000Z,biophony,resident,"
        f'"Southern Resident at {lab} 08:59 UTC",S16;SRKW,1.0,ready,v@x.org,"podcast-1, 900 s",,full,2'
    )


def test_the_histories_of_bouts_are_in_order_of_time_and_name(tmp_path: Path) -> None:
    def said(name: str, who: str, hour: int) -> Session:
        box = Annotation(SoundEvent(1, 2), "Humpback", Certainty.UNCERTAIN, who, Outcome.ADDED)
        moment = datetime(2020, 11, 2, hour, tzinfo=UTC)
        return session(name, Review(who, ReviewState.NO_CALLS, (box,), submitted=moment), start=START)

    _, files = export(tmp_path, "bouts", [said("a", "zoe", 9), said("b", "ann", 10), said("c", "ann", 9)])
    (bout,) = json.loads(files["bouts.json"])["bouts"]
    history = [(step["when"][11:13], step["who"], step["to"]) for step in bout["review_history"]]
    assert history == [("09", "ann", "needs_review"), ("09", "zoe", "needs_review"), ("10", "ann", "needs_review")]
    assert (bout["reviewed_by"], bout["status"], bout["confidence"]) == (["ann", "zoe"], "needs_review", 0.5)
    assert files["bouts.csv"].decode().splitlines()[1].endswith(",,a;b;c,3")


@pytest.mark.parametrize("name", ["podcast-json", "orcahello", "bouts"])
def test_letters_stay_letters(name: str, tmp_path: Path) -> None:
    """Not `\\u00eb`, which nobody can search for."""
    box = Annotation(SoundEvent(1, 2), "Call", Certainty.UNCERTAIN, "zoë@x.org", Outcome.ADDED, note="größer")
    given = session("s", Review("zoë@x.org", ReviewState.CALLS, (box,), note="Wal \U0001f40b"))
    given = replace(given, recording=replace(given.recording, uri="https://x/ø.wav"))
    _, files = export(tmp_path, name, [given])
    whole = b"".join(files.values()).decode()
    assert "\\u" not in whole
    for word in ("https://x/ø.wav", "größer", "Wal \U0001f40b", "zoë@x.org"):
        assert word in whole


def test_audiofolder(tmp_path: Path, wavs: str) -> None:
    full, _ = told()
    full = replace(full, id="s_calls", recording=replace(full.recording, duration_s=None))
    _, files = export(tmp_path, "audiofolder", [full], wavs)
    (place,) = [name for name in files if name.endswith("metadata.parquet")]
    (row,) = parquet.read_table(tmp_path / place).to_pylist()
    names = ("start_s", "end_s", "low_hz", "high_hz", "label", "call_type", "certainty")
    boxes = [
        (1.001, 2.5, None, None, "Call", "S16", "certain"),
        (10.25, 11.0, None, 8000.0, "Call", "", "uncertain"),
        (20.0, 21.125, 500.5, 4000.0, "Humpback", "", "certain"),
        (30.0, 31.0, 250.0, None, "Other animal", "Bark S1", "certain"),
    ]
    assert row == {
        "file_name": "s_calls.wav",
        "session_id": "s_calls",
        "round": "round3",
        "review_state": "calls",
        "calls": 2,
        "boxes": [dict(zip(names, box, strict=True)) for box in boxes],
        "node": "rpi_orcasound_lab",
        "start_utc": "2020-11-01T08:59:55.000Z",
        "duration_s": 60.0,  # asked of the audio
    }


def test_an_audiofolder_of_each_person(tmp_path: Path, wavs: str) -> None:
    given = session("s", calls((1, 2), annotator="a@x.org"), replace(NO_CALLS, annotator="b@x.org"))
    _, files = export(tmp_path, "audiofolder", [given], wavs, "all")
    assert set(files) == {f"{who}/train/{name}" for who in ("a@x.org", "b@x.org") for name in ("s.wav", "metadata.parquet")}


def test_the_sidecar(tmp_path: Path) -> None:
    report, files = export(tmp_path, "audacity", told())
    (line,) = files["sidecar.jsonl"].decode().splitlines()
    names = ("start_s", "duration_s", "label", "certainty", "call_type", "note")
    boxes = [
        (1.001, 1.499, "Call", "certain", "S16", ""),
        (10.25, 0.75, "Call", "uncertain", "", 'a "ship"'),
        (20.0, 1.125, "Humpback", "certain", "", ""),
        (30.0, 1.0, "Other animal", "certain", "Bark S1", ""),
    ]
    assert json.loads(line) == {
        "session_id": "full",
        "annotator": "v@x.org",
        "review_state": "calls",
        "note": "far",
        "annotations": [dict(zip(names, box, strict=True)) for box in boxes],
    }
    assert list(report.warnings) == [
        "1 sessions say more than this format holds (uncertain, call types, notes, other sounds, not sure): see sidecar.jsonl",
        "2 boxes are other sounds and no calls (1 'Humpback', 1 'Other animal'): see sidecar.jsonl",
    ]


def test_each_persons_sidecar_is_named(tmp_path: Path) -> None:
    given = session("s", calls((1, 2), annotator="a@x.org", note="a ship"), calls((3, 4), annotator="b@x.org"))
    report, files = export(tmp_path, "audacity", [given], annotator="all")
    assert set(files) == {"a@x.org/s.txt", "a@x.org/sidecar.jsonl", "b@x.org/s.txt"}
    assert [warning.rpartition("see ")[2] for warning in report.warnings] == ["a@x.org/sidecar.jsonl"]


@pytest.mark.parametrize("bad", ["round", "absolute_time", "uri", "source_guid"])
def test_half_a_letter_is_refused_wherever_it_stands(bad: str, tmp_path: Path) -> None:
    good = session("s", calls((1, 2)))
    if bad in ("round", "absolute_time"):
        broken = replace(good, **{bad: "\udfff"})  # type: ignore[arg-type]
    else:
        broken = replace(good, recording=replace(good.recording, **{bad: "\udfff"}))  # type: ignore[arg-type]
    report, files = export(tmp_path, "podcast-json", [broken])
    assert (files, str(report.refusals[0])) == ({}, "session s: a text of it holds half of a surrogate pair, which is no letter")


def test_a_node_that_nobody_knows_has_no_coordinates(tmp_path: Path) -> None:
    said = Session("s", Recording("s.wav", "rpi_elsewhere", START, 60.0), round="r", reviews=(NO_CALLS,))
    _, files = export(tmp_path, "orcahello", [said])
    place = json.loads(files["s.json"])["location"]
    assert (place["id"], place["longitude"], place["latitude"]) == ("rpi_elsewhere", None, None)
