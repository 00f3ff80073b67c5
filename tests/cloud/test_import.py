"""`podcast import` from the archive and with audio in the cloud, against a real Label Studio."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from click.testing import CliRunner, Result

from cli.main import cli
from cli.servers import task_audio
from labelstudio.audio import TaskAudio
from labelstudio.cloud import audio_problem, ensure_cloud_storage
from labelstudio.labels import LabelConfig
from podcast import storage
from podcast.errors import InputError, PodcastError, StorageError
from podcast.model import Round
from podcast.settings import Settings
from tests.cloud.archive import ARCHIVE, NODE
from tests.cloud.conftest import Rig
from tests.cloud.emulators import ACCOUNT
from tests.cloud.proxy import Proxy
from tests.conftest import LabelStudio, write_noise

WINDOW = ("--start", "2020-09-30 19:40:02", "--end", "2020-10-01 02:45:02 UTC")


def podcast(studio: LabelStudio, *arguments: str, **env: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--json"], env={**studio.env, **env})


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def tasks(studio: LabelStudio, project: int) -> dict[str, dict[str, Any]]:
    found = [data for _, data in studio.server.tasks(project)]
    assert len({data["session_id"] for data in found}) == len(found)
    return {data["session_id"]: data for data in found}


def test_a_round_from_the_archive(studio: LabelStudio, tmp_path: Path) -> None:
    command = [
        *("import", f"hls://{NODE}", *WINDOW, "--round", "from the archive", "--archive", str(ARCHIVE)),
        *("--audio", str(studio.audio / "archive"), "--work", str(tmp_path), "--detector", "energy", "--session-length", "25"),
    ]
    first = answer(podcast(studio, *command))
    assert (first["created"], first["holes"]) == (5, 2)
    assert any("hole of 19.968 s" in warning for warning in first["warnings"])
    found = tasks(studio, first["project"])
    assert found[f"{NODE}_2020_09_30_19_41_22_PDT"]["start"] == "2020-10-01T02:41:22.000Z"
    assert found[f"{NODE}_2020_09_30_19_40_52_PDT"]["duration_s"] == 10.032  # 60.032 s are in the folder
    for data in found.values():
        assert audio_problem(studio.server, first["project"], data["audio"]) == ""
    versions = {item["model_version"] for item in studio.server.predictions(first["project"])}
    assert len(versions) == 1
    assert versions.pop().startswith("energy")
    again = answer(podcast(studio, *command))
    assert (again["created"], again["unchanged"]) == (0, 5)


# Not azure with --presign: Label Studio then signs an address at Azure's own host, where no emulator can stand.
@pytest.mark.parametrize(("cloud", "way"), [("s3", "--proxy"), ("s3", "--presign"), ("azure", "--proxy")])
def test_audio_from_the_cloud_reaches_the_page(
    studio: LabelStudio, cloud: str, way: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    scheme = {"s3": "s3", "azure": "azure-blob"}[cloud]
    container = request.getfixturevalue({"s3": "s3_bucket", "azure": "azure_container"}[cloud])
    write_noise(tmp_path / "a.wav", 2)
    write_noise(tmp_path / "b.wav", 2, seed=1)
    for name in ("a", "b"):
        storage.write(f"{scheme}://{container}/calls of J pod/ü {name}.wav", (tmp_path / f"{name}.wav").read_bytes())
    round_name = f"{cloud} {way}"
    done = answer(podcast(studio, "import", f"{scheme}://{container}", "--round", round_name, way))
    found = tasks(studio, done["project"])
    folder = f"{scheme}://{container}/calls of J pod"
    assert {data["recording"] for data in found.values()} == {f"{folder}/ü {name}.wav" for name in "ab"}
    assert {data["audio"] for data in found.values()} == {
        f"{folder}/listening/{data['sha256']}-1.flac" for data in found.values()
    }
    problems = [audio_problem(studio.server, done["project"], data["audio"]) for data in found.values()]
    assert problems == ["", ""]
    assert not [word for word in done["warnings"] if "does not get" in word]
    again = answer(podcast(studio, "import", f"{scheme}://{container}", "--round", round_name, way))
    assert again["unchanged"] == 2
    listed = studio.server.sdk.import_storage.s3 if cloud == "s3" else studio.server.sdk.import_storage.azure
    (stored,) = listed.list(project=done["project"])
    assert stored.last_sync is None
    assert stored.presign == (way == "--presign")
    # What the doctor sees is what the browser gets.
    assert podcast(studio, "doctor", "--round", round_name).exit_code == 0
    listed.delete(stored.id)
    sick = podcast(studio, "doctor", "--round", round_name)
    assert sick.exit_code == 1
    assert "import once more, which makes the storage object" in sick.stdout


def test_private_clouds_are_read_below_the_prefixes_that_the_user_names(rig: Rig) -> None:
    uri = storage.join(rig.root, "ü call.wav")
    storage.write(uri, b"whale")
    if rig.kind == "local":
        with pytest.raises(InputError, match="document root"):
            task_audio(Settings()).open(uri)
        return
    opened = replace(task_audio(Settings()), prefixes=(rig.root,))
    with opened.open(uri) as file:
        assert file.read() == b"whale"
    with pytest.raises(StorageError, match="larger than the 4 bytes"):
        replace(opened, max_bytes=4).open(uri)
    for outside in (f"{rig.root}-other/a.wav", f"{rig.root}/../{rig.root.rpartition('/')[2]}-other/a.wav", rig.root):
        # A web address outside is read like anybody else's, without credentials; no public host can be reached from here.
        with pytest.raises(PodcastError, match=r"AUDIO_PREFIXES|container|not known|cannot be read"):
            opened.open(outside)


@pytest.mark.parametrize("cloud", ["s3", "azure"])
def test_without_prefixes_tasks_reach_what_the_storages_of_their_round_cover(
    studio: LabelStudio, cloud: str, request: pytest.FixtureRequest
) -> None:
    scheme = {"s3": "s3", "azure": "azure-blob"}[cloud]
    container = request.getfixturevalue({"s3": "s3_bucket", "azure": "azure_container"}[cloud])
    uri = f"{scheme}://{container}/a.wav"
    storage.write(uri, b"whale")
    mine, _ = studio.server.ensure_project(Round(f"covered {cloud}"), LabelConfig.load())
    other, _ = studio.server.ensure_project(Round(f"not covered {cloud}"), LabelConfig.load())
    page = storage.page_storage(uri)
    assert page is not None
    ensure_cloud_storage(studio.server, mine["id"], page, presign=False)
    opened = TaskAudio(None, studio.url, lambda: studio.server)
    with opened.open(uri, mine["id"]) as file:
        assert file.read() == b"whale"
    for project in (other["id"], None):
        with pytest.raises(InputError, match="AUDIO_PREFIXES"):
            opened.open(uri, project)
    opened.projects.add(mine["id"])  # as export and release do with the rounds that they read
    with opened.open(uri) as file:
        assert file.read() == b"whale"


def test_an_address_that_browsers_refuse_is_told(
    studio: LabelStudio, azure_container: str, azure_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podcast.storage.guard.is_public", lambda _: True)  # the emulator stands for a public cloud
    account = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
    account.get_container_client(azure_container).set_container_access_policy({}, public_access="blob")
    storage.write(f"azure-blob://{azure_container}/a.wav", b"content")
    address = f"{azure_proxy.url}/{ACCOUNT}/{azure_container}/a.wav"
    assert "no Access-Control-Allow-Origin" in audio_problem(studio.server, 1, address)


def test_audio_that_is_not_there_is_told(studio: LabelStudio, s3_bucket: str) -> None:
    project, _ = studio.server.ensure_project(Round("nothing there"), LabelConfig.load())
    page = storage.page_storage(f"s3://{s3_bucket}/a.wav")
    assert page is not None
    assert ensure_cloud_storage(studio.server, project["id"], page, presign=False)
    assert not ensure_cloud_storage(studio.server, project["id"], page, presign=False)
    assert "not 206" in audio_problem(studio.server, project["id"], f"s3://{s3_bucket}/a.wav")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ((), "needs hls://NODE with --start and --end"),
        (("--start", "soon", "--end", "later"), "'soon' is no time"),
        (("--start", "2020-09-30 20:00", "--end", "2020-09-30 19:00"), "must end after it starts"),
        (("--start", "2020-09-30 19:00 CET", "--end", "2020-09-30 19:00"), "the zone must be"),
    ],
)
def test_a_wrong_window_is_told(studio: LabelStudio, tmp_path: Path, more: tuple[str, ...], problem: str) -> None:
    done = podcast(
        studio, "import", f"hls://{NODE}", *more, "--round", "wrong", "--archive", str(tmp_path), "--work", str(tmp_path)
    )
    assert done.exit_code == 2
    assert problem in json.loads(done.stdout)["error"]
