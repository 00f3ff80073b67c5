"""`s3://bucket/name`, by boto3. Credentials, region and endpoint come from boto3's own chain (AWS_ENDPOINT_URL and the rest)."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from podcast.errors import InputError, NotFoundError, StorageError
from podcast.storage.blobs import (
    CONNECT_TIMEOUT_S,
    MAKING_CLIENT,
    READ_TIMEOUT_S,
    TRIES,
    BlobStore,
    BrokenTransferError,
    Place,
    Stat,
)
from podcast.storage.page import PageStorage

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CONNECTIONS = 32
MISSING = ("404", "NoSuchKey", "NoSuchBucket")
FIXED = ("env", "shared-credentials-file", "config-file")
"""Where boto3 finds keys that do not expire by themselves."""
REASONS = {
    "NoSuchKey": "there is no such file",
    "404": "there is no such file",
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "access denied; name credentials that may do this, or make the bucket public",
    "403": "access denied; name credentials that may do this, or make the bucket public",
}


@dataclass(frozen=True, slots=True)
class S3(BlobStore):
    """S3 and what speaks like it. With `unsigned` no credentials are sent, as public buckets want it; so it is where none are
    found. `endpoint` and `region` come before boto3's own settings."""

    endpoint: str = ""
    region: str = ""
    unsigned: bool = False

    def place(self, uri: str) -> Place:
        """See `BlobStore`."""
        bucket, _, name = uri.removeprefix("s3://").partition("/")
        if not bucket:
            raise InputError(f"{uri}: names no bucket; expected s3://bucket/name")
        return Place(bucket, name)

    def page_storage(self, uri: str) -> PageStorage:
        """How Label Studio reaches the bucket of `uri`: fixed keys and an endpoint of one's own are handed on."""
        import boto3

        bucket, meta = self.place(uri).container, self._client().meta
        fields = {"bucket": bucket, "region_name": meta.region_name}
        if not meta.endpoint_url.endswith(".amazonaws.com"):
            fields["s3endpoint"] = meta.endpoint_url
        credentials = boto3.Session().get_credentials()
        if credentials is not None and credentials.method in FIXED:
            fields["aws_access_key_id"] = credentials.access_key
            fields["aws_secret_access_key"] = credentials.secret_key
            if credentials.token:
                fields["aws_session_token"] = credentials.token
        return PageStorage("s3", bucket, fields)

    def _get(self, uri: str, start: int, length: int | None, etag: str | None) -> bytes:
        from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError
        from urllib3.exceptions import HTTPError

        place = self.place(uri)
        wanted: dict[str, Any] = {"IfMatch": etag} if etag else {}
        if start or length is not None:
            wanted["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        with _named(uri):
            try:
                return bytes(self._client().get_object(Bucket=place.container, Key=place.name, **wanted)["Body"].read())
            except self._client().exceptions.ClientError as error:
                if _code(error) == "InvalidRange":
                    return b""
                raise
            except (IncompleteReadError, ResponseStreamingError, HTTPClientError, HTTPError) as error:
                raise BrokenTransferError(str(error)) from error

    def _stat(self, uri: str) -> Stat | None:
        place = self.place(uri)
        with _named(uri):
            try:
                head = self._client().head_object(Bucket=place.container, Key=place.name)
            except self._client().exceptions.ClientError as error:
                if _code(error) in MISSING:
                    return None
                raise
        return Stat(head["ContentLength"], head["ETag"])

    def _put(self, uri: str, file: BinaryIO) -> None:
        place = self.place(uri)
        with _named(uri):
            self._client().upload_fileobj(cast(BinaryIO, _Unclosed(file)), place.container, place.name)

    def _put_if(self, uri: str, content: bytes, etag: str | None) -> bool:
        place = self.place(uri)
        condition: dict[str, Any] = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        with _named(uri):
            try:
                self._client().put_object(Bucket=place.container, Key=place.name, Body=content, **condition)
            except self._client().exceptions.ClientError as error:
                if _code(error) in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                    return False
                raise
        return True

    def delete(self, uri: str) -> None:
        """See `Backend`; S3 says nothing of a file that is not there."""
        place = self.place(uri)
        with _named(uri):
            self._client().delete_object(Bucket=place.container, Key=place.name)

    def _entries(self, uri: str, one_level: bool) -> Iterator[str]:
        place = self.place(uri)
        pages = self._client().get_paginator("list_objects_v2")
        wanted: dict[str, Any] = {"Delimiter": "/"} if one_level else {}
        with _named(uri):
            for page in pages.paginate(Bucket=place.container, Prefix=place.prefix, **wanted):
                names = [entry["Key"] for entry in page.get("Contents", []) if not entry["Key"].endswith("/")]
                folders = [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
                yield from (f"s3://{place.container}/{name}" for name in sorted(names + folders))

    def _client(self) -> S3Client:
        with MAKING_CLIENT:
            return _client(self.endpoint, self.region, self.unsigned)


@lru_cache
def _client(endpoint: str, region: str, unsigned: bool) -> S3Client:
    # Imported here: boto3 takes as long to load as the rest of the command line together, and most runs are local.
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    session = boto3.Session()
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        max_pool_connections=CONNECTIONS,
        signature_version=UNSIGNED if unsigned or session.get_credentials() is None else None,
    )
    return session.client("s3", endpoint_url=endpoint or None, region_name=region or None, config=config)


os.register_at_fork(after_in_child=_client.cache_clear)  # two processes must not speak over one connection


def _code(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


@contextmanager
def _named(uri: str) -> Iterator[None]:
    """Turn boto3's errors into StorageError."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        kind = NotFoundError if _code(error) in MISSING else StorageError
        raise kind(f"{uri}: {REASONS.get(_code(error)) or error}") from error


class _Unclosed(io.RawIOBase):
    """boto3 closes what it uploads; the file belongs to the caller."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
