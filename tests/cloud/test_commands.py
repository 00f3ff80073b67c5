"""Commands with `s3://` addresses give what they give with paths: the same exit status, the same bytes."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner

from cli.main import cli
from podcast import storage
from podcast.model import ReviewState
from tests.conftest import write_noise
from tests.releases.sessions import review, spread
from tests.releases.test_command import write_export

FORMATS = ("audacity", "dataset-tsv", "dclde", "orcahello", "podcast-json", "raven")
FILE, AUDIO = ("--file", "@/export.json"), ("--audio", "@/in")


@pytest.fixture
def places(s3_bucket: str, tmp_path: Path) -> tuple[str, str]:
    """The same seven sessions with their audio, in a folder and in a bucket."""
    calls = review("ann@x.org", ReviewState.CALLS, [(1, 2)])
    other = review("bob@x.org", ReviewState.CALLS, [(2.5, 3.5)])
    sessions = [*spread(6, calls), *spread(1, calls, other, node="rpi_bush_point")]
    (tmp_path / "in").mkdir()
    for seed, item in enumerate(sessions):
        write_noise(tmp_path / "in" / f"{item.id}.wav", 4, 8000, seed)
    write_export(tmp_path / "export.json", sessions)
    for name, content in files(str(tmp_path)).items():
        storage.write(f"s3://{s3_bucket}/{name}", content)
    return str(tmp_path), f"s3://{s3_bucket}"


def files(root: str) -> dict[str, bytes]:
    """Every file below `root`, read without this project where it is a bucket."""
    if not root.startswith("s3://"):
        return {str(path.relative_to(root)): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}
    bucket, client = root.removeprefix("s3://"), boto3.client("s3")
    names = [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket)["Contents"]]
    return {name: client.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}


@pytest.mark.parametrize(
    "commands",
    [
        *[[("export", *FILE, "--format", name, "--to", f"@/{name}")] for name in FORMATS],
        [("detect", "@/in", "-o", "@/found.tsv", "--candidates", "@/yes.tsv", "--negatives", "@/no.tsv")],
        [
            ("release", *FILE, *AUDIO, "--to", "@", "--name", "first"),
            ("release", "--check", "@/first"),
            ("release", *FILE, *AUDIO, "--to", "@", "--name", "second", "--previous", "@/first"),
            ("release", "--diff", "@/first", "@/second"),
            ("release", "--dataset", "@/first", "--to", "@", "--name", "tables", "--no-audio"),
        ],
    ],
    ids=[*FORMATS, "detect", "release"],
)
def test_a_bucket_serves_as_a_folder_does(places: tuple[str, str], commands: list[tuple[str, ...]]) -> None:
    said: list[list[tuple[int, str]]] = []
    for root in places:
        before = set(files(root))
        answers = [CliRunner().invoke(cli, [word.replace("@", root) for word in words]) for words in commands]
        said.append([(answer.exit_code, answer.output.replace(root, "@")) for answer in answers])
        assert set(files(root)) > before
    local, cloud = map(files, places)
    assert said[0] == said[1]
    assert cloud == local
