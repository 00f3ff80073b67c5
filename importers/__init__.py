"""Importers: an outside format to sessions. `IMPORTERS` maps a format's name to the function that reads it."""

from __future__ import annotations

from importers import dataset, orcahello, podcast_json, predictions_tsv, wav_folder
from importers.base import Read

IMPORTERS: dict[str, Read] = {
    "dataset": dataset.read,
    "orcahello": orcahello.read,
    "podcast-json": podcast_json.read,
    "podcast-predictions": podcast_json.read_predictions,
    "podcast-annotations": podcast_json.read_annotations,
    "predictions-tsv": predictions_tsv.read,
    "wav-folder": wav_folder.read,
}
