"""`podcast tasks`: the same tasks as a file, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cli.options import blind_option, page_option
from cli.output import finish, json_option, progress
from cli.sources import COPY, page_audio_option, read_source, source_options
from importers.base import own_name
from labelstudio.blind import chosen
from labelstudio.page import FIND_CALLS, page
from labelstudio.signed import signing_key
from labelstudio.tasks import to_tasks
from podcast import storage
from podcast.model import Session
from podcast.report import Report


@click.command("tasks")
@click.argument("source")
@click.option("-o", "--output", required=True, metavar="URI", help="File to write, for Label Studio's Import button.")
@click.option("--round", "round_name", default="", help="Name of the round; else the source's own name.")
@page_option
@blind_option
@page_audio_option(COPY)
@source_options
@json_option
def tasks_command(
    source: str,
    output: str,
    round_name: str,
    label_config: str | None,
    blind: float,
    page_audio: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Write SOURCE as a task file. Needs neither a server nor the audio.

    Listening copies are made of the recordings that are here; the page plays the others as they are. For audio outside
    LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, or without it, the root is taken to be the folder above the audio.
    """
    from labelstudio.audio import page_address
    from podcast.listening import copy_uri, with_copies
    from podcast.settings import load_settings

    report = Report()
    report.counts.update(written=0, refused=0)
    settings = load_settings()
    root, key = settings.label_studio_local_files_document_root, settings.audio_signing_key or settings.label_studio_api_key
    config, name = page(label_config or FIND_CALLS), round_name or own_name(source)

    def root_of(uri: str) -> Path | None:
        path = storage.local_path(uri)
        if path is None or (root is not None and root.resolve() in path.resolve().parent.parents):
            return root
        if root is not None:
            report.warn(
                f"audio lies outside LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, which is {root}; "
                "its addresses are as if the folder above it were the root"
            )
        return path.resolve().parent.parent

    def address(session: Session) -> str:
        uri = session.recording.audio_uri
        return page_address(uri, root_of(uri))

    def copy(session: Session) -> str:
        uri = session.recording.listening_uri
        return page_address(uri, root_of(session.recording.audio_uri)) if uri else ""

    sessions = read_source(source, audio_required=False, **options)
    if page_audio == COPY:
        sessions = with_copies(sessions, copy_uri, report)
    with progress("Writing tasks", as_json=as_json) as advance, storage.open_write(output) as file:
        file.write(b"[")
        for _, task in to_tasks(sessions, name, config, address, report, signing_key(key), copy, chosen(blind)):
            file.write((",\n" if report.counts["written"] else "\n").encode() + json.dumps(task, ensure_ascii=False).encode())
            report.counts["written"] += 1
            advance(1)
        file.write(b"\n]\n")
    finish(report, f"Wrote {output}", as_json=as_json, output=output)
