"""Every address that Label Studio has, asked for with every method, and what a volunteer may get of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from demo.install import find_label_studio

# Run in Label Studio's environment: every address of its own table, and of its API schema, as one JSON object.
ADDRESSES = """
import json, logging
from label_studio import server
server._setup_env()
logging.disable()
from django.urls import URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

def walk(resolver, before=""):
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern).removeprefix("^")
        if isinstance(entry, URLResolver):
            yield from walk(entry, route)
        else:
            yield route

schema = SchemaGenerator().get_schema(request=None, public=True)
print(json.dumps({"resolver": sorted(set(walk(get_resolver()))), "schema": sorted(schema["paths"])}))
"""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

# What a volunteer may ask for, written here once more on purpose: the address with its numbers as `#`.
MAY = {
    ("GET", "/"),
    ("GET", "/rounds/"),
    ("GET", "/rounds/#/"),
    ("GET", "/rounds/health"),
    ("GET", "/health/"),
    ("GET", "version/"),
    ("GET", "/user/login/"),
    ("POST", "/user/login/"),
    ("GET", "/user/signup/"),
    ("POST", "/user/signup/"),
    ("POST", "/api/token/refresh/"),
    ("GET", "/projects/"),
    ("GET", "/projects/#/"),
    ("GET", "/projects/#/data/"),
    ("GET", "/api/current-user/whoami"),
    ("GET", "/api/projects/#/"),
    ("GET", "/api/projects/#/label-stream-history/"),
    ("GET", "/api/dm/columns/"),
    ("GET", "/api/dm/project/"),
    ("GET", "/api/dm/views/"),
    ("GET", "/api/label_links/"),
    ("GET", "/api/ml/"),
    ("GET", "/api/users/"),
    ("GET", "/api/tasks/"),
    ("GET", "/api/tasks/#/"),
    ("POST", "/api/tasks/#/annotations/"),
    ("POST", "/api/tasks/#/drafts"),
    ("GET", "/data/local-files/"),
    ("GET", "/data/upload/x"),
    ("GET", "/data/upload/#"),
    ("GET", "/tasks/#/resolve/"),
    ("GET", "/tasks/#/presign/"),
}
VERSION = "version/"  # Label Studio's pattern for the page that tells its version matches anywhere in an address

# Files of the pages, which are there for everybody.
# Logging out is allowed, and would end the test.
LEFT_OUT = ("/logout", "/static/", "/react-app/", "/label-studio-frontend/", "/dm/", "/favicon.ico", "/sw.js", "/sw-fallback.js")


def listed(folder: Path) -> dict[str, list[str]]:
    """The addresses of Label Studio's API schema ("schema"), and these with its own table's ("all"); `#` for a part that varies.

    Label Studio is loaded for it, with its data below `folder`.
    """
    env = {
        "DJANGO_SETTINGS_MODULE": "label_studio.core.settings.label_studio",
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "SENTRY_DSN": "",
    }
    found = find_label_studio()
    assert found
    python = found.with_name("python")
    done = subprocess.run([python, "-c", ADDRESSES], env={**os.environ, **env}, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["schema"]) > 100 and len(told["resolver"]) > 200
    schema = {re.sub(r"\{\w+\}", "#", path) for path in told["schema"]}
    return {"schema": sorted(schema), "all": sorted(schema | {_plain(route) for route in told["resolver"]})}


def _plain(route: str) -> str:
    """An address out of Django's pattern: `api/tasks/<int:pk>/` and `users/(?P<pk>[^/.]+)/$` alike."""
    route = re.sub(r"<path:\w+>", "x", route)
    route = re.sub(r"<\w+:?\w*>", "#", re.sub(r"\(\?P<\w+>\.\*\)", "x", re.sub(r"\(\?P<\w+>\[[^]]*\]\+\)", "#", route)))
    return "/" + route.replace("\\.", ".").replace("/?$", "/").replace("/?", "/").replace("\\Z", "").replace("$", "").replace(
        "^", ""
    )


def answered(addresses: list[str], http: httpx.Client, work: dict[str, int]) -> dict[tuple[str, str], int]:
    """Methods and addresses that answer other than 403 or 404, with the status.

    `work` has the numbers of a round ("project"), a task and an annotation.
    """
    asked = [(method, address) for address in addresses if not address.startswith(LEFT_OUT) for method in METHODS]

    def status(method: str, address: str) -> int:
        number = work["annotation"] if "annotations/#" in address else work["task"] if "task" in address else work["project"]
        return http.request(method, address.replace("#", str(number)), json=None if method == "GET" else {}).status_code

    with ThreadPoolExecutor(8) as pool:  # most of each is waiting
        statuses = list(pool.map(lambda one: status(*one), asked))
    return {
        (method, VERSION if VERSION in address else address): code
        for (method, address), code in zip(asked, statuses, strict=True)
        if code not in (403, 404)
    }
