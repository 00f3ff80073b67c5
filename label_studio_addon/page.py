"""Label Studio's own pages, with the add-on's script and style in their head and lasting addresses for its scripts."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from label_studio_addon.light import APP_URL
from label_studio_addon.people import is_maintainer


class PageMiddleware:
    """Changes the pages of the tested version, and no others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.ADDON_SURE:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request; a page that loads Label Studio's scripts gets ours too."""
        response = self.get_response(request)
        if response.streaming or not response.get("Content-Type", "").startswith("text/html"):
            return response
        if f"{APP_URL}main.js".encode() not in response.content:
            return response
        maintainer = request.user.is_authenticated and is_maintainer(request.user)
        head = render_to_string("label_studio_addon/head.html", {"maintainer": maintainer}, request)
        content = response.content.replace(APP_URL.encode(), settings.ADDON_APP_URL.encode())
        response.content = content.replace(b"</head>", head.encode() + b"</head>", 1)
        if response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
        return response
