"""Volunteers do what `rules.py` lists, and nothing else; maintainers do everything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from label_studio_addon.people import is_maintainer, who_asks
from label_studio_addon.rules import ALLOWED, NARROWED, PUBLIC, instead, narrow

REFUSED = "This is for the maintainers of this server. Your account listens, answers and skips."
LOGIN = "Log in first."
HOME_ROUTES = {"projects/", "projects/<int:pk>/", "projects/<int:pk>/data/"}
"""Label Studio's own pages that people may have kept an address of: a volunteer is sent to the rounds."""


class GuardMiddleware:
    """Looks at a request once Django has found its view, so that one view has one rule however its address is spelt."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request, without other people's work where a volunteer asked."""
        response = self.get_response(request)
        narrowed = request.__dict__.pop("addon_narrowed", None)
        if narrowed and response.status_code == 200:
            content = narrow(*narrowed, json.loads(response.content))
            response.content = json.dumps(content).encode()
            response["Content-Length"] = str(len(response.content))
        return response

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponse],  # noqa: ARG002 (Django's signature)
        args: Sequence[Any],  # noqa: ARG002
        match: Mapping[str, Any],
    ) -> HttpResponse | None:
        """Let a request through to its view, or answer it here."""
        route = request.resolver_match.route.removeprefix("^").removesuffix("$")
        method = "GET" if request.method == "HEAD" else request.method
        if (method, route) in PUBLIC:
            return None
        people = who_asks(request)
        if people and all(map(is_maintainer, people)):
            return None
        check = ALLOWED.get((method, route))
        if not people:
            return self._ask_to_log_in(request) if check is None else None  # Label Studio's view asks for a login itself
        [user, *_] = [person for person in people if not is_maintainer(person)]
        if method == "GET" and route in HOME_ROUTES and request.GET.get("labeling") != "1":
            return HttpResponseRedirect(reverse("rounds"))
        sentence = REFUSED if check is None else check(request, user, match)
        if sentence:
            return refuse(request, sentence)
        if route in NARROWED:
            request.addon_narrowed = (route, user)
        return instead(request, route)

    def _ask_to_log_in(self, request: HttpRequest) -> HttpResponse:
        if wants_page(request):
            return HttpResponseRedirect(f"{reverse('user-login')}?next={reverse('rounds')}")
        return JsonResponse({"detail": LOGIN}, status=401)


def refuse(request: HttpRequest, sentence: str) -> HttpResponse:
    """Status 403, with a sentence that helps: as a page where a person looks, else as Label Studio's API says it."""
    if wants_page(request):
        return render(request, "label_studio_addon/refused.html", {"sentence": sentence}, status=403)
    return JsonResponse({"detail": sentence}, status=403)


def wants_page(request: HttpRequest) -> bool:
    """Whether a browser asks for a page to look at."""
    return "text/html" in request.headers.get("Accept", "") and not request.path_info.startswith("/api/")
