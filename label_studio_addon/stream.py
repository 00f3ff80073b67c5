"""One session, one person: Label Studio's label stream looks at no locks when its page asks; here it does."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

ACTIONS = re.compile(r"/api/dm/actions/?")
SELECTION = ("filters", "ordering", "selectedItems")


class StreamMiddleware:
    """Asks for the next session without the page's empty selection, which makes Label Studio pass over all locks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.ADDON_SURE:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request; only those for a next session are touched."""
        if request.method != "POST" or request.GET.get("id") != "next_task" or not ACTIONS.fullmatch(request.path_info):
            return self.get_response(request)
        try:
            body = json.loads(request.body or b"{}")
        except ValueError:
            return self.get_response(request)
        if isinstance(body, dict):
            replace_body(request, {key: value for key, value in body.items() if key not in SELECTION or _selects(value)})
        with _one_at_a_time():
            return self.get_response(request)


def replace_body(request: HttpRequest, body: Any) -> None:
    """Give a request another JSON body, before a view has read it."""
    request._body = json.dumps(body).encode()
    request.META["CONTENT_LENGTH"] = str(len(request._body))


def _selects(value: Any) -> bool:
    """Whether a selection says anything: the page's `{"all": false, "included": []}` and `{"items": []}` do not."""
    if not isinstance(value, dict):
        return bool(value)
    return bool(value.get("all") or value.get("included") or value.get("items"))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """On SQLite, which has no row locks, two requests of the same moment would find the same session free."""
    if "sqlite" not in settings.DATABASES["default"]["ENGINE"]:
        yield
        return
    with (Path(settings.BASE_DATA_DIR) / "next-session.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
