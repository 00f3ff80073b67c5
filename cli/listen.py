"""From the pools of a plan to candidates: tables are read, WAVs and windows of the archive are listened to, here or on Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from cli.archive import NO_DETECTOR, ArchiveOptions, archive_of, check_unused, engine_of, is_archive, node_of, windows_of
from detectors import known_detector, load_detector
from detectors.registry import spec_in_service
from podcast import storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.report import Report
from podcast.settings import Settings

if TYPE_CHECKING:
    from detectors.base import Load
    from pipeline.listen import Listened
    from planning.missed import Examples
    from planning.pool import Candidate


@dataclass(frozen=True, slots=True)
class Listening:
    """With what, and where, pools are listened to. `advance` is told of what is done, in sessions or seconds."""

    options: ArchiveOptions
    settings: Settings
    notes: Report
    advance: Callable[[float], None]
    examples: Examples | None = None

    @property
    def load(self) -> Load | None:
        """Loads the detector; None if nobody shall listen."""
        name = self.options.detector or spec_in_service(self.settings)
        return None if name == NO_DETECTOR else partial(load_detector, known_detector(name))


def pool_of(pools: Iterable[str], node: str, listening: Listening) -> Iterator[Candidate | Refusal]:
    """The candidates of all pools, one after the other. `node` is for names that tell none."""
    from planning.predictions import predicted

    pools = list(pools)
    if not any(map(is_archive, pools)):
        check_unused(listening.options)
    for pool in pools:
        if is_archive(pool):
            yield from _of_archive(pool, listening)
        elif pool.lower().endswith(".tsv"):
            yield from predicted(pool, node)
        else:
            yield from _of_folder(pool, node, listening)


def _of_folder(folder: str, node: str, listening: Listening) -> Iterator[Candidate | Refusal]:
    from planning.predictions import named

    uris = storage.list_files(folder, ".wav")
    if listening.load is None:
        heard: Iterable[Listened | Refusal | str] = uris
    else:
        from pipeline.listen import listen_to_files

        heard = listen_to_files(uris, listening.load, engine_of(listening.options), listening.options.work, listening.advance)
    there = False
    for item in heard:
        there = True
        if isinstance(item, Refusal):
            yield item
            continue
        uri = item if isinstance(item, str) else item.uri
        try:
            yield _noted(named(storage.stem(uri), folder, node), item, listening.examples)
        except PodcastError as error:
            yield Refusal(uri, str(error))
    if not there:
        raise InputError(f"{folder}: there is no WAV; a pool is a folder of WAVs, a table of predictions or hls://NODE")


def _of_archive(pool: str, listening: Listening) -> Iterator[Candidate | Refusal]:
    from pipeline.listen import listen_to_archive
    from planning.predictions import named

    options = listening.options
    if options.candidates_only or listening.load is None:
        raise InputError("a plan listens to all of the archive's window; leave out --candidates-only and --detector none")
    windows, refusals = windows_of(node_of(pool), options)
    for window in windows:
        span = (window.start, window.end)
        heard = listen_to_archive(
            archive_of(options), window.node, span, options.session_length, listening.load, engine_of(options), options.work,
            listening.notes, listening.advance,
        )  # fmt: skip
        for item in heard:
            if isinstance(item, Refusal):
                yield item
            else:
                yield _noted(named(item.name, f"hls://{window.node}", window.node), item, listening.examples)
    yield from refusals


def _noted(candidate: Candidate, heard: Listened | str, examples: Examples | None) -> Candidate:
    """The candidate with what the detector made of it."""
    if isinstance(heard, str):
        return candidate
    chances = tuple(item.chance for item in heard.impression.events)
    start, vector = heard.start or candidate.start, heard.impression.vector
    alike = examples.alike(heard.impression.faint) if examples else 0.0
    return replace(candidate, start=start, duration_s=heard.duration_s, chances=chances, vector=vector, alike=alike)
