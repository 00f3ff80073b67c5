"""How commands print: one JSON object for machines, a few lines and a progress bar for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from podcast.redact import one_line, redact_all
from podcast.report import Report

MOST_REFUSALS = 20
WIDE = 10_000
REFUSED = 2
"""Exit status when something was refused: the rest was done, but the user has something to mend."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of words.")


@contextmanager
def progress(words: str, *, as_json: bool, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal; gives the function that takes the number of items just done."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), words_column(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task(words, total=total)
        yield lambda count: bar.advance(task, count)


def words_column() -> TextColumn:
    """What a bar is about, as it is: names come from outside, and `[/b]` in one is no markup."""
    return TextColumn("{task.description}", markup=False)


def print_table(table: Table) -> None:
    """A table as wide as it is: what people paste (names, addresses) is never cut. Brackets in it are no markup."""
    Console(width=WIDE, markup=False, emoji=False, highlight=False).print(table)


def say(words: str, *, err: bool = False) -> None:
    """One line for people, without keys: whatever holds words of files, tasks or servers is printed through here."""
    click.echo(one_line(words), err=err)


def print_json(value: dict[str, Any]) -> None:
    """One object on one line, without keys."""
    # What no text can hold, such as half a letter in a file's name, is escaped as JSON does it.
    click.echo(json.dumps(redact_all(value), ensure_ascii=False).encode(errors="backslashreplace").decode())


def finish(report: Report, words: str, *, as_json: bool, **more: Any) -> None:
    """Print what a run did, and exit with status 2 if something was refused."""
    if as_json:
        print_json({**more, **report.as_dict()})
    else:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.counts.items())
        say(f"{words}: {counts}")
        for warning in list(report.warnings)[:MOST_REFUSALS]:
            say(f"warning: {warning}", err=True)
        if len(report.warnings) > MOST_REFUSALS:
            say(f"warning: {len(report.warnings) - MOST_REFUSALS} more; --json names all", err=True)
        for refusal in report.refusals[:MOST_REFUSALS]:
            say(f"refused: {refusal}", err=True)
        if len(report.refusals) > MOST_REFUSALS:
            say(f"refused: {len(report.refusals) - MOST_REFUSALS} more; --json names all", err=True)
    if report.refusals:
        raise SystemExit(REFUSED)
