"""What `podcast import hls://NODE` adds: the window, and the pipeline from the archive to sessions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from cli.options import MOST_S, Number
from cli.output import words_column
from detectors import known_detector, load_detector
from detectors.registry import spec_in_service
from importers.hls import AUDIO_OFFSET_S, PUBLIC_ARCHIVE, REGION, Archive
from importers.windows import Window, read_windows
from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import Session
from podcast.report import Report
from podcast.times import parse_moment

if TYPE_CHECKING:
    from pipeline.engine import Engine
    from planning.plan import Choice
    from podcast.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
SCHEME = "hls://"
NO_DETECTOR = "none"


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """The options of this module, by the names that click gives them."""

    start: str | None
    end: str | None
    windows: str | None
    margin: float
    archive: str
    archive_endpoint: str
    archive_region: str
    audio_offset: float
    session_length: int
    detector: str | None
    candidates_only: bool
    engine_name: str
    address: str | None
    workers: int | None
    work: Path


def archive_options(command: Command) -> Command:
    """Add the options for hls:// sources."""
    for option in (
        click.option(
            "--work",
            type=click.Path(path_type=Path),
            default=Path(".podcast/archive"),
            show_default=True,
            help="hls: folder of this machine where an interrupted import is kept.",
        ),
        click.option("--workers", type=click.IntRange(1, 1024), help="hls: processes; else one a core."),
        click.option("--address", metavar="ADDRESS", help="hls: the Ray cluster to use; else Ray starts one here."),
        click.option(
            "--engine",
            "engine_name",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="hls: this machine's cores, or a Ray cluster.",
        ),
        click.option("--candidates-only", is_flag=True, help="hls: write and import only sessions with a detection."),
        click.option("--detector", metavar="NAME[:WEIGHTS]|none", help="hls: else what is in service."),
        click.option("--session-length", type=click.IntRange(1, 3600), default=60, show_default=True, help="hls: in seconds."),
        click.option(
            "--audio-offset",
            type=Number(-MOST_S, MOST_S),
            default=AUDIO_OFFSET_S,
            show_default=True,
            help="hls: seconds from a folder's time to its first sample.",
        ),
        click.option("--archive-region", default=REGION, show_default=True, help="hls: region of the archive's bucket."),
        click.option("--archive-endpoint", default="", metavar="URL", help="hls: S3 endpoint of the archive, if not Amazon's."),
        click.option("--archive", default=PUBLIC_ARCHIVE, show_default=True, metavar="URI", help="hls: where the nodes lie."),
        click.option("--margin", type=Number(0, MOST_S), default=0.0, help="hls: seconds before and after each of --windows."),
        click.option("--windows", metavar="URI", help="hls: OrcaHello detections or Orcasound bouts, in place of start and end."),
        click.option("--end", metavar="TIME", help="hls: end of the window."),
        click.option("--start", metavar="TIME", help='hls: "2020-07-25 19:15" is Pacific; add UTC or an offset for others.'),
    ):
        command = option(command)
    return command


def is_archive(source: str) -> bool:
    """Whether a source is a node of the archive."""
    return source.startswith(SCHEME)


def node_of(source: str) -> str:
    """The node that a source names, empty for all."""
    return source.removeprefix(SCHEME).strip("/")


def split_options(options: dict[str, Any]) -> tuple[ArchiveOptions, dict[str, Any]]:
    """The options of this module, and the others."""
    names = ArchiveOptions.__dataclass_fields__
    rest = {name: value for name, value in options.items() if name not in names}
    return ArchiveOptions(**{name: options[name] for name in names}), rest


def check_unused(options: ArchiveOptions) -> None:
    """Raise InputError if a window is named for a source that is no archive."""
    if options.start or options.end or options.windows:
        raise InputError("--start, --end and --windows are for sources hls://NODE")


def archive_sessions(
    source: str,
    options: ArchiveOptions,
    audio: str | None,
    threshold: float | None,
    settings: Settings,
    notes: Report,
    advance: Callable[[float], None],
    engine: Engine | None = None,
) -> Iterator[Session | Refusal]:
    """The sessions of all windows, in order of time. Holes and damage are noted in `notes`.

    `engine` is one that the options cannot name: it works in this process, so that one detector serves all calls.
    """
    from pipeline.job import Job, run

    windows, refusals = windows_of(node_of(source), options)
    detector = options.detector or spec_in_service(settings)
    load = None if detector == NO_DETECTOR else partial(_loaded if engine else load_detector, known_detector(detector))
    archive, chosen = archive_of(options), engine or engine_of(options)
    for window in windows:
        job = Job(
            archive,
            window.node,
            window.start,
            window.end,
            _absolute(audio, settings),
            options.work,
            options.session_length,
            load,
            threshold or 0.0,
            options.candidates_only,
        )
        for found in run(job, chosen, notes, advance):
            yield window.noted(found) if isinstance(found, Session) else found
    yield from refusals


def one_session(
    options: ArchiveOptions, audio: str | None, threshold: float | None, settings: Settings, notes: Report, choice: Choice
) -> Iterator[Session | Refusal]:
    """The session of a plan's row that lies in the archive, cut where the plan says."""
    from pipeline.engine import ThisProcess

    if choice.start is None or not choice.duration_s > 0:
        raise InputError(f"session {choice.name}: the plan does not say when it begins and how long it is")
    end = choice.start + timedelta(seconds=choice.duration_s)
    span = replace(options, start=choice.start.isoformat(), end=end.isoformat(), session_length=math.ceil(choice.duration_s))
    yield from archive_sessions(choice.source, span, audio, threshold, settings, notes, lambda _: None, ThisProcess())


def windows_of(node: str, options: ArchiveOptions) -> tuple[list[Window], list[Refusal]]:
    """The windows to import, and entries of --windows that are none. Raises InputError if none is named, or for options that
    contradict each other."""
    if options.candidates_only and options.detector == NO_DETECTOR:
        raise InputError("--candidates-only needs a detector, and --detector none names none")
    if options.windows:
        if options.start or options.end:
            raise InputError("name --start and --end, or --windows, not both")
        windows, refusals = read_windows(options.windows, options.margin)
        chosen = [window for window in windows if node in ("", window.node)]
        if not chosen:
            why = f"; {refusals[0]}" if refusals else ""
            raise InputError(f"{options.windows}: names no window at {node or 'any node'}{why}")
        return chosen, refusals
    if not (node and options.start and options.end):
        raise InputError("an archive import needs hls://NODE with --start and --end, or --windows")
    return [Window(node, parse_moment(options.start), parse_moment(options.end))], []


_loaded = lru_cache(maxsize=1)(load_detector)


def archive_of(options: ArchiveOptions) -> Archive:
    """The archive that the options name."""
    return Archive(options.archive.rstrip("/"), options.archive_endpoint, options.archive_region, options.audio_offset)


def engine_of(options: ArchiveOptions) -> Engine:
    """This machine's cores, or the Ray cluster that the options name."""
    if options.engine_name == "local":
        from pipeline.engine import LocalEngine

        return LocalEngine(options.workers)
    from pipeline.on_ray import RayEngine

    return RayEngine(options.address, options.workers)


def _absolute(audio: str | None, settings: Settings) -> str:
    """Where the WAVs go, as an address that means the same to every worker."""
    root = settings.label_studio_local_files_document_root
    if audio is None and root is None:
        raise InputError("name with --audio the folder for the WAVs (a path, s3:// or azure-blob://)")
    uri = audio if audio is not None else str((root or Path()) / "audio")
    path = storage.local_path(uri)
    return str(path.resolve()) if path else uri


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Hours of audio, and hours of audio per second since the start: rich's own follows the bursts of blocks."""
        rate = task.completed / task.elapsed if task.elapsed else 0.0
        return Text(f"{task.completed / 3600:.2f} of {(task.total or 0) / 3600:.2f} h, {rate / 3600:.3f} h/s")


@contextmanager
def archive_progress(words: str, options: ArchiveOptions, source: str, *, as_json: bool) -> Iterator[Callable[[float], None]]:
    """A bar over seconds of the windows; gives the function that takes the seconds just done."""
    windows, _ = windows_of(node_of(source), options)
    total_s = sum((window.end - window.start).total_seconds() for window in windows)
    console = Console(stderr=True)
    columns = (words_column(), BarColumn(), _Speed(Column(no_wrap=True)), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task(words, total=total_s)
        yield lambda seconds: bar.advance(task, seconds)
