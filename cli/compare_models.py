"""`podcast models compare`: two models on the recordings that both were tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table

from cli.output import json_option, print_json, print_table, say

if TYPE_CHECKING:
    from training.compared import Comparison, Measures

NOTHING = "–"  # noqa: RUF001


@click.command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@json_option
def compare_command(first: str, second: str, as_json: bool) -> None:
    """Compare two models on the recordings that both were tested on, by node."""
    # Imported here since scikit-learn takes a second that no other command should wait for.
    from detectors.registry import Registry
    from podcast.settings import load_settings
    from training.compared import answers, compare

    registry = Registry(load_settings().ml_registry)
    models = [registry.get(name) for name in (first, second)]
    found = compare(*(answers(model.scores(), f"{model.uri}/scores.json") for model in models))
    names = [model.name for model in models]
    problems = _problems(names, found)
    if as_json:
        rows = [{"name": name, "models": [one.as_dict() for one in pair]} for name, pair in found.rows]
        print_json({"models": names, "recordings": found.common, "rows": rows, "warnings": problems})
        return
    if found.rows:
        _print(names, found)
    for problem in problems:
        say(f"warning: {problem}", err=True)


def _print(names: list[str], found: Comparison) -> None:
    for name, model in zip("AB", names, strict=True):
        say(f"{name} is {model}")
    kinds = ("edits a minute", "average precision", "calibration error")
    table = Table("", "minutes", "from nothing", *(f"{kind}, {name}" for kind in kinds for name in "AB"))
    for name, pair in found.rows:
        edits = pair[0].edits.edits
        cells = [cell(one) for cell in (_edits, _precision, _calibration) for one in pair]
        table.add_row(name, f"{edits.seconds / 60:.1f}", _number(edits.from_nothing, 1), *cells)
    print_table(table)


def _problems(names: list[str], found: Comparison) -> list[str]:
    """Where the two were not measured on the same."""
    problems = [] if found.common else ["no recording was a test of both, so the two cannot be compared"]
    for only, one, other in ((found.only_first, *names), (found.only_second, *names[::-1])):
        if only:
            problems.append(f"left out: {len(only)} recordings that were a test of {one} and not of {other}")
    if found.said_otherwise:
        count = len(found.said_otherwise)
        problems.append(f"left out: {count} recordings of which people said something else between the two tests")
    return problems


def _edits(one: Measures) -> str:
    interval = f" ({one.edits.interval[0]:.1f} to {one.edits.interval[1]:.1f})" if one.edits.interval else ""
    return _number(one.edits.edits.a_minute, 1) + interval


def _precision(one: Measures) -> str:
    return _number(one.seconds.auprc, 3)


def _calibration(one: Measures) -> str:
    return _number(one.calibration_error, 3)


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"
