"""From settings to the servers and rounds that commands work on. The client's libraries are imported when one is needed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from podcast.errors import InputError

if TYPE_CHECKING:
    from labelstudio.audio import TaskAudio
    from labelstudio.client import Server
    from labelstudio.labels import LabelConfig
    from labelstudio.round_in import MlBackend
    from labelstudio.round_out import Sessions
    from podcast.settings import Settings


def connect(settings: Settings) -> Server:
    """Label Studio, with the key of the settings. Raises InputError without one."""
    from labelstudio.client import Server

    return Server(settings.label_studio_url, settings.label_studio_api_key, signing_secret=settings.audio_signing_key)


def ml_backend_of(settings: Settings) -> MlBackend | None:
    """The ML backend that rounds are connected to; None if the settings name none."""
    if not settings.ml_backend_url:
        return None
    from labelstudio.round_in import MlBackend

    return MlBackend(settings.ml_backend_url, settings.ml_basic_auth_user, settings.ml_basic_auth_password)


def task_audio(settings: Settings, *folders: str) -> TaskAudio:
    """What opens audio by the addresses in tasks, and files below `folders`, which the user named."""
    from labelstudio.audio import TaskAudio

    root, prefixes = settings.label_studio_local_files_document_root, settings.prefixes
    return TaskAudio(root, settings.label_studio_url, partial(connect, settings), folders=folders, prefixes=prefixes)


def submitted_sessions(
    round_name: str | None,
    export_file: str | None,
    project_id: int | None = None,
    *,
    with_predictions: bool = False,
    audio: TaskAudio | None = None,
    page: LabelConfig | None = None,
) -> tuple[Sessions, int]:
    """The submitted sessions of a round or of an export file, and how many sessions the round has (0 for a file).

    `page` is the page of an export file; a round says its own. `audio` is to open theirs: it is told of the round, whose storages
    say which cloud addresses it may read.
    """
    if (round_name is None) == (export_file is None):
        raise InputError("name either --round or --file")
    from labelstudio.round_out import Round, file_sessions
    from podcast.settings import load_settings

    if export_file is not None:
        return file_sessions(export_file, config=page), 0
    found = Round.find(connect(load_settings()), round_name or "", project_id)
    if audio is not None:
        audio.projects.add(found.project["id"])
    return found.submitted(with_predictions=with_predictions), found.size
