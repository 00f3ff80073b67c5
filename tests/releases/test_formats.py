"""Every other format, read back by a reader that is not ours; what each loses is what its page in docs/formats says."""

from __future__ import annotations

import io
import json
import shutil
import sys
import types
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import datasets
import jsonschema
import numpy as np
import pandas as pd
import pytest
import soundfile
from crowsetta.formats.bbox import AudBBox, Raven
from crowsetta.formats.seq import AudSeq

from exporters import EXPORTERS
from exporters.base import WriteOptions
from podcast.model import Certainty, Detection, Outcome, ReviewState, Session, SoundEvent
from podcast.report import Report
from releases.lint_dclde import broken_rules
from tests.releases.sessions import NODE, RUN, box, review, session, spread
from tests.releases.test_release import with_audio

START = datetime(2020, 11, 1, 8, 59, 55, tzinfo=UTC)  # five seconds before the autumn change-over


def boxes_session() -> Session:
    """One session whose boxes use everything that a record can say."""
    origin = Detection(SoundEvent(1, 2), "Call", 0.875, RUN)
    boxes = (
        box(1.001, 2.5, label="Call", outcome=Outcome.MOVED, detection=origin, call_type="S16"),
        box(10.25, 11, certainty=Certainty.UNCERTAIN, note='a "note"\twith a tab'),
    )
    banded = replace(boxes[1], event=SoundEvent(20, 21.125, 500.5, 8000.0), note="")
    said = replace(
        review("ann@x.org", ReviewState.CALLS), annotations=(*boxes, banded), submitted=START + timedelta(days=1), note="far"
    )
    return session(f"{NODE}_2020_11_01_01_59_55_PDT", said, start=START)


def export(name: str, sessions: list[Session], to: Path) -> Report:
    report = EXPORTERS[name](sessions, str(to), WriteOptions())
    again = EXPORTERS[name](sessions[::-1], str(to / "again"), WriteOptions())
    assert again.counts == report.counts
    for path in (path for path in (to / "again").rglob("*") if path.is_file()):
        assert path.read_bytes() == (to / path.relative_to(to / "again")).read_bytes()  # any order, the same bytes
    return report


def others() -> list[Session]:
    """One without calls, and one each of what no format here may show as a negative."""
    silent, unsure, skipped, nobody = spread(4, node="rpi_bush_point")
    return [
        replace(silent, reviews=(review("ann", ReviewState.NO_CALLS),)),
        replace(unsure, reviews=(review("ann", ReviewState.UNSURE),)),
        replace(skipped, reviews=(review("ann", ReviewState.SKIPPED),)),
        nobody,
    ]


def test_raven(tmp_path: Path) -> None:
    full, *rest = with_audio([boxes_session(), *others()], tmp_path / "in")
    report = export("raven", [full, *rest], tmp_path / "out")
    assert (report.counts["written"], report.counts["unsure"], report.counts["skipped"], report.counts["unreviewed"]) == (
        2,
        1,
        1,
        1,
    )
    found = Raven.from_file(tmp_path / "out" / f"{full.id}.selections.txt")
    assert [(b.onset, b.offset, b.low_freq, b.high_freq, b.label) for b in found.to_bbox()] == [
        (1.001, 2.5, 0.0, 500.0, "Call"),  # no frequencies: 0 to Nyquist of audio at 1 kHz
        (10.25, 11.0, 0.0, 500.0, "Call"),
        (20.0, 21.125, 500.5, 8000.0, "Call"),
    ]
    table = pd.read_csv(tmp_path / "out" / f"{full.id}.selections.txt", sep="\t", keep_default_na=False, quoting=3)
    assert list(table.columns[:7]) == [
        "Selection",
        "View",
        "Channel",
        "Begin Time (s)",
        "End Time (s)",
        "Low Freq (Hz)",
        "High Freq (Hz)",
    ]
    assert list(table["Call Type"]) == ["S16", "", ""]
    assert list(table["Certainty"]) == ["certain", "uncertain", "uncertain"]
    assert list(table["Note"]) == ["", "a 'note' with a tab", ""]
    silent = pd.read_csv(tmp_path / "out" / f"{rest[0].id}.selections.txt", sep="\t")
    assert (len(silent), list(silent.columns)) == (0, list(table.columns))


def birdnet_segments(table: Path) -> list[tuple[float, float, str, float]]:
    """What BirdNET-Analyzer 2.4 takes from a table (`segments.utils.find_segments`), written anew: lines are split at tabs
    without quoting, the first decides by its first word, columns go by name, and `nocall` and all below `--min_conf` are passed
    over.

    The package itself brings TensorFlow and was run by hand: see docs/formats/raven-birdnet.md.
    """
    first, *lines = table.read_text("utf-8").splitlines()
    assert first.lower().startswith("selection")
    at = {name: number for number, name in enumerate(first.split("\t"))}
    found = []
    for cells in (line.split("\t") for line in lines):
        confidence, species = float(cells[at["Confidence"]]), cells[at["Common Name"]]
        if 0.25 <= confidence <= 1 and species.lower() != "nocall":
            times = float(cells[at["Begin Time (s)"]]), float(cells[at["End Time (s)"]])
            found.append((*times, species, confidence))
    return found


def opensoundscape_boxes(tables: list[Path], audio: list[str]) -> pd.DataFrame:
    """What opensoundscape 0.13 makes of tables (`BoxedAnnotations.from_raven_files(tables, "Common Name", audio)`), written anew:
    pandas reads each, and four columns must be there by name. The package brings sixty others: see docs/formats/raven-birdnet.md.
    """
    names = {"Begin Time (s)": "start_time", "End Time (s)": "end_time", "Low Freq (Hz)": "low_f", "High Freq (Hz)": "high_f"}
    frames = []
    for table, path in zip(tables, audio, strict=True):
        frame = pd.read_csv(table, delimiter="\t").rename(columns={"Common Name": "annotation"} | names, errors="raise")
        frames.append(frame.assign(audio_file=path))
    return pd.concat(frames).reset_index(drop=True)


def test_raven_birdnet(tmp_path: Path) -> None:
    full, *rest = with_audio([boxes_session(), *others()], tmp_path / "in")
    (said,) = full.reviews
    labels = ("Call", "Humpback", "Call")
    boxes = tuple(replace(item, label=label) for item, label in zip(said.annotations, labels, strict=True))
    full = replace(full, reviews=(replace(said, annotations=boxes),))
    unheard = replace(rest[0], id="tape", recording=replace(rest[0].recording, duration_s=None, audio_uri=""))
    report = export("raven-birdnet", [full, *rest, unheard], tmp_path / "out")
    assert (report.counts["written"], report.counts["no_calls"], report.counts["refused"]) == (2, 1, 1)
    ending = ".BirdNET.selection.table.txt"
    tables = [tmp_path / "out" / f"{item.id}{ending}" for item in (full, rest[0])]
    found = Raven.from_file(tables[0], annot_col="Common Name")
    assert [(b.onset, b.offset, b.low_freq, b.high_freq, b.label) for b in found.to_bbox()] == [
        (1.001, 2.5, 0.0, 500.0, "Call"),
        (10.25, 11.0, 0.0, 500.0, "Humpback"),
        (20.0, 21.125, 500.5, 8000.0, "Call"),
    ]
    (silent,) = Raven.from_file(tables[1], annot_col="Common Name").to_bbox()  # crowsetta takes no table without a row
    assert (silent.onset, silent.offset, silent.low_freq, silent.high_freq, silent.label) == (0.0, 60.0, 0.0, 500.0, "nocall")
    assert birdnet_segments(tables[0]) == [
        (1.001, 2.5, "Call", 1.0),
        (10.25, 11.0, "Humpback", 0.5),
        (20.0, 21.125, "Call", 0.5),
    ]
    assert birdnet_segments(tables[1]) == []
    frame = opensoundscape_boxes(tables, ["a.wav", "b.wav"])
    assert list(zip(frame["audio_file"], frame["start_time"], frame["annotation"], frame["Species Code"], strict=True)) == [
        ("a.wav", 1.001, "Call", "orca"),
        ("a.wav", 10.25, "Humpback", "humpback"),
        ("a.wav", 20.0, "Call", "orca"),
        ("b.wav", 0.0, "nocall", "nocall"),
    ]
    assert set(frame["Begin Path"]) == {f"{full.id}.wav", f"{rest[0].id}.wav"}
    EXPORTERS["raven-birdnet"]([full], str(tmp_path / "with"), WriteOptions(audio="/data/wav"))
    table = pd.read_csv(tmp_path / "with" / f"{full.id}{ending}", sep="\t", quoting=3)
    assert list(table["Begin Path"]) == [f"/data/wav/{full.id}.wav"] * 3
    assert list(table["File Offset (s)"]) == list(table["Begin Time (s)"])


def test_audacity(tmp_path: Path) -> None:
    full = boxes_session()
    export("audacity", [full, *others()], tmp_path)
    path = tmp_path / f"{full.id}.txt"
    # crowsetta reads a track with frequencies below every label; the labels without any it reads as a plain track.
    lines = path.read_text().splitlines(keepends=True)
    plain, banded = tmp_path / "plain.txt", tmp_path / "banded.txt"
    plain.write_text("".join(line for line in lines if not line.startswith("\\")))
    banded.write_text("".join(lines[-2:]))
    sequence = AudSeq.from_file(plain)
    assert list(zip(sequence.start_times, sequence.end_times, sequence.labels, strict=True)) == [
        (1.001, 2.5, "Call S16"),
        (10.25, 11.0, "Call ?"),
        (20.0, 21.125, "Call ?"),
    ]
    (found,) = AudBBox.from_file(banded).to_bbox()
    assert (found.onset, found.offset, found.low_freq, found.high_freq) == (20.0, 21.125, 500.5, 8000.0)
    assert (tmp_path / "bush_point-0000.txt").read_bytes() == b""


def test_dclde(tmp_path: Path) -> None:
    full, rest = boxes_session(), others()
    untimed = replace(full, id="tape", recording=replace(full.recording, start=None))
    report = export("dclde", [full, *rest, untimed], tmp_path)
    assert [refusal.where for refusal in report.refusals] == ["session tape"]
    table = pd.read_csv(tmp_path / "dclde.csv", keep_default_na=False, dtype=str)
    assert [list(broken_rules(row)) for row in table.to_dict("records")] == [[]] * 4
    silent, *calls = table.to_dict("records")
    columns = ("ClassSpecies", "AnnotationLevel", "FileBeginSec", "FileEndSec", "UTC", "Soundfile")
    assert [silent[name] for name in columns] == ["AB", "File", "0.0", "60.0", "2020-07-01T12:00:00.000Z", "bush_point-0000.wav"]
    assert [
        (row["FileBeginSec"], row["FileEndSec"], row["UTC"], row["KW_certain"], row["Ecotype"], row["LowFreqHz"]) for row in calls
    ] == [
        ("1.001", "2.5", "2020-11-01T08:59:56.001Z", "1", "SRKW", "NA"),
        ("10.25", "11.0", "2020-11-01T09:00:05.250Z", "0", "NA", "NA"),
        ("20.0", "21.125", "2020-11-01T09:00:15.000Z", "0", "NA", "500.5"),
    ]
    parsed = pd.to_datetime(table["UTC"]) - pd.to_timedelta(pd.to_numeric(table["FileBeginSec"]), unit="s")
    assert set(parsed[1:]) == {pd.Timestamp(START)}


def load(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, datasets.Dataset]:
    """The splits as `datasets` loads them.

    It imports torchcodec even where it only takes paths, and torchcodec needs FFmpeg's libraries on the machine: rows keep their
    bytes, and soundfile decodes them.
    """
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    for module in ("torchcodec", "torchcodec.encoders"):
        monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(AudioEncoder=None))
    loaded = datasets.load_dataset("audiofolder", data_dir=str(folder), cache_dir=str(cache))
    return {name: split.cast_column("audio", datasets.Audio(decode=False)) for name, split in loaded.items()}


def decoded(row: dict[str, Any]) -> tuple[Any, int]:
    content = row["audio"]["bytes"] or Path(row["audio"]["path"]).read_bytes()
    return soundfile.read(io.BytesIO(content), dtype="int16")  # type: ignore[no-any-return]


def test_audiofolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = with_audio(
        [*spread(12, review("ann", ReviewState.CALLS, [(1, 2.25)])), boxes_session(), *others()], tmp_path / "in"
    )
    export("audiofolder", sessions, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "again")
    loaded = load(tmp_path / "out", tmp_path / "cache", monkeypatch)
    assert set(loaded) == {"train", "validation", "test"}
    rows = {row["session_id"]: row for split in loaded.values() for row in split}
    assert len(rows) == 14  # 12, the full one, the silent one
    full = rows[boxes_session().id]
    given = boxes_session().reviews[0].annotations
    assert [SoundEvent(b["start_s"], b["end_s"], b["low_hz"], b["high_hz"]) for b in full["boxes"]] == [b.event for b in given]
    assert [(b["label"], b["call_type"], b["certainty"]) for b in full["boxes"]] == [
        ("Call", "S16", "certain"), ("Call", "", "uncertain"), ("Call", "", "uncertain"),
    ]  # fmt: skip
    assert (full["calls"], full["node"], full["start_utc"]) == (3, NODE, "2020-11-01T08:59:55.000Z")
    silent = rows["bush_point-0000"]
    assert (silent["review_state"], silent["boxes"], silent["calls"]) == ("no_calls", [], 0)
    samples, rate = decoded(full)
    source, source_rate = soundfile.read(tmp_path / "in" / f"{full['session_id']}.wav", dtype="int16")
    assert (rate, len(samples)) == (source_rate, round(full["duration_s"] * rate))
    assert np.array_equal(samples, source)


def test_an_audiofolder_whose_splits_know_different_things_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of digits alone, no times, nodes, boxes or frequencies in some splits: text would be given other types in each."""
    said = review("ann", ReviewState.CALLS, [(1, 2)])
    tapes = [session(f"{60010 + number}", review("ann", ReviewState.NO_CALLS), node="", round="7") for number in range(9)]
    timed = [replace(item, round="8") for item in spread(1, said)]
    unmeasured = [replace(item, recording=replace(item.recording, duration_s=None)) for item in tapes[:4]]
    sessions = with_audio([*unmeasured, *tapes[4:], *timed, boxes_session()], tmp_path / "in")
    export("audiofolder", sessions, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "again")
    loaded = load(tmp_path / "out", tmp_path / "cache", monkeypatch)
    features = [split.features for split in loaded.values()]
    assert len(features) == 3 and features[0] == features[1] == features[2]
    assert any(set(split["node"]) == {""} for split in loaded.values())
    rows = [row for split in loaded.values() for row in split]
    assert {row["session_id"] for row in rows} == {item.id for item in sessions}
    assert {(row["node"], row["start_utc"]) for row in rows if row["round"] == "7"} == {("", "")}
    assert {row["duration_s"] for row in rows if row["session_id"] in {item.id for item in unmeasured}} == {10.0}


NUMBER = {"type": "number"}
DETECTION = {
    "type": "object",
    "required": [
        *("id", "state", "locationName", "audioUri", "imageUri", "timestamp", "whaleFoundConfidence", "location", "predictions"),
        *("comments", "dateModerated", "moderator", "tags"),
    ],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        "state": {"enum": ["Unreviewed", "Positive", "Negative", "Unknown"]},
        "timestamp": {"type": "string", "pattern": "Z$"},
        "whaleFoundConfidence": NUMBER | {"minimum": 0, "maximum": 100},
        "location": {
            "required": ["id", "name", "longitude", "latitude"],
            "properties": {"longitude": NUMBER | {"maximum": -122}, "latitude": NUMBER | {"minimum": 47}},
        },
        "predictions": {
            "items": {
                "required": ["id", "startTime", "duration", "confidence"],
                "properties": {"startTime": NUMBER, "duration": NUMBER, "confidence": NUMBER | {"minimum": 0, "maximum": 1}},
            }
        },
        "tags": {"type": "array"},
    },
}
"""OrcaHello's stored detection, after the example in its repository."""


def test_orcahello(tmp_path: Path) -> None:
    full = boxes_session()
    untimed = replace(full, id="tape", recording=replace(full.recording, start=None))
    report = export("orcahello", [full, *others(), untimed], tmp_path)
    assert [refusal.where for refusal in report.refusals] == ["session tape"]
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert set(found) == {full.id, "bush_point-0000"}
    for detection in found.values():
        jsonschema.validate(detection, DETECTION)
    positive, negative = found[full.id], found["bush_point-0000"]
    boxes = pd.DataFrame(positive["predictions"])
    assert list((boxes["startTime"] + boxes["duration"]).round(3)) == [2.5, 11.0, 21.125]
    assert list(boxes["confidence"]) == [0.875, 1.0, 1.0]
    assert pd.Timestamp(positive["timestamp"]) == pd.Timestamp(START)
    assert (positive["state"], positive["location"]["name"], positive["tags"]) == ("Positive", "Orcasound Lab", ["S16"])
    assert (negative["state"], negative["predictions"], negative["whaleFoundConfidence"]) == ("Negative", [], 0)


@pytest.mark.parametrize("name", ["raven", "audacity", "dclde", "orcahello"])
def test_what_a_format_cannot_hold_is_kept_beside_it(name: str, tmp_path: Path) -> None:
    full, rest = boxes_session(), others()
    report = EXPORTERS[name]([full, *rest], str(tmp_path), WriteOptions())
    kept = {line["session_id"]: line for line in map(json.loads, (tmp_path / "sidecar.jsonl").read_text().splitlines())}
    assert set(kept) == {full.id, rest[1].id}  # the boxes that say more, and the unsure session
    assert [item["call_type"] for item in kept[full.id]["annotations"]] == ["S16", "", ""]
    assert report.warnings
