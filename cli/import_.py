"""`podcast import`: a source into Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.output import finish, json_option, progress
from cli.sources import read_source, source_options
from podcast import storage
from podcast.errors import InputError, PodcastError
from podcast.labelstudio.client import LOCAL_FILES, Server, audio_address
from podcast.labelstudio.labels import LabelConfig
from podcast.labelstudio.sync import Target, sync
from podcast.model import Session
from podcast.rounds import find_round
from podcast.settings import Settings, load_settings


class _Audio:
    """What the page plays, remembering the folders that Label Studio has to serve and one address to try."""

    def __init__(self, document_root: Path | None) -> None:
        self._root = document_root.resolve() if document_root else None
        self.folders: set[Path] = set()
        self.model_versions: set[str] = set()
        self.sample = ""

    def address(self, session: Session) -> str:
        address = audio_address(session.recording.audio_uri, self._root)
        self.model_versions |= {str(run) for run in session.model_runs}
        if self._root and address.startswith(LOCAL_FILES):
            path = storage.local_path(session.recording.audio_uri)
            if path is not None:
                self.folders.add(self._root / path.resolve().relative_to(self._root).parts[0])
                self.sample = self.sample or address
        return address


@click.command("import")
@click.argument("source")
@click.option("--round", "round_name", required=True, help="Name of the round: the project's title.")
@click.option("--project", type=int, help="Number of the project, if it is not found by its title.")
@click.option("--rounds-file", metavar="URI", help="Pod.Cast's rounds file, for the project's description.")
@source_options
@json_option
def import_command(
    source: str, round_name: str, project: int | None, rounds_file: str | None, as_json: bool, **options: Any
) -> None:
    """Bring SOURCE into Label Studio as a round. Doing it again changes nothing that has not changed.

    SOURCE is a session JSON, a folder of them, a prediction TSV or a folder of WAVs, as a path or URI.
    """
    settings = load_settings()
    sessions = read_source(source, audio_required=True, **options)
    server = Server(settings.label_studio_url, settings.label_studio_api_key)
    config = LabelConfig.load()
    found, made = server.ensure_project(find_round(round_name, rounds_file), config, project)
    audio = _Audio(settings.label_studio_local_files_document_root)
    target = Target(server, found["id"], round_name, LabelConfig.parse(found["label_config"]), audio.address)
    with progress(f"Importing into {round_name}", as_json=as_json) as advance:
        report = sync(target, sessions, advance)
    for folder in sorted(audio.folders):
        server.ensure_local_files(found["id"], folder)
    if audio.model_versions and report.counts["created"] + report.counts["updated"]:
        server.show_model_version(found, max(audio.model_versions))
    if audio.sample and not server.reaches_audio(audio.sample):
        report.warn(f"Label Studio does not serve {audio.sample} yet: try `podcast doctor`")
    connect_ml_backend(server, found["id"], settings)
    address = f"{server.url}/projects/{found['id']}"
    words = f"{'Made' if made else 'Found'} round {round_name} at {address}"
    finish(report, words, as_json=as_json, round=round_name, project=found["id"], url=address)


def connect_ml_backend(server: Server, project_id: int, settings: Settings) -> None:
    """Connect the configured ML backend, after the tasks, so that a backend that is down loses nothing."""
    if not settings.ml_backend_url:
        return
    try:
        server.ensure_ml_backend(
            project_id, settings.ml_backend_url, settings.ml_basic_auth_user, settings.ml_basic_auth_password
        )
    except InputError:
        raise
    except PodcastError as error:
        raise type(error)(f"the sessions are in Label Studio, but not the ML backend: {error}; run it again") from error
