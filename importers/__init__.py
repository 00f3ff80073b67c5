"""Importers: an outside format to sessions. `IMPORTERS` maps a format's name to the function that reads it."""

from __future__ import annotations

from importers.base import Read

IMPORTERS: dict[str, Read] = {}
