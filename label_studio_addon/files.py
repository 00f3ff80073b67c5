"""Files that Label Studio serves are sounds or pictures, or else bytes to keep: never a page or a script of its own origin."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

ROUTES = (
    "data/local-files/",
    "data/upload/",
    "data/avatars/",
    "storage-data/uploaded/",
    "tasks/<int:task_id>/",
    "projects/<int:project_id>/",
)
COPY = re.compile(r"(?:.*/)?listening/[0-9a-f]{64}-[0-9]+\.flac")
"""Listening copies of `podcast import`: their names change with their content, so a browser may keep them."""
mimetypes.add_type("audio/flac", ".flac")  # Label Studio asks the system's table, which its image may lack
SHOWN = ("audio/", "image/png", "image/jpeg", "image/gif", "image/webp")
"""Beginnings of the content types that a browser may show in place."""


class FilesMiddleware:
    """Sets the headers that keep a browser from running what a file holds."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request; only answers that are files change."""
        response = self.get_response(request)
        match = request.resolver_match
        if match and match.route.removeprefix("^").startswith(ROUTES) and response.status_code in (200, 206):
            if not response.get("Content-Type", "").lower().startswith(SHOWN):
                response["Content-Type"] = "application/octet-stream"
                response["Content-Disposition"] = "attachment"
            if COPY.fullmatch(request.GET.get("d", "")):
                response["Cache-Control"] = "private, max-age=31536000, immutable"
            response["X-Content-Type-Options"] = "nosniff"
            response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return response
