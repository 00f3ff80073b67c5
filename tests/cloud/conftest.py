"""The same place for files on three backends: `rig`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from azure.storage.blob import BlobServiceClient

from podcast.storage import azure, s3
from tests.cloud.emulators import ACCOUNT, azure_server, connection_string, s3_server
from tests.cloud.proxy import Proxy, proxy

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Rig:
    """`root` is an empty folder, bucket or container; `missing` one that does not exist; `proxy` where faults are made."""

    kind: str
    root: str
    missing: str
    proxy: Proxy | None


@pytest.fixture(scope="session")
def s3_proxy() -> Iterator[Proxy]:
    with s3_server() as url, proxy(url) as state:
        yield state


@pytest.fixture(scope="session")
def azure_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with azure_server(tmp_path_factory.mktemp("azurite")) as url, proxy(url.removesuffix(f"/{ACCOUNT}")) as state:
        yield state


@pytest.fixture
def s3_bucket(s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A fresh, empty bucket, and the environment that leads to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_proxy.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    s3._client.cache_clear()
    bucket = f"bucket-{next(_numbers)}"
    boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3_proxy.log.clear()
    yield bucket
    s3_proxy.faults.clear()
    s3._client.cache_clear()


@pytest.fixture
def azure_container(azure_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A fresh, empty container, and the environment that leads to it."""
    text = connection_string(f"{azure_proxy.url}/{ACCOUNT}")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    container = f"container-{next(_numbers)}"
    BlobServiceClient.from_connection_string(text).create_container(container)
    azure_proxy.log.clear()
    yield container
    azure_proxy.faults.clear()
    azure._cached_service.cache_clear()


@pytest.fixture(params=["local", "s3", "azure", "azure-web"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    if request.param == "local":
        (tmp_path / "root").mkdir()
        return Rig("local", str(tmp_path / "root"), str(tmp_path / "missing"), None)
    if request.param == "s3":
        bucket = request.getfixturevalue("s3_bucket")
        return Rig("s3", f"s3://{bucket}", "s3://there-is-no-such-bucket", request.getfixturevalue("s3_proxy"))
    container, state = request.getfixturevalue("azure_container"), request.getfixturevalue("azure_proxy")
    root = "azure-blob://" if request.param == "azure" else f"https://{ACCOUNT}.blob.core.windows.net/"
    return Rig("azure", f"{root}{container}", f"{root}there-is-no-such-container", state)
