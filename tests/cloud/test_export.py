"""Exports into clouds: brought up to date, nothing of anybody else's touched, as on this machine."""

from __future__ import annotations

import json

import pytest

from exporters import EXPORTERS
from exporters.base import WriteOptions
from podcast import storage
from podcast.errors import InputError
from tests.cloud.conftest import Rig
from tests.exports.rounds import NO_CALLS, SESSIONS, calls, session

CHANGED = [session("s_calls", calls((5, 6))), session("s_unsure", calls((7, 8))), session("new", NO_CALLS)]


def contents(root: str) -> dict[str, bytes]:
    return {storage.name_below(uri, root): storage.read(uri) for uri in storage.list_files(root)}


@pytest.mark.parametrize("name", ["podcast-json", "dataset-tsv"])
@pytest.mark.parametrize("annotator", ["latest", "all"])
def test_what_is_no_longer_true_goes_from_a_cloud_too(rig: Rig, name: str, annotator: str) -> None:
    root, fresh = (storage.join(rig.root, "calls of J pod #1", folder) for folder in ("labels", "fresh"))
    options = WriteOptions(annotator)
    EXPORTERS[name](SESSIONS, root, options)
    EXPORTERS[name](CHANGED, root, options)
    EXPORTERS[name](CHANGED, fresh, options)
    found = contents(root)
    assert found == contents(fresh)
    listed = {json.loads(line)["file"] for line in found["export.jsonl"].splitlines()[1:]}
    assert listed == set(found) - {"export.jsonl"}
    written = len(rig.proxy.log) if rig.proxy else 0
    EXPORTERS[name](CHANGED, root, options)
    if rig.proxy:
        assert not {method for method, _ in rig.proxy.log[written:]} & {"PUT", "POST", "DELETE"}


def test_what_somebody_changed_in_a_cloud_is_kept(rig: Rig) -> None:
    root = storage.join(rig.root, "labels")
    EXPORTERS["podcast-json"](SESSIONS, root, WriteOptions())
    for name in ("s_calls.json", "s_empty.json", "strange.json"):
        storage.write(storage.join(root, name), b"mine")
    report = EXPORTERS["podcast-json"](CHANGED, root, WriteOptions())
    assert [refusal.where for refusal in report.refusals] == ["session s_calls"]
    assert {name for name, content in contents(root).items() if content == b"mine"} == {
        "s_calls.json", "s_empty.json", "strange.json",
    }  # fmt: skip
    assert any("s_empty.json" in warning for warning in report.warnings)
    assert any("strange.json" in warning for warning in report.warnings)
    with pytest.raises(InputError, match="holds an export as podcast-json"):
        EXPORTERS["raven"](SESSIONS, root, WriteOptions())
