"""Exporters: sessions to an outside format. `EXPORTERS` maps a format's name to the function that writes it."""

from __future__ import annotations

from exporters import audacity, audiofolder, bouts, dataset_tsv, dclde, orcahello, podcast_json, pods_ai, raven, raven_birdnet
from exporters.base import Write

EXPORTERS: dict[str, Write] = {
    "podcast-json": podcast_json.write,
    "dataset-tsv": dataset_tsv.write,
    "dclde": dclde.write,
    "pods-ai": pods_ai.write,
    "raven": raven.write,
    "raven-birdnet": raven_birdnet.write,
    "audacity": audacity.write,
    "audiofolder": audiofolder.write,
    "orcahello": orcahello.write,
    "bouts": bouts.write,
}

NEED_PREDICTIONS = frozenset({"orcahello"})
"""Formats that hold the model's confidence: Label Studio's predictions are read for these besides its export."""
