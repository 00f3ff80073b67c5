"""What people know and the detector missed: reports, bouts and boxes that were added, as clues and as examples of sounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from cli.servers import connect, task_audio
from podcast import audio, storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import Annotation, Outcome, Session
from podcast.reading import parse_json
from podcast.report import Report
from podcast.reviews import calls_of, counted
from podcast.settings import Settings

if TYPE_CHECKING:
    from detectors.base import Detector, Framed
    from planning.missed import Clue, Examples

ROUND = "round:"


def clues_of(
    sources: Iterable[str], detector: Detector | None, settings: Settings, report: Report
) -> tuple[list[Clue], Examples | None]:
    """The clues in all sources, and how the calls sound that people added, to the ears of the detector.

    A source is a table or JSON of reports or bouts, a release or an export of Label Studio, or `round:NAME`. Raises InputError
    for one without any clue.
    """
    from detectors.base import Framed
    from detectors.impression import probable
    from planning.missed import Examples

    framed = detector if isinstance(detector, Framed) else None
    rules = probable(framed) if framed else None
    examples = Examples(rules, []) if rules else None
    clues: list[Clue] = []
    for source in sources:
        before = len(clues), len(examples.features) if examples else 0
        if (sessions := _sessions(source, settings)) is None:
            clues += report.accepted(_reports(source))
        else:
            for session in report.accepted(sessions):
                added = added_calls(session)
                clues += _times(session, added)
                if framed and examples and added:
                    _listen(session, added, framed, examples, settings, report)
        if before == (len(clues), len(examples.features) if examples else 0):
            raise InputError(f"{source}: tells of no call that a detector missed")
    return clues, examples


def added_calls(session: Session) -> list[Annotation]:
    """The calls that people drew where no model had a box."""
    return [item for review in counted(session) for item in calls_of(review.annotations) if item.outcome is Outcome.ADDED]


def _sessions(source: str, settings: Settings) -> Iterator[Session | Refusal] | None:
    """The sessions of a round, an export or a release; None for a file of reports or bouts."""
    if source.startswith(ROUND):
        from labelstudio.round_out import Round

        return Round.find(connect(settings), source.removeprefix(ROUND)).submitted()
    name = source.lower()
    if name.endswith(".json"):
        value = parse_json(storage.read(source), source)
        if isinstance(value, list) and value and all(isinstance(item, dict) and "annotations" in item for item in value):
            from labelstudio.round_out import file_sessions

            return file_sessions(source)
        return None
    if name.endswith(".csv"):
        return None
    from importers import dataset
    from importers.base import ReadOptions

    return dataset.read(source, ReadOptions(audio_required=False))


def _reports(source: str) -> Iterator[Clue | Refusal]:
    """Of a table of pods-ai those reports that no machine made, of other files every window."""
    from importers.pods_ai import HUMAN
    from importers.windows import read_windows
    from planning.missed import Clue

    windows, refusals = read_windows(source)
    for window in windows:
        by_table = [item for item in window.sightings if item.source]
        if not by_table:
            yield Clue(window.node, window.start, window.end)
        yield from (Clue(item.node, item.start, item.end) for item in by_table if item.source == HUMAN)
    yield from refusals


def _times(session: Session, added: Iterable[Annotation]) -> Iterator[Clue]:
    from planning.missed import Clue

    node, start = session.recording.source_guid, session.recording.start
    if start is not None:
        for event in (item.event for item in added):
            yield Clue(node, start + timedelta(seconds=event.start_s), start + timedelta(seconds=event.end_s))


def _listen(
    session: Session, added: Iterable[Annotation], detector: Framed, examples: Examples, settings: Settings, report: Report
) -> None:
    """Add how the calls sound. Where the audio cannot be read they still count by their time, and a warning says so."""
    from detectors.impression import example

    uri = session.recording.audio_uri
    try:
        with task_audio(settings, uri.rpartition("/")[0] or ".").open(uri) as file:
            frames = detector.frames(*audio.decode(file, uri))
    except PodcastError as error:
        report.warn(f"session {session.id}: what was added in it cannot be listened to, and counts by its time alone: {error}")
        return
    found = (example(frames, item.event.start_s, item.event.end_s) for item in added)
    examples.features.extend(told for told in found if told)
