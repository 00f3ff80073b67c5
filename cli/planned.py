"""`podcast import plan.csv`: the sessions of a plan from where they come, in the plan's order, each with why it was chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from podcast.errors import InputError, Refusal
from podcast.model import Session
from podcast.session_spool import SessionSpool

if TYPE_CHECKING:
    from planning.plan import Choice

Sessions = Iterable[Session | Refusal]


def is_plan(source: str) -> bool:
    """Whether a source is a plan, by its name."""
    return source.lower().endswith(".csv")


def planned_sessions(
    source: str, read: Callable[[str, frozenset[str]], Sessions], cut: Callable[[Choice], Sessions] | None = None
) -> Iterator[Session | Refusal]:
    """The sessions of a plan. `read` gives those sessions of a table or a folder, `cut` the one of a choice from the archive.

    A session that its source does not have any more is refused, and so is one from the archive if nothing can cut it.
    """
    from planning.table import read_plan

    choices: list[Choice] = []
    for row in read_plan(source):
        if isinstance(row, Refusal):
            yield row
        else:
            choices.append(row)
    if not choices:
        raise InputError(f"{source}: the plan names no session")
    with SessionSpool() as spool:
        named: dict[str, set[str]] = {}
        for choice in choices:
            named.setdefault(choice.source, set()).add(choice.name)
        for pool, names in sorted(named.items()):
            if _is_archive(pool):
                continue
            for session in read(pool, frozenset(names)):
                if isinstance(session, Refusal):
                    yield session
                else:
                    spool.add(replace(session, round=pool))
        for choice in choices:
            yield from _found(choice, spool, cut)


def _found(choice: Choice, spool: SessionSpool, cut: Callable[[Choice], Sessions] | None) -> Iterator[Session | Refusal]:
    if not _is_archive(choice.source):
        found = spool.get(choice.name, choice.source)
        if found is None:
            yield Refusal(f"session {choice.name}", f"{choice.source} does not hold it any more, or it was refused")
        else:
            recording = replace(found.recording, source_guid=found.recording.source_guid or choice.node)
            yield replace(found, recording=recording, round="", planned=choice.planned, blind=choice.blind)
        return
    if cut is None:
        yield Refusal(f"session {choice.name}", "it lies in the archive: `podcast import` cuts it")
        return
    for session in cut(choice):
        yield session if isinstance(session, Refusal) else replace(session, planned=choice.planned, blind=choice.blind)


def _is_archive(source: str) -> bool:
    return source.startswith("hls://")
