"""Rounds of before there was a vocabulary mean what they meant: their exports and releases are the same bytes.

`before/digests.json` and `before/label_config.xml` are of the last commit without one (f676121). A file that another program's
version may change (PNG, Parquet), or that names what is new in a release (README, SHA256SUMS), is not among them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labelstudio.json_export import read_export
from labelstudio.labels import LabelConfig
from labelstudio.round_out import to_sessions
from labelstudio.tasks import to_task
from podcast.model import Annotation, Certainty, Detection, ModelRun, Outcome, Recording, Review, ReviewState, Session, SoundEvent
from releases.build import ReleaseOptions, build
from tests.conftest import ROOT
from tests.exports.rounds import FORMATS, export

BEFORE = ROOT / "tests" / "exports" / "before"
DIGESTS: dict[str, dict[str, str]] = json.loads((BEFORE / "digests.json").read_bytes())
CONFIG = LabelConfig.load(BEFORE / "label_config.xml")
RUN = ModelRun("energy", "1-3653e7e9")
CHANGES = {".png", ".parquet"}
NEW = {"README.md", "SHA256SUMS", "sounds.csv", "blind.csv", "croissant.json", "CITATION.cff"}
COLUMNS_BEFORE = {"reviews.csv": 8, "sessions.csv": 17}


def found(start_s: float, confidence: float) -> Detection:
    return Detection(SoundEvent(start_s, start_s + 1.25), "Call", confidence, RUN)


def drawn(start_s: float, certainty: Certainty, call_type: str, note: str, origin: Detection | None) -> Annotation:
    event = SoundEvent(start_s, start_s + 1.25, 500.0 if call_type else None, 8000.0 if call_type else None)
    outcome = Outcome.ADDED if origin is None else Outcome.ACCEPTED if origin.event.start_s == start_s else Outcome.MOVED
    return Annotation(event, "Call", certainty, "a@x.org", outcome, origin, call_type, note)


def a_round() -> list[Session]:
    """Every state, what a page could say of a box, and two people."""
    sure, unsure = Certainty.CERTAIN, Certainty.UNCERTAIN
    detections = (found(1.5, 0.5), found(24.5, 0.649), found(39.2, 0.689))
    told = (
        drawn(1.5, sure, "", "", detections[0]),
        drawn(24.0, unsure, "S16", "faint", detections[1]),
        drawn(50.125, sure, "Whistle", "", None),
        drawn(55.0, sure, "Buzz", 'a "buzz"', None),
    )
    reviews = {
        "calls": (Review("a@x.org", ReviewState.CALLS, told, (detections[2],), note="two boats"),),
        "none": (Review("a@x.org", ReviewState.NO_CALLS, (), detections),),
        "unsure": (Review("a@x.org", ReviewState.UNSURE, told[1:2], detections[:1]),),
        "skipped": (Review("a@x.org", ReviewState.SKIPPED),),
        "unreviewed": (),
        "two": (
            Review("a@x.org", ReviewState.CALLS, told[:2], (), datetime(2020, 8, 1, 10, tzinfo=UTC)),
            Review("b@x.org", ReviewState.CALLS, (replace(told[0], annotator="b@x.org"),), detections[1:]),
        ),
        "torn": (Review("a@x.org", ReviewState.NO_CALLS, told[:1]),),
    }
    sessions = []
    for number, (name, said) in enumerate(reviews.items()):
        start = datetime(2020, 7, 1 + number, 12, tzinfo=UTC)
        uri = f"https://x/{name}.wav"
        recording = Recording(uri, "rpi_orcasound_lab", start, 60.0, audio_uri=uri)
        sessions.append(Session(name, recording, "OS_9_27_2017_08_25_00_", "round3", detections, (RUN,), said))
    return sessions


def from_label_studio() -> list[Session]:
    export_file = ROOT / "tests" / "data" / "label_studio" / "export.json"
    return [item for item in to_sessions(read_export(str(export_file)), CONFIG) if isinstance(item, Session)]


def before(content: bytes, columns: int) -> bytes:
    """A table without the columns that it got later, at its end."""
    text = io.StringIO()
    rows = csv.reader(io.StringIO(content.decode(), newline=""))
    csv.writer(text, lineterminator="\n").writerows(row[:columns] for row in rows)
    return text.getvalue().encode()


def digests(files: dict[str, bytes]) -> dict[str, str]:
    files = files | {name: before(files[name], columns) for name, columns in COLUMNS_BEFORE.items() if name in files}
    kept = {name: content for name, content in files.items() if Path(name).suffix not in CHANGES and name not in NEW}
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(kept.items())}


def made(kind: str, to: Path) -> dict[str, str]:
    """Digests of what an export in a format, a release, or an import as tasks gives today."""
    if kind == "tasks":
        tasks = [to_task(item, item.recording.audio_uri, CONFIG) for item in a_round()]
        return digests({f"{task['data']['session_id']}.json": json.dumps(task).encode() for task in tasks})
    if kind == "release":
        build([*a_round(), *from_label_studio()], str(to), ReleaseOptions("r", with_audio=False), lambda *_: "")
        return digests({path.name: path.read_bytes() for path in (to / "r").iterdir()})
    annotator = kind.partition(" ")[2] or "latest"
    report, files = export(to, kind.partition(" ")[0], [*a_round(), *from_label_studio()], annotator=annotator)
    return digests(files | {"counts": json.dumps(sorted((+report.counts).items())).encode()})


KINDS = ["tasks", "release", *(name for name in FORMATS if name != "audiofolder"), "podcast-json all"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in DIGESTS])
def test_the_same_bytes_as_before(kind: str, tmp_path: Path) -> None:
    assert made(kind, tmp_path) == DIGESTS[kind]
