"""Options and steps that `import` and `tasks` share: which importer reads a source, and what the page will play."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from importers import IMPORTERS
from importers.base import ReadOptions
from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import Session

Command = TypeVar("Command", bound=Callable[..., Any])


def source_options(command: Command) -> Command:
    """Add the options that say how a source is read."""
    for option in (
        click.option("--source-guid", default="", help="Hydrophone node, where neither source nor name tells it."),
        click.option("--threshold", type=click.FloatRange(0, 1), help="Leave out detections of a lower confidence."),
        click.option("--model-version", help="Name of the model, where the source does not say."),
        click.option("--audio", metavar="URI", help="Folder with the WAVs, if they do not lie beside the source."),
        click.option("--from", "source_format", type=click.Choice(sorted(IMPORTERS)), help="Format; else told by SOURCE."),
    ):
        command = option(command)
    return command


def read_source(
    source: str,
    source_format: str | None,
    *,
    audio: str | None,
    audio_required: bool,
    model_version: str | None,
    threshold: float | None,
    source_guid: str,
) -> Iterator[Session | Refusal]:
    """The sessions of a source, in the format that was named or that its names tell."""
    options = ReadOptions(audio, audio_required, model_version, threshold, source_guid)
    return IMPORTERS[source_format or _told_format(source)](source, options)


def _told_format(source: str) -> str:
    name = source.lower()
    if name.endswith(".tsv"):
        return "predictions-tsv"
    if name.endswith(".json"):
        if not storage.exists(source):
            raise InputError(f"{source}: there is no such file")
        return "podcast-json"
    for suffix, told in ((".json", "podcast-json"), (".wav", "wav-folder")):
        if next(storage.list_files(source, suffix), None):
            return told
    raise InputError(f"{source}: holds neither session JSON nor WAVs; name the format with --from")


def document_root_for(folder: str, configured: Path | None) -> Path | None:
    """Label Studio's document root: the configured one, or else the folder above the audio."""
    path = storage.local_path(folder)
    return configured or (path.resolve().parent if path else None)
