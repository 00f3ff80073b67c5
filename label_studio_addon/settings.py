"""Label Studio's settings with the add-on's on top (docs/label-studio-addon.md)."""

import copy
import hashlib
import importlib.util
import logging
import os
from importlib.metadata import version
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from label_studio_addon import TESTED_VERSION

if importlib.util.find_spec("whitenoise") is None:
    raise ImproperlyConfigured("The add-on needs WhiteNoise in Label Studio's environment: pip install whitenoise brotli")

# Label Studio's Sentry code reads Django's settings while its own module is half made: let it find its own.
_own = os.environ["DJANGO_SETTINGS_MODULE"]
os.environ["DJANGO_SETTINGS_MODULE"] = "label_studio.core.settings.label_studio"
from label_studio.core.settings import label_studio as _label_studio  # noqa: E402
from label_studio.core.settings.label_studio import *  # noqa: E402, F403

os.environ["DJANGO_SETTINGS_MODULE"] = _own

_log = logging.getLogger("label_studio_addon")


def _digest(folder: Path) -> str:
    """Eight digits that change with any file of a folder, for addresses that browsers may keep for good."""
    told = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in {".gz", ".br", ".map"}:
            told.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return told.hexdigest()[:8]


def _after(middleware: list[str], name: str, *added: str) -> list[str]:
    """The middleware with more of them behind the one named."""
    at = middleware.index(name) + 1
    return [*middleware[:at], *added, *middleware[at:]]


ADDON_LABEL_STUDIO = version("label-studio")
ADDON_SURE = ADDON_LABEL_STUDIO == TESTED_VERSION
"""Whether this is the Label Studio that the add-on was measured with."""
ADDON_MAINTAINERS = [name.strip() for name in os.environ.get("PODCAST_MAINTAINERS", "").split(",") if name.strip()]
"""Addresses of the accounts that may do everything; the first account where none is named."""

ADDON_REPORT = os.environ.get("PODCAST_REPORT", "")
"""The folder that `podcast rounds --report` writes, shown to maintainers."""

ADDON_APP_ROOT = Path(_label_studio.REACT_APP_ROOT).resolve()
ADDON_APP_URL = f"/react-app-{_digest(ADDON_APP_ROOT)}/"
ADDON_FILES_ROOT = Path(__file__).parent / "static"
ADDON_FILES_URL = f"/rounds/files-{_digest(ADDON_FILES_ROOT)}/"

ROOT_URLCONF = "label_studio_addon.urls"
INSTALLED_APPS = [*_label_studio.INSTALLED_APPS, "label_studio_addon"]
TEMPLATES = copy.deepcopy(_label_studio.TEMPLATES)
TEMPLATES[0]["OPTIONS"]["context_processors"].append("label_studio_addon.pages.files")
WHITENOISE_MAX_AGE = 86400

MIDDLEWARE = _after(
    _after(
        _label_studio.MIDDLEWARE,
        "django.middleware.security.SecurityMiddleware",
        "label_studio_addon.light.LightMiddleware",
    ),
    "jwt_auth.middleware.JWTAuthenticationMiddleware",
    "label_studio_addon.guard.GuardMiddleware",
    "label_studio_addon.files.FilesMiddleware",
    "label_studio_addon.page.PageMiddleware",
    "label_studio_addon.stream.StreamMiddleware",
)

if not ADDON_SURE:
    _log.warning(
        "The add-on was tested with Label Studio %s and this is %s: its pages and its order of sessions are left alone.",
        TESTED_VERSION,
        ADDON_LABEL_STUDIO,
    )
if not (ADDON_APP_ROOT / "main.js.gz").exists():
    _log.warning(
        "Label Studio's scripts travel uncompressed; to compress them once: python -m whitenoise.compress %s map", ADDON_APP_ROOT
    )
