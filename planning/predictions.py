"""From names and tables of predictions to candidates, without opening any audio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import groupby

from planning.pool import MINUTE_S, Candidate
from podcast import storage
from podcast.dataset_table import DatasetTable, Row
from podcast.errors import InputError, Refusal
from podcast.model import check_name
from podcast.times import parse_session_name
from podcast.vocabulary import is_call, of_name


def named(name: str, source: str, node: str = "", chances: tuple[float, ...] | None = None) -> Candidate:
    """The candidate that a session's name tells; `node` where the name tells none. Raises InputError for a name of no session.

    A session that is told by its number in a longer recording is placed as if all were a minute: within seconds of its true time,
    which the import finds out from the audio.
    """
    check_name(name)
    told = parse_session_name(name)
    start = told.parent_start
    if start is not None and told.chunk:
        start += timedelta(seconds=MINUTE_S * told.chunk)
    return Candidate(name, node or told.source_guid, start, source, MINUTE_S, chances)


def predicted(source: str, node: str = "") -> Iterator[Candidate | Refusal]:
    """The sessions of a table of predictions, with the probabilities of their calls; a bad line is refused.

    A session that comes again further down comes out again. Raises InputError for a table of anything else.
    """
    with closing(storage.open_read(source)) as file:
        table = DatasetTable(file, source)
        if not table.are_predictions:
            raise InputError(f"{source}, line 1: there is no column confidence: a pool is a table of predictions, or WAVs")
        for wav, rows in groupby(table, key=lambda row: row.wav_filename):
            chances = []
            for row in rows:
                try:
                    chances.append(_chance(row))
                except InputError as error:
                    yield Refusal(row.where, str(error))
            if not wav or not chances:
                continue
            try:
                yield named(storage.stem(wav), source, node, tuple(chances))
            except InputError as error:
                yield Refusal(f"{source}, {wav}", str(error))


def _chance(row: Row) -> float:
    """The probability of a call that a row tells: none where the model named another sound, or wrote a line of zeros."""
    if row.problem:
        raise InputError(row.problem)
    meant = of_name(row.label) if row.label else None
    if row.label and meant is None:
        raise InputError(f"label: {row.label[:60]!r} is no source of vocabulary.csv, nor a class of pods-ai or DCLDE")
    return (row.confidence or 0.0) if (meant is None or is_call(meant.name)) and row.duration_s > 0 else 0.0
