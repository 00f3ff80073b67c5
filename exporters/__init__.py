"""Exporters: sessions to an outside format. `EXPORTERS` maps a format's name to the function that writes it."""

from __future__ import annotations

from exporters.base import Write

EXPORTERS: dict[str, Write] = {}
