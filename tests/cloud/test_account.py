"""An existing Pod.Cast account, as folders and on Azure: in, out, and never over what somebody has said."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from click.testing import CliRunner, Result

from cli.main import cli
from labelstudio.labels import LabelConfig
from labelstudio.sessions import from_task
from legacy.account import MANIFEST, Account, AccountRound, read_account
from podcast import storage
from podcast.errors import InputError
from podcast.model import ReviewState
from tests.cloud.emulators import ACCOUNT, KEY
from tests.conftest import LabelStudio, write_noise

CREDS = """
blobaccount: {account}
blobaccountkey: {key}
getcontainer: PREDICTIONS
postcontainer: ANNOTATIONS
audiocontainer: AUDIOSEGMENTS
roundinfoconfig: config/rounds.yaml
"""
ROUNDS = """
current_round: {name}
round_info:
  default: {{text: A new round., hydrophone_id: lab}}
  {name}: {{text: July 5th., hydrophone_id: lab}}
  {name}-empty: {{text: Nothing yet., hydrophone_id: lab}}
hydrophone_info:
  lab: {{display_name: Orcasound Lab, url: "https://live.orcasound.net/orcasound-lab"}}
"""
IDS = [f"1562337136_000{number}" for number in range(4)]


def prediction(session_id: str) -> dict[str, Any]:
    return {
        "uri": f"https://podcaststorage.blob.core.windows.net/x/{session_id}.wav",
        "absolute_time": "1562337136",
        "source_guid": "rpi_orcasound_lab",
        "annotations": [{"start_time_s": 2.4499999999999993, "duration_s": 2.45, "confidence": 0.6}],
    }


def submission(session_id: str, *boxes: tuple[float, float]) -> dict[str, Any]:
    made = prediction(session_id)
    return {**made, "annotations": [{"start_s": start, "duration_s": length} for start, length in boxes]}


@dataclass
class Old:
    """An account of one round: 0 has no answer, 1 has boxes, 2 says no call, 3 was submitted and has no prediction."""

    creds: str
    root: str
    name: str
    arguments: tuple[str, ...]

    def annotation(self, session_id: str) -> str:
        return f"{self.root}/{self.container('ANNOTATIONS')}/{session_id}.json"

    def container(self, name: str, per_round: bool = True) -> str:
        full = f"{name}-{self.name}" if per_round else name
        return full.lower() if "://" in self.root else full

    def fill(self, folder: Path) -> None:
        for number, session_id in enumerate(IDS):
            wav = write_noise(folder / "a.wav", 10, seed=number).read_bytes()
            storage.write(f"{self.root}/{self.container('AUDIOSEGMENTS', per_round=False)}/{session_id}.wav", wav)
        for session_id in IDS[:3]:
            uri = f"{self.root}/{self.container('PREDICTIONS')}/{session_id}.json"
            storage.write(uri, json.dumps(prediction(session_id)).encode())
        storage.write(self.annotation(IDS[1]), json.dumps(submission(IDS[1], (2.4499999999999993, 2.45), (7, 1))).encode())
        # As the oldest submit files were written: Python text.
        storage.write(self.annotation(IDS[2]), repr(submission(IDS[2])).encode())
        storage.write(self.annotation(IDS[3]), json.dumps(submission(IDS[3], (1, 2))).encode())
        storage.write(f"{self.root}/config/rounds.yaml", ROUNDS.format(name=self.name).encode())
        Path(self.creds).write_text(CREDS.format(account=ACCOUNT, key=KEY))


@pytest.fixture(params=["folders", "azure"])
def old(request: pytest.FixtureRequest, tmp_path: Path, studio: LabelStudio, monkeypatch: pytest.MonkeyPatch) -> Old:
    creds = str(tmp_path / "CREDS.yaml")
    if request.param == "folders":
        root = studio.audio / "old"
        made = Old(creds, str(root), "round-folders", ("--root", str(root)))
    else:
        request.getfixturevalue("azure_container")
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
        monkeypatch.delenv("AZURE_STORAGE_KEY", raising=False)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", ACCOUNT)  # so that what the command sets is undone after the test
        monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
        made = Old(creds, f"https://{ACCOUNT}.blob.core.windows.net", "round-azure", ())
        service = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
        for name in ("config", "audiosegments", f"predictions-{made.name}", f"annotations-{made.name}"):
            service.create_container(name)
    made.fill(tmp_path)
    return made


def account(studio: LabelStudio, old: Old, *more: str) -> Result:
    return CliRunner().invoke(cli, ["account", old.creds, *old.arguments, *more, "--json"], env=studio.env)


def reviews(studio: LabelStudio, project: int) -> dict[str, list[tuple[str, list[tuple[float, float]]]]]:
    config = LabelConfig.load()
    sessions = [from_task(task, config) for task in studio.server.export(project)]
    return {
        session.id: [
            (str(review.state), [(item.event.start_s, item.event.end_s) for item in review.annotations])
            for review in session.reviews
        ]
        for session in sessions
    }


EXPECTED = {
    IDS[1]: [(str(ReviewState.CALLS), [(2.45, 4.9), (7.0, 8.0)])],
    IDS[2]: [(str(ReviewState.NO_CALLS), [])],
    IDS[3]: [(str(ReviewState.CALLS), [(1.0, 3.0)])],
}


def test_an_account_goes_in_once_and_back_without_losing_anything(studio: LabelStudio, old: Old) -> None:
    done = account(studio, old)
    assert done.exit_code == 0, done.output
    first = json.loads(done.stdout)
    assert (first["created"], first["refused"], len(first["rounds"])) == (4, 0, 1)
    assert any(f"{old.name}-empty is left out" in warning for warning in first["warnings"])
    project = first["rounds"][0]["project"]
    assert studio.server.project(project)["description"].startswith("July 5th.")
    assert reviews(studio, project) == EXPECTED
    assert sum(1 for _ in studio.server.predictions(project)) == 3

    again = json.loads(account(studio, old).stdout)
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 4)
    assert reviews(studio, project) == EXPECTED

    # Nobody did anything: nothing is written.
    before = {name: storage.read(old.annotation(name)) for name in IDS[1:]}
    back = json.loads(account(studio, old, "--give-back").stdout)
    assert (back["unchanged"], back["written"], back["refused"]) == (3, 0, 0)
    assert {name: storage.read(old.annotation(name)) for name in IDS[1:]} == before

    # One is answered here, one is changed here, and one both here and there.
    numbers = {data["session_id"]: number for number, data in studio.server.tasks(project)}
    box = {"id": "new", "type": "labels", "from_name": "label", "to_name": "audio", "original_length": 10, "origin": "manual"}
    region = {**box, "value": {"start": 5.0, "end": 6.0, "channel": 0, "labels": ["Call"]}}
    studio.server.add_annotation(numbers[IDS[0]], {"result": [region]})
    for name in (IDS[1], IDS[2]):
        (annotation,) = studio.server.annotations(numbers[name])
        studio.server.sdk.annotations.update(annotation["id"], result=[region])
    elsewhere = json.dumps(submission(IDS[2], (9, 0.5))).encode()
    storage.write(old.annotation(IDS[2]), elsewhere)
    done = account(studio, old, "--give-back")
    assert done.exit_code == 2
    back = json.loads(done.stdout)
    assert (back["written"], back["unchanged"], back["refused"]) == (2, 1, 1)
    assert IDS[2] in back["refusals"][0]["where"]
    assert "changed by somebody else" in back["refusals"][0]["reason"]
    assert storage.read(old.annotation(IDS[2])) == elsewhere
    for name in (IDS[0], IDS[1]):
        assert json.loads(storage.read(old.annotation(name)))["annotations"] == [{"start_s": 5.0, "duration_s": 1.0}]

    # The other way: what was said there does not replace what was said here.
    done = account(studio, old)
    assert done.exit_code == 2
    (refusal,) = json.loads(done.stdout)["refusals"]
    assert IDS[2] in refusal["where"]
    assert reviews(studio, project)[IDS[2]] == [("calls", [(5.0, 6.0)])]
    # And a refused import does not make the other's answer ours to overwrite.
    assert account(studio, old, "--give-back").exit_code == 2
    assert storage.read(old.annotation(IDS[2])) == elsewhere


def test_the_real_template_must_be_filled_in(small_data: Path) -> None:
    with pytest.raises(InputError, match="blobaccount must be filled in"):
        read_account(str(small_data / "labels" / "rounds" / "CREDS.yaml"))


def test_the_real_rounds_file_is_read(small_data: Path, tmp_path: Path) -> None:
    storage.write(str(tmp_path / "config" / "r.yaml"), (small_data / "labels" / "rounds" / "ROUND_INFO_CONFIG.yaml").read_bytes())
    creds = tmp_path / "CREDS.yaml"
    text = (small_data / "labels" / "rounds" / "CREDS.yaml").read_text()
    creds.write_text(text.replace("CONTAINER/FILENAME", "config/r.yaml"))
    found = read_account(str(creds), str(tmp_path))
    assert list(found.rounds()) == [f"round{number}" for number in range(1, 7)]
    assert found.place(found.predictions, "round4") == f"{tmp_path}/PREDICTIONS-round4"


def test_a_field_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "CREDS.yaml").write_text("blobaccount: a\nblobaccountkey: b\n")
    with pytest.raises(InputError, match="getcontainer must be filled in"):
        read_account(str(tmp_path / "CREDS.yaml"))


FILLED = "blobaccount: {}\nblobaccountkey: {}\ngetcontainer: p\npostcontainer: a\naudiocontainer: w\nroundinfoconfig: c/r.yaml\n"


@pytest.mark.parametrize(
    "content",
    [
        "blobaccountkey: SECRET==: x\n- y",
        "blobaccountkey: !SECRET== x",
        "blobaccountkey: 'SECRET==",
        "a: &a [SECRET==]\nb: *a",
        "SECRET==",
        FILLED.format("SECRET==", "name"),  # the two in each other's place
        FILLED.format("name", "SECRET==").replace("postcontainer: a", "postcontainer: [a"),
        FILLED.format("evil.example.org/#", "SECRET=="),
    ],
)
def test_no_slip_of_the_pen_prints_a_key(tmp_path: Path, content: str) -> None:
    (tmp_path / "CREDS.yaml").write_text(content)
    with pytest.raises(InputError, match=r"CREDS\.yaml") as error:
        read_account(str(tmp_path / "CREDS.yaml"))
    assert "SECRET" not in str(error.value) and "evil" not in str(error.value)


@pytest.mark.parametrize("line", ["{", "[]", '{"session_id": "a"}', '{"session_id": "a", "sha256": 5}', "\xff"])
def test_a_damaged_manifest_names_its_line(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "a-r"
    folder.mkdir()
    (folder / MANIFEST).write_bytes(b'{"session_id": "a", "sha256": "b"}\n\n' + line.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match=f"{MANIFEST}, line 3"):
        AccountRound(Account(str(tmp_path), "p", "a", "w", "c/r.yaml"), "r")
