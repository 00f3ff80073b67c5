"""Exporters: sessions to an outside format. `EXPORTERS` maps a format's name to the function that writes it."""

from __future__ import annotations

from exporters import dataset_tsv, podcast_json
from exporters.base import Write

EXPORTERS: dict[str, Write] = {
    "podcast-json": podcast_json.write,
    "dataset-tsv": dataset_tsv.write,
}
