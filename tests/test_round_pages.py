"""Pages of rounds: page and vocabulary agree, each page can say what is in the table, and what it stored is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from cli.main import cli
from labelstudio.labels import LABEL_CONFIG_PATH, LabelConfig
from labelstudio.page import NAMES, page
from labelstudio.sessions import from_task
from labelstudio.tasks import to_task
from podcast import vocabulary
from podcast.errors import InputError
from podcast.model import Annotation, Certainty, Detection, ModelRun, Outcome, Recording, Review, ReviewState, Session, SoundEvent
from tests.conftest import write_noise
from tests.exports.rounds import export
from tests.exports.test_before import BEFORE

OWN = LABEL_CONFIG_PATH.read_text()
RUN = ModelRun("many", "1")
each_page = pytest.mark.parametrize("name", NAMES)
SAYABLE = [item.name for item in vocabulary.sources() if item.key != "jingle"]

# Single keys that Label Studio's own page takes while audio is labelled (its Hotkeys settings, 1.23.2), beside digits, n and x.
TAKEN = {"u", "enter", "escape", "backspace"}


@each_page
def test_page_and_vocabulary_agree(name: str) -> None:
    config = page(name)
    colours = {item.name: item.colour for item in vocabulary.sources()}
    root = ElementTree.fromstring(config.xml)
    for label in root.iter("Label"):
        if label.get("certainty") != "uncertain":
            assert label.get("background") == colours[label.attrib["means"]]
        # By this attribute the add-on's script knows calls (label_studio_addon/static/review.js).
        assert (label.get("certainty") is not None) is vocabulary.is_call(label.attrib["means"])
    keys = {element.get("hotkey") for element in root.iter() if element.get("hotkey")}
    assert keys - {"space", "n", "u", "x"} <= set("123456789")
    assert {"1", "2", "3"} <= keys and not keys & (TAKEN - {"u"})


@each_page
@pytest.mark.parametrize("label", SAYABLE)
def test_what_a_page_shows_and_stores_of_a_source_is_read_back(name: str, label: str) -> None:
    config, event = page(name), SoundEvent(1.0, 2.0)
    found = Detection(event, label, 0.75, RUN)
    drawn = Annotation(event, label, Certainty.CERTAIN, "", Outcome.ACCEPTED, found, "S16" if vocabulary.is_call(label) else "")
    state = ReviewState.CALLS if label in ("Call", "Southern Resident", "Bigg's") else ReviewState.NO_CALLS
    given = Session("s", Recording("s.wav", audio_uri="x"), round="r", detections=(found,), model_runs=(RUN,))
    task = to_task(Session(given.id, given.recording, "", "r", (found,), (RUN,), (Review("", state, (drawn,)),)), "x", config)
    answer = {"id": 1, "completed_by": None, **task["annotations"][0], "prediction": task["predictions"][0]}
    back = from_task({**task, "annotations": [answer]}, config)
    assert back.detections == (found,)
    [review] = back.reviews
    assert (review.state, review.annotations, review.rejected) == (state, (drawn,), ())


def submitted(*items: dict[str, Any]) -> tuple[Review, list[str]]:
    """The review of a submission, and what was said of what it leaves out."""
    said: dict[str, None] = {}
    common = {"to_name": "audio", "original_length": 60.0}
    result = [{**common, **item} for item in items]
    task = {
        "id": 1,
        "data": {"session_id": "s"},
        "predictions": [],
        "annotations": [{"id": 1, "completed_by": None, "result": result}],
    }
    return from_task(task, page(), None, said.setdefault).reviews[0], list(said)


def box(label: str, identity: str = "a", start_s: float = 1.0) -> dict[str, Any]:
    value = {"start": start_s, "end": start_s + 1, "channel": 0, "labels": [label]}
    return {"id": identity, "type": "labels", "from_name": "label", "value": value}


def choice(control: str, value: str, identity: str = "a") -> dict[str, Any]:
    return {"id": identity, "type": "choices", "from_name": control, "value": {"start": 1.0, "end": 2.0, "choices": [value]}}


def labels_of(review: Review) -> list[str]:
    return [item.label for item in review.annotations]


def test_something_else_is_a_sound_and_no_call() -> None:
    review, said = submitted(box("Something else"), box("Something else", "b", 5.0), choice("source", "Vessel", "b"))
    assert (review.state, labels_of(review), said) == (ReviewState.NO_CALLS, ["Something else", "Vessel"], [])
    review, said = submitted(box("Something else"), choice("review", "No calls", "c"))
    assert (review.state, said) == (ReviewState.NO_CALLS, [])
    review, _ = submitted(box("Something else"), box("Call", "b", 5.0), choice("orca", "Bigg's", "b"))
    assert (review.state, labels_of(review)) == (ReviewState.CALLS, ["Something else", "Bigg's"])
    review, _ = submitted(box("Something else"), choice("review", "Not sure", "c"))
    assert review.state is ReviewState.UNSURE


@pytest.mark.parametrize(("label", "control", "value"), [("Call", "source", "Vessel"), ("Something else", "orca", "Bigg's")])
def test_a_choice_never_turns_a_call_into_another_sound_nor_back(label: str, control: str, value: str) -> None:
    """Label Studio keeps what was chosen before the box got another label, and shows it no more."""
    review, said = submitted(box(label), choice(control, value))
    assert labels_of(review) == [label]
    assert said == [f"{value!r}, chosen for a box that is {label!r}, is not kept"]


def test_a_label_that_nobody_knows_is_unsure() -> None:
    review, _ = submitted(box("Dolphin"), box("Something else", "b"))
    assert (review.state, labels_of(review)) == (ReviewState.UNSURE, ["Dolphin", "Something else"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('means="Something else"', "", None),
        ('means="Something else"', 'means="Dolphin"', "'Dolphin' is no name of vocabulary.csv"),
        ('value="Something else" means="Something else"', 'value="Dolphin"', "'Dolphin' is no name of vocabulary.csv"),
        ('means="Vessel"', 'means="Ship"', "'Ship' is no name of vocabulary.csv"),
        ('value="Vessel" means="Vessel"', 'value="Ship" means="Vessel"', None),
        ('hotkey="3"', 'hotkey="n"', "two things have the key 'n'"),
        ('means="Call" certainty="certain"', 'means="Bigg\'s" certainty="certain"', "no <Label> means 'Call'"),
    ],
)
def test_a_maintainers_own_page_is_checked(tmp_path: Path, old: str, new: str, words: str | None) -> None:
    assert OWN.count(old) >= 1
    path = tmp_path / "mine.xml"
    path.write_text(OWN.replace(old, new, 1))
    if words is None:
        assert page(str(path)).label_value("Something else", Certainty.CERTAIN) == "Something else"
        return
    with pytest.raises(InputError, match=words) as error:
        page(str(path))
    assert "mine.xml" in str(error.value)


def test_a_page_of_before_may_still_be_used() -> None:
    page(str(BEFORE / "label_config.xml"))


def test_the_check_reads_what_it_is_told_of(tmp_path: Path) -> None:
    """The very page that made humpbacks orcas."""
    path = tmp_path / "mine.xml"
    path.write_text(OWN.replace('<Label value="Something else"', '<Label value="Humpback"/><Label value="Something else"', 1))
    label = '{"start": 1, "end": 2, "channel": 0, "labels": ["Humpback"]}'
    result = f'[{{"id": "a", "type": "labels", "from_name": "label", "to_name": "audio", "value": {label}}}]'
    task = json.loads(f'{{"id": 1, "data": {{"session_id": "s"}}, "annotations": [{{"id": 1, "result": {result}}}]}}')
    session = from_task(task, LabelConfig.parse(path.read_text()))
    _, files = export(tmp_path / "out", "podcast-json", [session])
    assert json.loads(files["s.json"])["annotations"] == []
    assert json.loads(files["sidecar.jsonl"])["annotations"][0]["label"] == "Humpback"


def test_a_task_file_for_a_page(tmp_path: Path) -> None:
    (tmp_path / "wav").mkdir()
    write_noise(tmp_path / "wav" / "s.wav", 10, 1000)
    arguments = ["tasks", str(tmp_path / "wav"), "-o", str(tmp_path / "tasks.json"), "--label-config"]
    assert CliRunner().invoke(cli, [*arguments, "which-orcas"]).exit_code == 0
    (tmp_path / "mine.xml").write_text(OWN.replace('means="Vessel"', 'means="Ship"'))
    refused = CliRunner().invoke(cli, [*arguments, str(tmp_path / "mine.xml")])
    assert refused.exit_code == 2 and "'Ship' is no name of vocabulary.csv" in refused.output
    missing = CliRunner().invoke(cli, [*arguments, "which-whales"])
    assert missing.exit_code == 2 and "which-whales" in missing.output
