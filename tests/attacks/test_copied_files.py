"""Commands that copy audio do so by addresses which anybody may have written who may add a task.

Nothing comes along but audio below the document root, `--audio` or `--dataset`, links resolved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from cli.main import cli
from podcast.model import Review, ReviewState, Session
from tests.attacks.web import Web, say, web
from tests.conftest import write_noise
from tests.releases.sessions import review, session, spread
from tests.releases.test_command import write_export

SAID = review("ann@x.org", ReviewState.CALLS, [(1, 2)])


class Place:
    """A document root with two good recordings, and a secret beside it: a WAV too, so that only its place is wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root"
        self.secret = folder / "secret" / "secret.wav"
        for path in (self.root / "audio", self.secret.parent):
            path.mkdir(parents=True)
        write_noise(self.secret, 60, 1000, seed=99)
        for seed, name in enumerate(("good-0000", "good-0001")):
            write_noise(self.root / "audio" / f"{name}.wav", 60, 1000, seed)
        (self.root / "audio" / "link.wav").symlink_to(self.secret)
        (self.root / "linked").symlink_to(self.secret.parent)
        (self.root / "passwords").symlink_to("/etc")

    def podcast(self, *words: object) -> Result:
        env = {"LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(self.root)}
        return CliRunner().invoke(cli, [str(word) for word in words], env=env)

    def stolen(self, below: Path) -> list[Path]:
        """Files that hold the secret, or a password file."""
        content = self.secret.read_bytes()
        files = [path for path in below.rglob("*") if path.is_file()]
        return [path for path in files if path.read_bytes() == content or b"root:x:0" in path.read_bytes()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def good(number: int, *reviews: Review) -> Session:
    item = replace(spread(2, *(reviews or (SAID,)))[number], id=f"good-{number:04}")
    address = f"/data/local-files/?d=audio/{item.id}.wav"
    return replace(item, recording=replace(item.recording, audio_uri=address, duration_s=60.0))


def evil(address: str) -> Session:
    item = session("evil", SAID, audio_uri=address, node="rpi_bush_point")
    return replace(item, recording=replace(item.recording, duration_s=None))


ADDRESSES = [
    "{secret}",
    "file://{secret}",
    "file://localhost{secret}",
    "/etc/passwd",
    "file:///etc/passwd",
    "/data/local-files/?d=../secret/secret.wav",
    "/data/local-files/?d=audio/../../secret/secret.wav",
    "/data/local-files/?d=audio%2F..%2F..%2Fsecret%2Fsecret.wav",
    "/data/local-files/?d={secret}",
    "/data/local-files/?d=audio/link.wav",
    "/data/local-files/?d=linked/secret.wav",
    "/data/local-files/?d=passwords/passwd",
    "/data/local-files/?d=audio/good-0000.wav&d=../secret/secret.wav",
    "/data/local-files/../../secret/secret.wav",
    "/data/upload/../../secret/secret.wav",
    "/data/../api/users/",
    "http://127.0.0.1:9/data/local-files/?d=../secret/secret.wav",
    "http://127.0.0.1:{port}/secret.wav",
    "http://localhost:{port}/secret.wav",
    "http://[::1]:{port}/secret.wav",
    "http://169.254.169.254/latest/meta-data/",
    "http://0.0.0.0:{port}/secret.wav",
    "s3://a-bucket-of-somebody/secret.wav",
    "azure-blob://a-container/secret.wav",
    "audio/good-0000.wav",
    "../secret/secret.wav",
    "",
]


@pytest.fixture
def neighbour(place: Place) -> Iterator[Web]:
    """A server in this machine's own network that would give out the secret."""
    with web(lambda handler: say(handler, place.secret.read_bytes())) as found:
        yield found


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_export_copies_nothing_from_elsewhere(address: str, place: Place, neighbour: Web) -> None:
    export = write_export(place.folder / "export.json", [good(0), evil(address.format(secret=place.secret, port=neighbour.port))])
    to = place.folder / "to"
    result = place.podcast("export", "--file", export, "--format", "audiofolder", "--to", to, "--json")
    assert result.exit_code == 2, result.output
    printed = json.loads(result.stdout)
    assert (printed["written"], printed["refused"]) == (1, 1)
    assert [item["where"] for item in printed["refusals"]] == ["session evil"]
    assert place.stolen(to) == [] and neighbour.paths == []
    assert (to / "train" / "good-0000.wav").read_bytes() == (place.root / "audio" / "good-0000.wav").read_bytes()


@pytest.mark.parametrize(
    "address", ["{secret}", "file://{secret}", "/data/local-files/?d=audio/link.wav", "http://localhost:{port}/x.wav"]
)
def test_a_release_copies_nothing_from_elsewhere(address: str, place: Place, neighbour: Web) -> None:
    export = write_export(place.folder / "export.json", [good(0), evil(address.format(secret=place.secret, port=neighbour.port))])
    result = place.podcast("release", "--file", export, "--to", place.folder / "to", "--name", "r", "--json")
    assert result.exit_code == 2, result.output
    assert [item["where"] for item in json.loads(result.stdout)["refusals"]] == ["session evil"]
    assert place.stolen(place.folder / "to") == [] and neighbour.paths == []
    assert (place.folder / "to" / "r" / "wav" / "good-0000.wav").exists()


@pytest.mark.parametrize("command", ["export", "release"])
def test_links_in_the_folder_of_audio_lead_nowhere_else(command: str, place: Place) -> None:
    """--audio: a file below it is read, a link that stays below it too, one that leads out is not."""
    folder, to = place.folder / "wavs", place.folder / "to"
    folder.mkdir()
    (folder / "evil.wav").symlink_to(place.secret)
    (folder / "real.wav").write_bytes((place.root / "audio" / "good-0000.wav").read_bytes())
    (folder / "good-0000.wav").symlink_to("real.wav")
    (folder / "good-0001.wav").write_bytes((place.root / "audio" / "good-0001.wav").read_bytes())
    sessions = [evil("/nowhere.wav"), *(evil_address(good(number)) for number in (0, 1))]
    export = write_export(place.folder / "export.json", sessions)
    more = ("--format", "audiofolder") if command == "export" else ("--name", "r")
    result = place.podcast(command, "--file", export, "--audio", folder, "--to", to, *more, "--json")
    assert result.exit_code == 2, result.output
    assert [item["where"] for item in json.loads(result.stdout)["refusals"]] == ["session evil"]
    assert place.stolen(to) == []
    assert len(list(to.rglob("good-*.wav"))) == 2


def evil_address(item: Session) -> Session:
    return replace(item, recording=replace(item.recording, audio_uri="/etc/passwd"))


def test_links_in_a_dataset_lead_nowhere_else(place: Place) -> None:
    source = place.folder / "old"
    (source / "wav").mkdir(parents=True)
    (source / "wav" / "evil.wav").symlink_to(place.secret)
    (source / "wav" / "fine.wav").write_bytes((place.root / "audio" / "good-0000.wav").read_bytes())
    head = "dataset\twav_filename\tstart_time_s\tduration_s\tlocation\tdate\tpst_or_master_tape_identifier\n"
    lines = (f"old\t{name}.wav\t1.0\t1.0\torcasound_lab\t\ttape\n" for name in ("evil", "fine"))
    (source / "train.tsv").write_text(head + "".join(lines))
    for given, name in ((source, "folder"), (source / "train.tsv", "table")):
        result = place.podcast("release", "--dataset", given, "--to", place.folder / "to", "--name", name, "--json")
        assert result.exit_code == 2, result.output
        assert [item["where"] for item in json.loads(result.stdout)["refusals"]] == ["session evil"]
        assert [path.name for path in (place.folder / "to" / name / "wav").iterdir()] == ["fine.wav"]
    assert place.stolen(place.folder / "to") == []


def test_a_round_of_local_files_is_exported_with_its_audio(place: Place) -> None:
    """The default set-up: addresses below the document root. Raven's Nyquist is that of each recording."""
    write_noise(place.root / "audio" / "good-0001.wav", 60, 44_100, 1)
    silent = good(1, review("ann@x.org", ReviewState.NO_CALLS))
    unmeasured = replace(silent, recording=replace(silent.recording, duration_s=None))
    cases = {
        "raven": [good(0), good(1)],
        "audiofolder": [good(0), good(1)],
        "dclde": [good(0), unmeasured],
    }
    for name, sessions in cases.items():
        export = write_export(place.folder / f"{name}.json", sessions)
        result = place.podcast("export", "--file", export, "--format", name, "--to", place.folder / name, "--json")
        assert result.exit_code == 0, result.output
        assert (json.loads(result.stdout)["written"], json.loads(result.stdout)["warnings"]) == (2, [])
    high = {
        path.name.partition(".")[0]: pd.read_csv(path, sep="\t")["High Freq (Hz)"].tolist()
        for path in (place.folder / "raven").glob("*.txt")
    }
    assert high == {"good-0000": [500.0], "good-0001": [22_050.0]}
    tables = [parquet.read_table(path).to_pylist() for path in (place.folder / "audiofolder").glob("*/metadata.parquet")]
    assert {row["session_id"]: row["duration_s"] for table in tables for row in table} == {"good-0000": 60.0, "good-0001": 60.0}
    lines = pd.read_csv(place.folder / "dclde" / "dclde.csv", keep_default_na=False)
    assert lines[lines["AnnotationLevel"] == "File"]["FileEndSec"].tolist() == [60.0]
