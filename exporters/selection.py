"""Which sessions and reviews an export writes, and the sidecar for what its format cannot hold. Shared by the exporters."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from exporters.base import WriteOptions
from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import Certainty, Review, ReviewState, Session
from podcast.report import Report
from podcast.reviews import COMPLETED, chosen
from podcast.spool import Spool

SIDECAR = "sidecar.jsonl"

Put = Callable[[str, Session, Review], str | None]
"""Writes one review of a session below a folder, or raises InputError; gives the count that it belongs to, if not `written`."""


class Selection:
    """Goes through sessions once, counts each by what becomes of it, and keeps what a plain list of boxes cannot hold.

    `skipped` and `unreviewed` sessions are counted and left out. So are `unsure` ones, for an empty list would call them a
    true negative; the sidecar keeps all that was said of them.
    """

    def __init__(self, sessions: Iterable[Session | Refusal], to: str, options: WriteOptions) -> None:
        self.report = Report()
        self.report.counts.update(written=0, no_calls=0, unsure=0, skipped=0, unreviewed=0, refused=0)
        self._sessions, self._to, self._options = sessions, to, options

    def run(self, put: Put) -> Report:
        """Give everything that is to be written to `put`, each pair of folder and session once.

        What `put` refuses (InputError) is counted as refused and the rest goes on; any other error ends the export.
        """
        with Spool() as seen, Spool() as unheld:
            for session in self.report.accepted(self._sessions):
                reviews = list(chosen(session, self._options.annotator))
                if not reviews:
                    self.report.counts["unreviewed"] += 1
                for name, review in reviews:
                    try:
                        self._take(session, review, name, put, seen, unheld)
                    except InputError as error:
                        self.report.refuse(Refusal(f"session {session.id}", str(error)))
            self._write_sidecars({folder for folder, _ in seen.groups()}, unheld)
        return self.report

    def _take(self, session: Session, review: Review, name: str, put: Put, seen: Spool, unheld: Spool) -> None:
        folder = storage.join(self._to, name) if name else self._to
        storage.join(folder, session.id)
        if not seen.add(folder, session.id):
            raise InputError("a second task of this session; the first was taken")
        if review.state is not ReviewState.SKIPPED and not _held(review):
            unheld.add(folder, session.id, _as_dict(session, review))
        if review.state not in COMPLETED:
            self.report.counts[str(review.state)] += 1
            return
        self.report.counts[put(folder, session, review) or "written"] += 1
        self.report.counts["no_calls"] += review.state is ReviewState.NO_CALLS

    def _write_sidecars(self, folders: set[str], unheld: Spool) -> None:
        for folder, rows in unheld.groups():
            uri, count = storage.join(folder, SIDECAR), 0
            with storage.open_write(uri) as file:
                for count, row in enumerate(rows, 1):  # noqa: B007
                    file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
            folders.discard(folder)
            self.report.warn(
                f"{count} sessions say more than this format holds (uncertain, call types, notes, not sure): see {uri}"
            )
        for uri in (storage.join(folder, SIDECAR) for folder in sorted(folders)):
            if storage.exists(uri):
                storage.write(uri, b"")


def write_tables(spool: Spool, name: str, columns: Sequence[str], delimiter: str) -> None:
    """A table `name` in each folder that the spool has rows for: groups are folders, values are lists of rows."""
    for folder, tables in spool.groups():
        with storage.open_write(storage.join(folder, name)) as file:
            text = io.TextIOWrapper(file, "utf-8", newline="")
            writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
            writer.writerow(columns)
            for rows in tables:
                writer.writerows(rows)
            text.detach()


def _held(review: Review) -> bool:
    plain = all(item.certainty is Certainty.CERTAIN and not item.call_type and not item.note for item in review.annotations)
    return plain and not review.note and review.state in COMPLETED


def _as_dict(session: Session, review: Review) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "annotator": review.annotator,
        "review_state": str(review.state),
        "note": review.note,
        "annotations": [
            {
                "start_s": item.event.start_s,
                "duration_s": item.event.duration_s,
                "label": item.label,
                "certainty": str(item.certainty),
                "call_type": item.call_type,
                "note": item.note,
            }
            for item in review.annotations
        ],
    }
