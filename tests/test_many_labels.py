"""Models that say more than one thing: each class is a box of its own source, and only orcas are scored as calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from evaluation.tables import read_predictions
from importers.base import ReadOptions
from importers.predictions_tsv import read
from labelstudio.page import page
from labelstudio.sessions import from_task
from labelstudio.tasks import to_task
from podcast.errors import InputError, Refusal
from podcast.model import Session
from podcast.vocabulary import of_name, sources

NOWHERE = ReadOptions(audio_required=False)
HEADER = "wav_filename\tstart_time_s\tduration_s\tconfidence\tlabel\n"


def table(folder: Path, *rows: tuple[str, float, float, float, str]) -> str:
    path = folder / "m.tsv"
    path.write_text(HEADER + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("resident", "Southern Resident"), ("transient", "Bigg's"), ("humpback", "Humpback"), ("vessel", "Vessel")),
        *(("water", "Water"), ("jingle", "Jingle"), ("human", "People")),  # pods-ai's seven
        *(("KW", "Call"), ("HW", "Humpback"), ("UndBio", "Other animal"), ("AB", "Something else")),  # DCLDE's classes
        *(("SRKW", "Southern Resident"), ("TKW", "Bigg's"), ("NRKW", "Call"), ("SAR", "Call")),  # and ecotypes
        *(("Call", "Call"), ("Vessel", "Vessel"), ("ferry", "Vessel")),
    ],
)
def test_the_classes_of_others(text: str, name: str) -> None:
    found = of_name(text)
    assert found is not None and found.name == name


@pytest.mark.parametrize("text", ["", "NA", "whale", "call", "1"])
def test_a_class_that_nobody_has(text: str) -> None:
    assert of_name(text) is None


def test_windows_of_each_class_are_boxes_of_its_source(tmp_path: Path) -> None:
    source = table(
        tmp_path,
        *(("a.wav", float(start), 3.0, 0.9, "resident") for start in (0, 3)),
        *(("a.wav", float(start), 3.0, 0.8, "vessel") for start in (0, 3, 6)),
        ("a.wav", 6.0, 3.0, 0.4, "resident"),  # below the threshold
        ("a.wav", 9.0, 3.0, 0.7, ""),
        ("a.wav", 12.0, 3.0, 0.7, "zebra"),
    )
    refusal, session = read(source, NOWHERE)
    assert isinstance(session, Session) and isinstance(refusal, Refusal)
    assert "line 9" in refusal.where and "zebra" in refusal.reason
    assert [(item.event.start_s, item.event.end_s, item.label, item.confidence) for item in session.detections] == [
        (0.0, 6.0, "Southern Resident", 0.9),
        (0.0, 9.0, "Vessel", 0.8),
        (9.0, 12.0, "Call", 0.7),
    ]


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("sort-false-alarms", ("resident", "transient", "humpback", "vessel", "water", "jingle", "human")),
        ("find-calls", ("resident", "transient", "humpback", "vessel", "water", "human", "KW", "UndBio", "AB")),
    ],
)
def test_the_page_shows_each_and_gives_it_back(name: str, classes: tuple[str, ...], tmp_path: Path) -> None:
    config = page(name)
    rows = [("a.wav", 3.0 * n, 2.0, 0.75, label) for n, label in enumerate(classes)]
    (session,) = read(table(tmp_path, *rows), NOWHERE)
    assert isinstance(session, Session) and len(session.detections) == len(classes)
    task = to_task(replace(session, round="r"), "/a.wav", config)
    back = from_task({**task, "id": 1, "annotations": []}, config)
    assert back.detections == session.detections
    colours = {item.get("means"): item.get("background") for item in ElementTree.fromstring(config.xml).iter("Label")}
    for item in sources():  # "Uncertain call" means Call too, in a colour of its own
        assert item.name == "Call" or colours.get(item.name, item.colour) == item.colour


def test_a_ship_that_was_predicted_is_no_call_that_was_predicted(tmp_path: Path) -> None:
    rows = [("a.wav", 0.0, 1.0, 0.9, "resident"), ("a.wav", 5.0, 1.0, 0.99, "vessel"), ("b.wav", 0.0, 1.0, 0.8, "humpback")]
    found = read_predictions(table(tmp_path, *rows))
    assert {name: [span.start_s for span in spans] for name, spans in found.spans.items()} == {"a": [0.0], "b": []}
    with pytest.raises(InputError, match="line 2, label: 'zebra'"):
        read_predictions(table(tmp_path, ("a.wav", 0.0, 1.0, 0.9, "zebra")))
