"""Every place for files behaves alike, in fair weather and in foul."""

from __future__ import annotations

import io

import boto3
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podcast import audio, storage
from podcast.errors import InputError, NotFoundError, StorageError
from podcast.storage import azure, blobs, s3
from tests.cloud.conftest import Rig
from tests.cloud.proxy import Fault, Hold

NAME = "calls of J pod/südlich #1 100%.wav"

S3_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
AZURE_DENIED = b"<?xml version='1.0'?><Error><Code>AuthorizationFailure</Code><Message>no</Message></Error>"

clouds_only = pytest.mark.parametrize("rig", ["s3", "azure", "azure-web"], indirect=True)
"""For what can go wrong, or differ, on the way to a server alone."""


def test_what_is_written_is_read_again(rig: Rig) -> None:
    uri = storage.join(rig.root, *NAME.split("/"))
    assert not storage.exists(uri)
    storage.write(uri, b"0123456789")
    assert storage.exists(uri)
    assert storage.read(uri) == b"0123456789"
    assert storage.file_name(uri) == "südlich #1 100%.wav"
    storage.write(uri, b"again")
    assert storage.read(uri) == b"again"


def test_ranges_and_seeking(rig: Rig) -> None:
    uri, content = storage.join(rig.root, "x.bin"), bytes(range(256)) * 2000
    storage.write(uri, content)
    assert storage.read(uri, 10, 5) == content[10:15]
    assert storage.read(uri, len(content) - 3) == content[-3:]
    assert storage.read(uri, len(content) - 3, 100) == content[-3:]
    assert storage.read(uri, len(content) + 10, 5) == b""
    assert storage.read(uri, 10, 0) == b""
    with storage.open_read(uri) as file:
        assert file.seek(-7, io.SEEK_END) == len(content) - 7
        assert file.read() == content[-7:]
        file.seek(200_000)
        assert file.read(3) == content[200_000:200_003]
        file.seek(0)
        assert file.read() == content


def test_an_empty_file(rig: Rig) -> None:
    uri = storage.join(rig.root, "empty")
    storage.write(uri, b"")
    assert storage.read(uri) == b""
    with storage.open_read(uri) as file:
        assert file.read() == b""


def test_a_wav_is_probed_by_its_header_alone(rig: Rig) -> None:
    uri = storage.join(rig.root, "long.wav")
    audio.write_wav(uri, np.zeros((480_000, 2), np.float32), 48_000)
    if rig.proxy:
        rig.proxy.log.clear()
    assert audio.probe(uri) == audio.AudioInfo(480_000, 48_000, 2)
    if rig.proxy:
        assert [method for method, _ in rig.proxy.log] == ["HEAD", "GET"]


def test_a_wav_keeps_its_samples(rig: Rig) -> None:
    uri = storage.join(rig.root, "a", "b.wav")
    samples = np.random.default_rng(1).integers(-32768, 32767, (20_000, 2), np.int16, endpoint=True)
    with storage.open_write(uri) as file:
        soundfile.write(file, samples, 48_000, format="WAV", subtype="PCM_16")
    read, rate = audio.read(uri)
    assert rate == 48_000
    assert np.array_equal(read * 32768, samples)


def test_listing(rig: Rig) -> None:
    names = ["a.json", "b/c.JSON", "b/d.wav", "b-x.json", "b/e/f.json", "ü ö/g h.json"]
    for name in names:
        storage.write(storage.join(rig.root, *name.split("/")), b"x")

    def listed(uri: str, suffix: str = "") -> set[str]:
        found = list(storage.list_files(uri, suffix))
        assert len(found) == len(set(found))
        assert all(storage.read(item) == b"x" for item in found)
        prefix = storage.join(rig.root, "")
        assert all(item.startswith(prefix) for item in found)
        return {storage.file_name(item) for item in found}

    assert listed(rig.root) == {name.split("/")[-1] for name in names}
    assert listed(rig.root, ".json") == {"a.json", "c.JSON", "b-x.json", "f.json", "g h.json"}
    assert listed(storage.join(rig.root, "b")) == {"c.JSON", "d.wav", "f.json"}
    assert [storage.file_name(item) for item in storage.list_folders(rig.root)] == ["b", "ü ö"]
    with pytest.raises(StorageError, match="no such folder"):
        list(storage.list_files(storage.join(rig.root, "nowhere")))


def test_more_files_than_one_page_of_a_listing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        storage.write(storage.join(rig.root, f"{number % 3}", f"{number:03}.json"), b"")
    if rig.kind == "s3":
        real = s3.S3._client

        def short_pages(self: s3.S3) -> object:
            client = real(self)
            client.meta.events.register(
                "before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.__setitem__("MaxKeys", 4)
            )
            return client

        monkeypatch.setattr(s3.S3, "_client", short_pages)
    found = [storage.file_name(item) for item in storage.list_files(rig.root)]
    assert sorted(found) == [f"{number:03}.json" for number in range(30)]
    if rig.kind == "s3":
        assert sum("list-type=2" in path for _, path in rig.proxy.log) > 6  # type: ignore[union-attr]


def test_an_empty_root_lists_nothing(rig: Rig) -> None:
    assert list(storage.list_files(rig.root)) == []


def test_a_failed_write_leaves_nothing(rig: Rig) -> None:
    uri = storage.join(rig.root, "half.wav")
    with pytest.raises(ZeroDivisionError), storage.open_write(uri) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert list(storage.list_files(rig.root)) == []
    storage.write(uri, b"old")
    with pytest.raises(ZeroDivisionError), storage.open_write(uri) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert storage.read(uri) == b"old"


def test_a_change_is_never_overwritten_unseen(rig: Rig) -> None:
    uri = storage.join(rig.root, "a.json")
    assert storage.replace(uri, None, b"1")
    assert not storage.replace(uri, None, b"2")
    assert storage.replace(uri, b"1", b"3")
    assert not storage.replace(uri, b"1", b"4")
    assert storage.read(uri) == b"3"


def test_a_file_that_is_removed_is_gone_and_twice_does_no_harm(rig: Rig) -> None:
    uri, other = storage.join(rig.root, *NAME.split("/")), storage.join(rig.root, "calls of J pod", "other.wav")
    storage.write(uri, b"x")
    storage.write(other, b"y")
    storage.delete(uri)
    storage.delete(uri)
    assert not storage.exists(uri)
    assert list(storage.list_files(rig.root)) == [other]
    assert storage.name_below(other, rig.root) == "calls of J pod/other.wav"


def test_what_cannot_be_removed_is_named(rig: Rig) -> None:
    place = storage.join(rig.root, "folder") if rig.kind == "local" else storage.join(rig.missing, "a")
    if rig.kind == "local":
        storage.write(storage.join(place, "a"), b"")
    with pytest.raises(StorageError, match="folder" if rig.kind == "local" else "no-such"):
        storage.delete(place)


@clouds_only
def test_two_first_writers_in_the_same_instant(rig: Rig) -> None:
    store, uri = storage.backend(rig.root), storage.join(rig.root, "a.json")
    assert isinstance(store, blobs.BlobStore)
    assert [store._put_if(uri, content, None) for content in (b"1", b"2")] == [True, False]
    stat = store._stat(uri)
    assert stat is not None
    assert [store._put_if(uri, content, stat.etag) for content in (b"3", b"4")] == [True, False]
    assert storage.read(uri) == b"3"


@clouds_only
def test_a_file_that_changes_while_it_is_read(rig: Rig) -> None:
    uri = storage.join(rig.root, "x.bin")
    storage.write(uri, bytes(300_000))
    with storage.open_read(uri) as file:
        file.read(10)
        storage.write(uri, b"x" * 300_000)
        with pytest.raises(StorageError):
            file.read()


def test_many_files_come_in_order_and_errors_in_their_place(rig: Rig) -> None:
    uris = [storage.join(rig.root, f"{number}") for number in range(40)]
    for number, uri in enumerate(uris):
        if number != 7:
            storage.write(uri, str(number).encode())
    found = list(storage.read_all(uris))
    assert isinstance(found[7], StorageError)
    assert "/7" in str(found[7])
    assert [item for item in found if isinstance(item, bytes)] == [str(number).encode() for number in range(40) if number != 7]


@clouds_only
def test_threads_that_begin_together_share_one_client(rig: Rig) -> None:
    cached = s3._client if rig.kind == "s3" else azure._cached_service
    uris = [f"{rig.root}/{number}.txt" for number in range(storage.AT_ONCE)]
    for uri in uris:
        storage.write(uri, b"x")
    cached.cache_clear()
    assert list(storage.read_all(uris)) == [b"x"] * storage.AT_ONCE
    assert cached.cache_info().misses == 1


@pytest.mark.parametrize("call", [storage.read, lambda uri: storage.open_read(uri).close()])
def test_a_missing_file(rig: Rig, call: object) -> None:
    uri = storage.join(rig.root, "nowhere.wav")
    with pytest.raises(NotFoundError, match=r"nowhere\.wav"):
        call(uri)  # type: ignore[operator]


def test_a_missing_container(rig: Rig) -> None:
    with pytest.raises(StorageError, match="no such"):
        list(storage.list_files(rig.missing))
    if rig.proxy:
        with pytest.raises(StorageError, match="no such"):
            storage.write(storage.join(rig.missing, "a"), b"")


@pytest.fixture
def no_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between tries belong to the SDKs, and would take half a minute."""
    monkeypatch.setattr("time.sleep", lambda _: None)


@clouds_only
@pytest.mark.usefixtures("no_back_off")
def test_a_busy_server_is_asked_again(rig: Rig) -> None:
    uri = storage.join(rig.root, "a")
    rig.proxy.faults.append(Fault(503, method="PUT"))  # type: ignore[union-attr]
    storage.write(uri, b"content")
    rig.proxy.faults.extend([Fault(503), Fault(503)])  # type: ignore[union-attr]
    assert storage.read(uri) == b"content"


@clouds_only
@pytest.mark.usefixtures("no_back_off")
def test_a_server_that_stays_busy_is_given_up(rig: Rig) -> None:
    uri = storage.join(rig.root, "a")
    rig.proxy.log.clear()  # type: ignore[union-attr]
    rig.proxy.faults.extend([Fault(503)] * 50)  # type: ignore[union-attr]
    with pytest.raises(StorageError):
        storage.read(uri)
    assert 3 <= len(rig.proxy.log) <= blobs.TRIES  # type: ignore[union-attr]


@clouds_only
@pytest.mark.usefixtures("no_back_off")
def test_a_body_that_breaks_off_is_fetched_again(rig: Rig) -> None:
    uri, content = storage.join(rig.root, "a"), bytes(range(256)) * 100
    storage.write(uri, content)
    rig.proxy.faults.extend([Fault(cut=1000), Fault(cut=0)])  # type: ignore[union-attr]
    assert storage.read(uri) == content
    rig.proxy.faults.append(Fault(cut=1000))  # type: ignore[union-attr]
    with storage.open_read(uri) as file:
        assert file.read() == content


@clouds_only
def test_a_silent_server_is_not_waited_for_for_ever(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = storage.join(rig.root, "a")
    storage.write(uri, b"content")
    monkeypatch.setattr(s3, "READ_TIMEOUT_S", 1.0)
    monkeypatch.setattr(azure, "READ_TIMEOUT_S", 1.0)
    s3._client.cache_clear()
    azure._cached_service.cache_clear()
    silence = Hold()
    rig.proxy.faults.append(Fault(hold=silence))  # type: ignore[union-attr]
    try:
        assert storage.read(uri) == b"content"
    finally:
        silence.release.set()


@clouds_only
def test_access_denied_says_so(rig: Rig) -> None:
    uri = storage.join(rig.root, "a")
    storage.write(uri, b"content")
    body, header = (S3_DENIED, {}) if rig.kind == "s3" else (AZURE_DENIED, {"x-ms-error-code": "AuthorizationFailure"})
    fault = {"status": 403, "body": body, "headers": {"Content-Type": "application/xml", **header}}
    for method, call in (
        ("GET", lambda: storage.read(uri)),
        ("HEAD", lambda: storage.exists(uri)),
        ("PUT", lambda: storage.write(uri, b"new")),
        ("GET", lambda: list(storage.list_files(rig.root))),
    ):
        rig.proxy.faults.append(Fault(method=method, **fault))  # type: ignore[union-attr, arg-type]
        with pytest.raises(StorageError, match="access denied"):
            call()
    assert storage.read(uri) == b"content"


def test_a_public_bucket_is_read_without_credentials(s3_bucket: str) -> None:
    uri, store = f"s3://{s3_bucket}/a", storage.S3(unsigned=True)
    storage.write(uri, b"content")
    with pytest.raises(StorageError, match="access denied"):
        store.read(uri, 0, None)
    boto3.client("s3").put_object_acl(Bucket=s3_bucket, Key="a", ACL="public-read")
    assert store.read(uri, 0, None) == b"content"


def test_addresses_without_a_container() -> None:
    for uri in ("s3:///a", "azure-blob:///a"):
        with pytest.raises(InputError, match="expected"):
            storage.read(uri)


def test_a_signature_in_a_web_address_is_used() -> None:
    uri = "https://someone.blob.core.windows.net/audio%20segments/a%20b.wav?sv=2024&sig=abc%2F1"
    assert azure._account_url(uri) == "https://someone.blob.core.windows.net?sv=2024&sig=abc%2F1"
    assert azure.AzureBlobs().place(uri) == blobs.Place("audio segments", "a b.wav")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_blob_file_reads_as_a_local_one(s3_bucket: str, data: st.DataObject) -> None:
    content = np.random.default_rng(7).bytes(400_000)
    uri = f"s3://{s3_bucket}/x"
    if not storage.exists(uri):
        storage.write(uri, content)
    with storage.open_read(uri) as blob, io.BytesIO(content) as truth:
        for _ in range(data.draw(st.integers(1, 6))):
            offset, length = data.draw(st.integers(0, 410_000)), data.draw(st.integers(0, 200_000))
            assert blob.seek(offset) == truth.seek(offset)
            assert blob.read(length) == truth.read(length)
            assert blob.tell() == truth.tell()
