"""`podcast import`: a source into Label Studio."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from cli.archive import archive_options, archive_progress, archive_sessions, check_unused, is_archive, split_options
from cli.output import finish, json_option, progress
from cli.sources import read_source, source_options
from podcast import storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.labelstudio.client import LOCAL_FILES, Server, audio_address
from podcast.labelstudio.cloud import audio_place, audio_problem, ensure_cloud_storage
from podcast.labelstudio.labels import LabelConfig
from podcast.labelstudio.sync import Target, sync
from podcast.model import Round, Session
from podcast.report import Report
from podcast.rounds import find_round
from podcast.settings import Settings, load_settings
from podcast.storage import PageStorage

presign_option = click.option(
    "--presign/--proxy",
    default=False,
    help="Cloud audio: the browser gets it from the cloud by a signed address, or through Label Studio (default).",
)


class _Audio:
    """What the page plays, remembering what Label Studio has to serve, and an address of each place to try."""

    def __init__(self, document_root: Path | None) -> None:
        self._root = document_root.resolve() if document_root else None
        self.folders: set[Path] = set()
        self.clouds: set[PageStorage] = set()
        self.model_versions: set[str] = set()
        self.samples: dict[str, str] = {}

    def address(self, session: Session) -> str:
        uri = session.recording.audio_uri
        address = audio_address(uri, self._root)
        self.model_versions |= {str(run) for run in session.model_runs}
        path = storage.local_path(uri)
        if self._root and path is not None and address.startswith(LOCAL_FILES):
            self.folders.add(self._root / path.resolve().relative_to(self._root).parts[0])
        elif path is None and (cloud := storage.page_storage(uri)):
            self.clouds.add(cloud)
        self.samples.setdefault(audio_place(address), address)
        return address


@click.command("import")
@click.argument("source")
@click.option("--round", "round_name", required=True, help="Name of the round: the project's title.")
@click.option("--project", type=int, help="Number of the project, if it is not found by its title.")
@click.option("--rounds-file", metavar="URI", help="Pod.Cast's rounds file, for the project's description.")
@presign_option
@source_options
@archive_options
@json_option
def import_command(
    source: str, round_name: str, project: int | None, rounds_file: str | None, presign: bool, as_json: bool, **options: Any
) -> None:
    """Bring SOURCE into Label Studio as a round. Doing it again changes nothing that has not changed.

    SOURCE is a session JSON, a folder of them, a prediction TSV or a folder of WAVs, as a path or URI; or hls://NODE, a
    hydrophone of Orcasound's archive, with --start and --end: then the WAVs are written to the folder --audio.
    """
    settings, notes = load_settings(), Report()
    archive, plain = split_options(options)
    if is_archive(source):
        with archive_progress(f"Importing into {round_name}", archive, source, as_json=as_json) as advance:
            sessions = archive_sessions(source, archive, plain["audio"], plain["threshold"], settings, notes, advance)
            server, round_ = _server(settings), find_round(round_name, rounds_file)
            report, found, made = bring_in(server, round_, sessions, settings, project=project, presign=presign)
    else:
        check_unused(archive)
        sessions = read_source(source, audio_required=True, **plain)
        server, round_ = _server(settings), find_round(round_name, rounds_file)
        with progress(f"Importing into {round_name}", as_json=as_json) as count:
            report, found, made = bring_in(server, round_, sessions, settings, count, project=project, presign=presign)
    report.counts.update(notes.counts)
    report.warnings |= notes.warnings
    address = f"{server.url}/projects/{found['id']}"
    words = f"{'Made' if made else 'Found'} round {round_name} at {address}"
    finish(report, words, as_json=as_json, round=round_name, project=found["id"], url=address)


def _server(settings: Settings) -> Server:
    return Server(settings.label_studio_url, settings.label_studio_api_key)


def bring_in(
    server: Server,
    round_: Round,
    sessions: Iterable[Session | Refusal],
    settings: Settings,
    advance: Callable[[int], None] = lambda _: None,
    *,
    project: int | None = None,
    presign: bool = False,
) -> tuple[Report, dict[str, Any], bool]:
    """Sessions into a round, with all that its page and its ML backend need: the report, the project, and if it was made."""
    found, made = server.ensure_project(round_, LabelConfig.load(), project)
    audio = _Audio(settings.label_studio_local_files_document_root)
    target = Target(server, found["id"], round_.name, LabelConfig.parse(found["label_config"]), audio.address)
    report = sync(target, sessions, advance)
    for folder in sorted(audio.folders):
        server.ensure_local_files(found["id"], folder)
    for place in sorted(audio.clouds, key=lambda item: (item.kind, item.container)):
        ensure_cloud_storage(server, found["id"], place, presign=presign)
    if audio.model_versions and report.counts["created"] + report.counts["updated"]:
        server.show_model_version(found, max(audio.model_versions))
    for sample in audio.samples.values():
        if problem := audio_problem(server, found["id"], sample):
            report.warn(f"the page does not get {sample} yet: {problem}; try `podcast doctor`")
    connect_ml_backend(server, found["id"], settings)
    return report, found, made


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
