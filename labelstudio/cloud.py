"""The storage objects through which Label Studio's page plays audio in the cloud, and whether the page gets audio at all."""

from __future__ import annotations

import base64
from typing import Any

import httpx

from labelstudio.client import Server
from labelstudio.served import home_of, served_path
from podcast.errors import InputError, StorageError
from podcast.storage import PageStorage, guard

ANSWER_S = 60.0
"""A server that has not answered a request for two bytes by then is taken to be away."""
PRESIGN_MINUTES = 60
"""Label Studio's own default of one minute ends while an annotator still listens."""


def ensure_cloud_storage(server: Server, project_id: int, place: PageStorage, *, presign: bool) -> bool:
    """A storage object that covers a bucket or container; True if it was made just now.

    It is never synced: that would make a second set of tasks. With `presign` the browser gets signed addresses of the cloud (the
    bucket then needs CORS), otherwise the audio goes through Label Studio.
    """
    kind: Any = server.sdk.import_storage.s3 if place.kind == "s3" else server.sdk.import_storage.azure
    container = "bucket" if place.kind == "s3" else "container"
    hint = f"does {place.container} exist, and may Label Studio reach it? Addresses of a private network need SSRF settings there"
    with server._clear_errors(hint=hint):
        for found in kind.list(project=project_id):
            if getattr(found, container) == place.container and not found.prefix:
                if found.presign != presign:
                    kind.update(found.id, presign=presign)
                return False
        kind.create(
            project=project_id,
            title="audio (never sync)",
            use_blob_urls=True,
            presign=presign,
            presign_ttl=PRESIGN_MINUTES,
            **place.fields,
        )
    return True


def storage_prefixes(server: Server, project_id: int) -> tuple[str, ...]:
    """The addresses below which the storage objects of a project cover everything: `s3://bucket/folder` and alike."""
    with server._clear_errors():
        s3 = [(item.bucket, item.prefix) for item in server.sdk.import_storage.s3.list(project=project_id)]
        azure = [(item.container, item.prefix) for item in server.sdk.import_storage.azure.list(project=project_id)]
    return tuple(
        f"{scheme}://{place}/{(prefix or '').strip('/')}"
        for scheme, places in (("s3", s3), ("azure-blob", azure))
        for place, prefix in places
        if place
    )


def audio_problem(server: Server, project_id: int, address: str) -> str:
    """Why a browser will not get the audio at a task's address; empty if it answers a ranged request as a browser needs it.

    Whoever may add a task wrote the address, so it is asked as the ML backend asks: public hosts, and Label Studio for audio
    alone. Where cloud storages lie, their maintainer has said.
    """
    try:
        own, headers = served_path(address, server.url), {"Range": "bytes=0-1", "Origin": server.url}
        if address.startswith(("s3://", "azure-blob://")):
            params = {"fileuri": base64.urlsafe_b64encode(address.encode()).decode()}
            asked = server.http.build_request(
                "GET", f"/projects/{project_id}/resolve/", params=params, headers=headers | server._headers()
            )
            answer = server.http.send(asked, stream=True)
            answer.close()
        else:
            with (
                guard.client(guard.Deadline(address, ANSWER_S), home_of(server)) as client,
                client.stream("GET", server.url + own if own else address, headers=headers) as answer,
            ):
                pass
    except (httpx.HTTPError, httpx.InvalidURL, InputError, StorageError) as error:
        return str(error) or type(error).__name__
    if answer.status_code != httpx.codes.PARTIAL_CONTENT:
        return f"a ranged request is answered with {answer.status_code}, not 206"
    elsewhere = answer.url.host != httpx.URL(server.url).host or answer.url.port != httpx.URL(server.url).port
    if elsewhere and answer.headers.get("Access-Control-Allow-Origin") not in ("*", server.url):
        return f"{answer.url.host} sends no Access-Control-Allow-Origin, so the browser will refuse it (set up CORS there)"
    return ""
