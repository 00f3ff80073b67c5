"""Scripts and styles travel compressed, once: WhiteNoise serves them under addresses that change with their content."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware

APP_URL = "/react-app/"
"""Where Label Studio's pages look for its scripts."""


class LightMiddleware(WhiteNoiseMiddleware):
    """Serves Label Studio's scripts and the add-on's files, as `python -m whitenoise.compress` has compressed them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        for url in (APP_URL, settings.ADDON_APP_URL):
            self.add_files(str(settings.ADDON_APP_ROOT), prefix=url)
        self.add_files(str(settings.ADDON_FILES_ROOT), prefix=settings.ADDON_FILES_URL)

    def immutable_file_test(self, path: str, url: str) -> bool:
        """Whether a file's address changes with its content, so that a browser may keep it for good."""
        forever = (settings.ADDON_FILES_URL, settings.ADDON_APP_URL)
        return url.startswith(forever) or bool(super().immutable_file_test(path, url))
