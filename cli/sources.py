"""Options and steps that `import` and `tasks` share: which importer reads a source, and what the page will play."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.options import SHARE
from cli.planned import is_plan, planned_sessions
from importers import IMPORTERS, release
from importers.base import ReadOptions
from podcast import storage
from podcast.dataset_table import DatasetTable
from podcast.errors import InputError, NotFoundError, Refusal
from podcast.model import Session

if TYPE_CHECKING:
    from planning.plan import Choice

COPY, ORIGINAL = "copy", "original"
Command = TypeVar("Command", bound=Callable[..., Any])


def source_options(command: Command) -> Command:
    """Add the options that say how a source is read."""
    for option in (
        click.option("--source-guid", default="", help="Hydrophone node, where neither source nor name tells it."),
        click.option("--threshold", type=SHARE, help="Leave out detections of a lower confidence."),
        click.option("--model-version", help="Name of the model, where the source does not say."),
        click.option("--audio", metavar="URI", help="Folder with the WAVs, if they do not lie beside the source."),
        click.option("--from", "source_format", type=click.Choice(sorted(IMPORTERS)), help="Format; else told by SOURCE."),
    ):
        command = option(command)
    return command


def page_audio_option(default: str) -> Callable[[Command], Command]:
    """The option that says what the page plays."""
    return click.option(
        "--page-audio",
        type=click.Choice([COPY, ORIGINAL]),
        default=default,
        show_default=True,
        help="What the page plays: listening copies (24 kHz mono FLAC, made beside the audio), or the recordings themselves.",
    )


def read_source(
    source: str,
    source_format: str | None,
    *,
    audio: str | None,
    audio_required: bool,
    model_version: str | None,
    threshold: float | None,
    source_guid: str,
    cut: Callable[[Choice], Iterable[Session | Refusal]] | None = None,
) -> Iterator[Session | Refusal]:
    """The sessions of a source, in the format that was named or that its names tell; of a plan, those of its sources.

    `cut` gives the session of a plan's row that lies in the archive.
    """
    options = ReadOptions(audio, audio_required, model_version, threshold, source_guid)
    if is_plan(source) and source_format is None:
        return planned_sessions(
            source, lambda pool, names: IMPORTERS[_told_format(pool)](pool, replace(options, only=names)), cut
        )
    return IMPORTERS[source_format or _told_format(source)](source, options)


def _told_format(source: str) -> str:
    """The format that names and headers tell. Raises InputError where there is none, or where several fit."""
    name = source.lower()
    if name.endswith(".tsv"):
        return "predictions-tsv" if _are_predictions(source) else "dataset"
    if name.endswith(".json"):
        if not storage.exists(source):
            raise NotFoundError(f"{source}: there is no such file")
        return "podcast-json"
    if release.is_release(source):
        return "dataset"
    root = source.rstrip("/") + "/"
    tables = [uri for uri in storage.list_files(source, ".tsv") if "/" not in uri.removeprefix(root)]
    has_json, has_wavs = (next(storage.list_files(source, suffix), None) is not None for suffix in (".json", ".wav"))
    predictions = [uri for uri in tables if _are_predictions(uri)]
    told = {
        "dataset": len(tables) > len(predictions),
        "predictions-tsv": bool(predictions),
        "podcast-json": has_json,
        "wav-folder": has_wavs and not has_json and not tables,
    }
    fitting = [form for form, fits in told.items() if fits]
    if fitting == ["predictions-tsv"]:
        raise InputError(f"{source}: holds predictions; name the table itself ({predictions[0]}), or --from wav-folder")
    if len(fitting) > 1:
        raise InputError(f"{source}: could be read as {' or as '.join(fitting)}; say which with --from")
    if not fitting:
        raise InputError(f"{source}: holds neither session JSON, nor WAVs, nor a released dataset; name the format with --from")
    return fitting[0]


def _are_predictions(uri: str) -> bool:
    with closing(storage.open_read(uri)) as file:
        return DatasetTable(file, uri).are_predictions
