"""Bouts: one source each, ended by fifteen minutes of silence; two may overlap. Counted by hand, and drawn at random."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporters import EXPORTERS
from exporters.base import WriteOptions
from importers.windows import read_windows
from podcast.model import Certainty, Review, ReviewState, Session
from tests.releases.sessions import box, session

START = datetime(2026, 9, 1, 10, tzinfo=UTC)
TEXTS = {"type": "array", "items": {"type": "string"}}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}


def required(**fields: object) -> dict[str, Any]:
    return {"type": "object", "required": list(fields), "properties": fields}


DETECTION = required(
    id={"type": "string"},
    node={"type": "string"},
    timestamp=MOMENT,
    duration_s={"type": ["number", "null"]},
    annotations={
        "type": "array",
        "minItems": 1,
        "items": required(
            id={}, start_offset_s={"type": "number"}, end_offset_s={"type": "number"}, confidence=SHARE, label={}, tags=TEXTS
        ),
    },
    tags=TEXTS,
    confidence=SHARE,
    reporter_id={"type": "string"},
    audio_uri={"type": "string"},
    spectrogram_uri={"type": "string"},
    description={"type": "string"},
)
BOUT = required(
    id={"type": "string"},
    node={"type": "string"},
    start=MOMENT,
    end=MOMENT,
    type={"enum": ["biophony", "geophony", "anthrophony"]},
    title={"type": "string"},
    tags=TEXTS,
    confidence=SHARE,
    status={"enum": ["new", "claimed", "needs_review", "ready", "published", "rejected"]},
    reviewed_by=TEXTS,
    algorithm_version={"type": "string"},
    coincident_with=TEXTS,
    review_history={"type": "array", "items": {"type": "object", "required": ["who", "when", "field", "from", "to"]}},
    detections={"type": "array", "minItems": 1, "items": DETECTION},
)
"""Orcasound's draft specification 0.4, field by field."""


def minute(at_s: float, *boxes: tuple[float, float, str], node: str = "rpi_orcasound_lab", **more: Any) -> Session:
    """A reviewed minute that begins `at_s` after START, with boxes from and to seconds of it."""
    said = tuple(box(begin, end, label=label, annotator="v@x.org", **more) for begin, end, label in boxes)
    orcas = {"Call", "Southern Resident", "Bigg's"}
    state = ReviewState.CALLS if orcas & {label for _, _, label in boxes} else ReviewState.NO_CALLS
    told = Review("v@x.org", state, said, submitted=START + timedelta(days=1))
    return session(f"{node}-{at_s:09.3f}", told, start=START + timedelta(seconds=at_s), node=node)


def bouts(to: Path, *sessions: Session) -> list[dict[str, Any]]:
    EXPORTERS["bouts"](sessions, str(to), WriteOptions())
    found: list[dict[str, Any]] = json.loads((to / "bouts.json").read_text("utf-8"))["bouts"]
    for item in found:
        jsonschema.validate(item, BOUT)
    return found


def spans(found: list[dict[str, Any]]) -> list[tuple[str, str, float, float]]:
    def offset(text: str) -> float:
        return (datetime.fromisoformat(text) - START).total_seconds()

    return [(item["node"], item["source"], offset(item["start"]), offset(item["end"])) for item in found]


def test_fifteen_minutes_of_silence_end_a_bout_and_two_sources_may_overlap(tmp_path: Path) -> None:
    lab = "rpi_orcasound_lab"
    found = bouts(
        tmp_path,
        minute(0, (10, 12, "Southern Resident"), (20, 60, "Vessel")),
        minute(660, (50, 52, "Southern Resident")),  # 698 s after the first one ended
        minute(1560, (51.999, 53, "Southern Resident")),  # 899.999 s after: still the same
        minute(2460, (53, 54, "Southern Resident")),  # 900 s after: another
        minute(600, (0, 1, "Vessel")),
        minute(600, (5, 6, "Southern Resident"), node="rpi_bush_point"),
        minute(1200),
    )
    assert spans(found) == [
        ("rpi_bush_point", "resident", 605, 606),
        (lab, "resident", 10, 1613),
        (lab, "vessel", 20, 601),
        (lab, "resident", 2513, 2514),
    ]
    one, ship = found[1], found[2]
    assert (one["coincident_with"], ship["coincident_with"], found[3]["coincident_with"]) == ([ship["id"]], [one["id"]], [])
    assert [item["session_id"] for item in one["detections"]] == [f"{lab}-{at:09.3f}" for at in (0, 660, 1560)]
    assert (one["type"], ship["type"], one["status"], one["tags"]) == ("biophony", "anthrophony", "ready", ["SRKW"])
    assert one["reviewed_by"] == ["v@x.org"] and len(one["review_history"]) == 3
    with (tmp_path / "bouts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [item["id"] for item in found]
    assert (rows[1]["signals"], rows[1]["coincident_with"]) == ("3", ship["id"])
    assert rows[1]["detections"].split(";") == [item["session_id"] for item in one["detections"]]
    for name in ("bouts.json", "bouts.csv"):  # and the next round can be made of them
        windows, refusals = read_windows(str(tmp_path / name))
        assert refusals == []
        assert [(item.node, (item.start - START).total_seconds(), (item.end - START).total_seconds()) for item in windows] == [
            ("rpi_bush_point", 605, 606), (lab, 10, 1613), (lab, 2513, 2514),
        ]  # fmt: skip
    kept = [json.loads(line)["session_id"] for line in (tmp_path / "sidecar.jsonl").open()]
    assert f"{lab}-{1200:09.3f}" in kept and f"{lab}-{2460:09.3f}" not in kept


def test_what_was_doubted_needs_review_and_tags_say_what_was_heard(tmp_path: Path) -> None:
    doubted = minute(0, (1, 2, "Humpback"), certainty=Certainty.UNCERTAIN)
    typed = minute(5000, (1, 2, "Call"), call_type="S16")
    whistle = minute(9000, (1, 2, "Bigg's"), call_type="Whistle", note="long")
    found = bouts(tmp_path, doubted, typed, whistle, minute(9000, (3, 4, "Something else"), (5, 6, "Call")))
    assert [(item["source"], item["status"], item["confidence"], item["tags"]) for item in found] == [
        ("humpback", "needs_review", 0.5, ["humpback"]),
        ("resident", "ready", 1.0, ["S16", "SRKW"]),  # only they make S16
        ("biggs", "ready", 1.0, ["Bigg's", "whistle"]),
    ]  # the fourth is a second task of one session
    assert found[2]["detections"][0]["annotations"][0]["description"] == "long"


def test_a_sound_of_no_known_source_is_in_no_bout(tmp_path: Path) -> None:
    found = bouts(tmp_path, minute(0, (3, 4, "Something else"), (5, 6, "Call")))
    assert spans(found) == [("rpi_orcasound_lab", "orca", 5, 6)]
    assert "Something else" in (tmp_path / "sidecar.jsonl").read_text()
    untimed = replace(minute(9, (1, 2, "Call")), id="tape")
    untimed = replace(untimed, recording=replace(untimed.recording, start=None))
    report = EXPORTERS["bouts"]([untimed], str(tmp_path / "to"), WriteOptions())
    assert (report.counts["refused"], (tmp_path / "to" / "bouts.json").exists()) == (1, False)


DRAWN = st.lists(
    st.tuples(
        st.integers(0, 400),  # minutes
        st.sampled_from(["rpi_orcasound_lab", "rpi_bush_point"]),
        st.lists(
            st.tuples(st.integers(0, 50), st.integers(1, 10), st.sampled_from(["Humpback", "Vessel", "Bigg's"])), max_size=3
        ),
    ),
    max_size=12,
    unique_by=lambda item: item[:2],
)


@given(DRAWN)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sessions(tmp_path: Path, drawn: list[tuple[int, str, list[tuple[int, int, str]]]]) -> None:
    sessions = [
        minute(60 * at, *((begin, begin + length, label) for begin, length, label in boxes), node=node)
        for at, node, boxes in drawn
    ]
    signals: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for at, node, boxes in drawn:
        for begin, length, label in boxes:
            key = {"Humpback": "humpback", "Vessel": "vessel", "Bigg's": "biggs"}[label]
            signals[node, key].append((60.0 * at + begin, 60.0 * at + begin + length))
    found = bouts(tmp_path, *sessions) if drawn else []
    assert sum(len(one["annotations"]) for item in found for one in item["detections"]) == sum(map(len, signals.values()))
    for (node, key), members in signals.items():
        mine = [(first, last) for n, k, first, last in spans(found) if (n, k) == (node, key)]
        assert all(later[0] - earlier[1] >= 900 for earlier, later in pairwise(mine))
        for first, last in mine:  # as long as that allows: no silence within, and it begins and ends with a signal
            inside = sorted(item for item in members if first <= item[0] and item[1] <= last)
            assert inside[0][0] == first and max(end for _, end in inside) == last
            ends = [max(end for _, end in inside[: number + 1]) for number in range(len(inside))]
            assert all(later[0] - end < 900 for end, later in zip(ends, inside[1:], strict=False))
        assert sum(sum(first <= item[0] and item[1] <= last for item in members) for first, last in mine) == len(members)
    by_id = dict(zip([item["id"] for item in found], spans(found), strict=True))
    for item in found:
        node, key, first, last = by_id[item["id"]]
        others = {name for name, (n, k, f, t) in by_id.items() if n == node and k != key and f < last and first < t}
        assert set(item["coincident_with"]) == others
    assert len(by_id) == len(found)


def test_what_a_detection_of_a_bout_says(tmp_path: Path) -> None:
    kinds = ("Buzz", "Whistle", "Clicks")
    said = tuple(box(n + 1, n + 2, annotator="v@x.org", call_type=kind, note=f"no. {n}") for n, kind in enumerate(kinds))
    given = session("s", Review("v@x.org", ReviewState.CALLS, said, submitted=START, note="far"), start=START)
    (bout,) = bouts(tmp_path, given)
    (detection,) = bout["detections"]
    assert [item["id"] for item in detection["annotations"]] == [f"{detection['id']}/{n}" for n in range(3)]
    names = ("start_offset_s", "end_offset_s", "confidence", "label", "description")
    assert [tuple(item[name] for name in names) for item in detection["annotations"]] == [
        (n + 1, n + 2, 1, "Call", f"no. {n}") for n in range(3)
    ]
    assert detection["tags"] == bout["tags"] == ["KW", "buzz", "clicks", "whistle"]
    assert (detection["audio_uri"], detection["reporter_id"], detection["description"]) == (
        "https://example.org/s.wav",
        "v@x.org",
        "far",
    )
    assert bout["review_history"] == [
        {"who": "v@x.org", "when": "2026-09-01T10:00:00.000Z", "field": "status", "from": "new", "to": "ready"}
    ]
