"""`podcast tasks`: the same tasks as a file, without a server."""

from __future__ import annotations

import json
from typing import Any

import click

from cli.output import finish, json_option, progress
from cli.sources import document_root_for, read_source, source_options
from importers.base import own_name
from labelstudio.labels import LabelConfig
from labelstudio.tasks import to_tasks
from podcast import storage
from podcast.model import Session
from podcast.report import Report


@click.command("tasks")
@click.argument("source")
@click.option("-o", "--output", required=True, metavar="URI", help="File to write, for Label Studio's Import button.")
@click.option("--round", "round_name", default="", help="Name of the round; else the source's own name.")
@source_options
@json_option
def tasks_command(source: str, output: str, round_name: str, as_json: bool, **options: Any) -> None:
    """Write SOURCE as a task file. Needs neither a server nor the audio.

    Without LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, Label Studio's document root is taken to be the folder above the audio.
    """
    from labelstudio.audio import page_address
    from podcast.settings import load_settings

    report = Report()
    report.counts.update(written=0, refused=0)
    root = load_settings().label_studio_local_files_document_root
    config, name = LabelConfig.load(), round_name or own_name(source)

    def address(session: Session) -> str:
        uri = session.recording.audio_uri
        return page_address(uri, document_root_for(uri.rpartition("/")[0] or ".", root))

    sessions = read_source(source, audio_required=False, **options)
    with progress("Writing tasks", as_json=as_json) as advance, storage.open_write(output) as file:
        file.write(b"[")
        for _, task in to_tasks(sessions, name, config, address, report):
            file.write((",\n" if report.counts["written"] else "\n").encode() + json.dumps(task, ensure_ascii=False).encode())
            report.counts["written"] += 1
            advance(1)
        file.write(b"\n]\n")
    finish(report, f"Wrote {output}", as_json=as_json, output=output)
