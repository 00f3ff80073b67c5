"""`azure-blob://container/name` and `https://<account>.blob.core.windows.net/container/name`, by azure-storage-blob.

The account is named as Azure's own tools name it: AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT with
AZURE_STORAGE_KEY, or without a key by azure-identity's chain (`az login`, managed identity, ...). Label Studio's own names
AZURE_BLOB_ACCOUNT_NAME and AZURE_BLOB_ACCOUNT_KEY do as well. A web address of another account is read without credentials,
or with the shared access signature that it carries.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, unquote

from podcast.errors import InputError, NotFoundError, StorageError
from podcast.storage.base import split
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
    from azure.storage.blob import BlobClient, BlobServiceClient

HOST = ".blob.core.windows.net"
UPLOADS_AT_ONCE = 4
MISSING = ("BlobNotFound", "ResourceNotFound", "ContainerNotFound")
REASONS = {
    "BlobNotFound": "there is no such file",
    "ResourceNotFound": "there is no such file, or it is not public",
    "ContainerNotFound": "there is no such container",
    "ContainerBeingDeleted": "the container is being deleted",
    "PublicAccessNotPermitted": "access denied; the account is not public, name its key or connection string",
    "AuthenticationFailed": "access denied; the key or signature is wrong",
    "AuthorizationFailure": "access denied; these credentials may not do this",
    "AuthorizationPermissionMismatch": "access denied; these credentials may not do this",
}

DENIED = dict.fromkeys((401, 403), "access denied; name credentials that may do this, or make the container public")


def is_azure_address(uri: str) -> bool:
    """Whether a web address belongs to Azure's blob storage."""
    return uri.startswith(("https://", "http://")) and (split(uri).hostname or "").endswith(HOST)


def use_account(account: str, key: str) -> None:
    """Read and write `account` with `key` from now on, in this process and those it starts.

    A connection string of the same account stays in force, since it may name an endpoint. Raises InputError if it is another's.
    """
    named = _connection_settings().get("AccountName", account)
    if named != account:
        raise InputError(f"AZURE_STORAGE_CONNECTION_STRING names account {named}, not {account}; unset one of the two")
    os.environ["AZURE_STORAGE_ACCOUNT"], os.environ["AZURE_STORAGE_KEY"] = account, key


@dataclass(frozen=True, slots=True)
class AzureBlobs(BlobStore):
    """Azure's blob storage."""

    def place(self, uri: str) -> Place:
        """See `BlobStore`."""
        path = unquote(split(uri).path).lstrip("/") if is_azure_address(uri) else uri.removeprefix("azure-blob://")
        container, _, name = path.partition("/")
        if not container:
            raise InputError(f"{uri}: names no container; expected azure-blob://container/name")
        return Place(container, name)

    def page_storage(self, uri: str) -> PageStorage | None:
        """How Label Studio reaches the container of `uri`; None for another account, whose web addresses the browser reads."""
        if _account_url(uri):
            return None
        settings = _connection_settings()
        key = settings.get("AccountKey") or _setting("AZURE_STORAGE_KEY", "AZURE_BLOB_ACCOUNT_KEY")
        # Label Studio has no field for an endpoint; it puts the key into a connection string, and the endpoint with it.
        if endpoint := settings.get("BlobEndpoint"):
            key += f";BlobEndpoint={endpoint}"
        container = self.place(uri).container
        return PageStorage("azure", container, {"container": container, "account_name": _own_account(), "account_key": key})

    def _get(self, uri: str, start: int, length: int | None, etag: str | None) -> bytes:
        from azure.core import MatchConditions
        from azure.core.exceptions import IncompleteReadError, ServiceResponseError

        condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        with _named(uri):
            try:
                offset = start if start or length is not None else None
                return bytes(self._blob(uri).download_blob(offset, length, max_concurrency=1, **condition).readall())
            except (IncompleteReadError, ServiceResponseError) as error:
                raise BrokenTransferError(str(error)) from error
            except _http_error() as error:
                if error.error_code == "InvalidRange":
                    return b""
                raise

    def _stat(self, uri: str) -> Stat | None:
        with _named(uri):
            try:
                properties = self._blob(uri).get_blob_properties()
            except _http_error() as error:
                if error.error_code in MISSING:
                    return None
                raise
        return Stat(int(properties.size), str(properties.etag))

    def _put(self, uri: str, file: BinaryIO) -> None:
        with _named(uri):
            self._blob(uri).upload_blob(file, overwrite=True, max_concurrency=UPLOADS_AT_ONCE)

    def _put_if(self, uri: str, content: bytes, etag: str | None) -> bool:
        from azure.core import MatchConditions

        condition: dict[str, Any] = (
            {"overwrite": True, "etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {"overwrite": False}
        )
        with _named(uri):
            try:
                self._blob(uri).upload_blob(content, **condition)
            except _http_error() as error:
                if error.status_code in (409, 412):
                    return False
                raise
        return True

    def delete(self, uri: str) -> None:
        """See `Backend`."""
        with _named(uri):
            try:
                self._blob(uri).delete_blob()
            except _http_error() as error:
                if error.error_code != "BlobNotFound":
                    raise

    def _entries(self, uri: str, one_level: bool) -> Iterator[str]:
        place = self.place(uri)
        container = _service(_account_url(uri)).get_container_client(place.container)
        with _named(uri):
            found = container.walk_blobs(place.prefix, delimiter="/") if one_level else container.list_blobs(place.prefix)
            yield from (_address(uri, place.container, name) for name in sorted(str(item.name) for item in found))

    def _blob(self, uri: str) -> BlobClient:
        place = self.place(uri)
        if not place.name:
            raise InputError(f"{uri}: names a container, not a file")
        return _service(_account_url(uri)).get_blob_client(place.container, place.name)


def _address(uri: str, container: str, name: str) -> str:
    """The address of a blob, of the same kind as `uri`."""
    if not is_azure_address(uri):
        return f"azure-blob://{container}/{name}"
    parts = split(uri)
    return f"{parts.scheme}://{parts.netloc}/{quote(f'{container}/{name}')}"


def _account_url(uri: str) -> str:
    """The account that an address names, with its signature; empty for the account of the environment."""
    if not is_azure_address(uri):
        return ""
    parts = split(uri)
    account = (parts.hostname or "").removesuffix(HOST)
    if account == _own_account() and "sig=" not in parts.query:
        return ""
    return f"{parts.scheme}://{parts.netloc}" + (f"?{parts.query}" if "sig=" in parts.query else "")


def _own_account() -> str:
    return _connection_settings().get("AccountName") or _setting("AZURE_STORAGE_ACCOUNT", "AZURE_BLOB_ACCOUNT_NAME")


def _connection_settings() -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";") if item)


def _setting(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _service(account_url: str) -> BlobServiceClient:
    key = _setting("AZURE_STORAGE_KEY", "AZURE_BLOB_ACCOUNT_KEY")
    with MAKING_CLIENT:
        return _cached_service(account_url, _setting("AZURE_STORAGE_CONNECTION_STRING"), _own_account(), key)


@lru_cache
def _cached_service(account_url: str, connection_string: str, account: str, key: str) -> BlobServiceClient:
    # Imported here: most runs are local and need no SDK.
    from azure.storage.blob import BlobServiceClient, ExponentialRetry

    options: dict[str, Any] = {
        "retry_policy": ExponentialRetry(initial_backoff=0, increment_base=2, retry_total=TRIES, random_jitter_range=1),
        "connection_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
    }
    if account_url:
        return BlobServiceClient(account_url, **options)
    if connection_string:
        return BlobServiceClient.from_connection_string(connection_string, **options)
    if not account:
        raise InputError(
            "no Azure account is named; set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY"
        )
    if not key:
        from azure.identity import DefaultAzureCredential

        return BlobServiceClient(f"https://{account}{HOST}", credential=DefaultAzureCredential(), **options)
    return BlobServiceClient(f"https://{account}{HOST}", credential=key, **options)


os.register_at_fork(after_in_child=_cached_service.cache_clear)  # two processes must not speak over one connection


def _http_error() -> type[Any]:
    from azure.core.exceptions import HttpResponseError

    return HttpResponseError


@contextmanager
def _named(uri: str) -> Iterator[None]:
    """Turn Azure's errors into StorageError."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        code = getattr(error, "error_code", None)
        reason = REASONS.get(str(getattr(code, "value", code))) or DENIED.get(getattr(error, "status_code", 0))
        kind = NotFoundError if code in MISSING else StorageError
        raise kind(f"{uri}: {reason or str(error).splitlines()[0]}") from error
