"""The Pod.Cast dataset table: a row a box, and a row of zeros for a session without calls. See docs/formats/dataset-tsv.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exporters.base import WriteOptions
from exporters.folder import Folder
from podcast.dataset_table import COLUMNS
from podcast.errors import Refusal
from podcast.model import Review, Session
from podcast.report import Report
from podcast.spool import Spool
from podcast.times import PACIFIC, parse_session_name

FILE = "annotations.tsv"
DATASET = "podcast"
"""The name of a dataset that has none."""


def write(sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> Report:
    """One table `annotations.tsv` below the folder `to`, sessions in order of their names."""
    with Folder(to, "dataset-tsv", options) as target, Spool() as spool:
        untimed: set[str] = set()

        def put(folder: str, session: Session, review: Review) -> None:
            if session.recording.start is None and parse_session_name(session.id).parent_start:
                untimed.add(session.id)
            spool.add(folder, session.id, list(rows(session, review)))

        report = target.run(sessions, put, lambda: target.add_tables(spool, FILE, COLUMNS, "\t"))
    if untimed:
        report.warn(f"{len(untimed)} sessions were imported without audio, so their own start is unknown: date is empty")
    return report


def rows(session: Session, review: Review, dataset: str = DATASET) -> Iterator[tuple[str, ...]]:
    """The table's rows of one review. `date` and time are Pacific, of the session's own start; a tape has its name instead.

    `dataset` stands for a session without a round: the published scorer takes no empty one. A cell is one line without tabs, for
    programs that split lines themselves.
    """
    start = session.recording.start
    local = start.astimezone(PACIFIC) if start else None
    tape = "" if parse_session_name(session.id).parent_start else session.absolute_time
    times = [(item.event.start_s, item.event.duration_s) for item in review.annotations] or [(0.0, 0.0)]
    for start_s, duration_s in times:
        yield (
            _one_line(session.round) or _one_line(dataset) or DATASET,
            f"{session.id}.wav",
            str(start_s),
            str(duration_s),
            _one_line(session.recording.source_guid.removeprefix("rpi_")),
            f"{local:%Y-%m-%d}" if local else "",
            f"{local:%H:%M:%S}" if local else _one_line(tape),
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())
