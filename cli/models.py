"""`podcast models`: the registry of models, and which of them is in service."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from cli.compare_models import NOTHING, compare_command
from cli.output import REFUSED, json_option, print_json, print_table, say
from cli.refresh_rounds import all_rounds_option, refresh_command, refreshed, round_option, tell
from cli.trainings import in_words, trainings

if TYPE_CHECKING:
    from detectors.model_folder import Model
    from detectors.registry import Promotion, Registry


@click.group("models", invoke_without_command=True)
@json_option
@click.pass_context
def models_command(ctx: click.Context, as_json: bool) -> None:
    """Show models, which is in service, and trainings.

    A model is a folder that `podcast train` wrote: weights, rules, card and scores, named by its content. A unique beginning of
    its name will do.
    """
    if ctx.invoked_subcommand is None:
        _table(registry_of_settings(), as_json)


@models_command.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Show what one model is, what it learned from, and whether its files are whole."""
    from podcast.errors import InputError

    registry = registry_of_settings()
    model = registry.get(name)
    try:
        model.check()
        damage = None
    except InputError as error:
        damage = str(error)
    history = registry.history()
    shown = _as_dict(registry, model, history)
    if as_json:
        print_json({**shown, "damage": damage, "scores": {} if damage else model.scores()})
        return
    for key, value in shown.items():
        if key == "promotions":
            for one in history:
                if model.name in (one.model, one.before):
                    say(words_of(one))
        elif value not in (None, "", [], {}):
            say(f"{key.replace('_', ' ')}: {_plain(value)}")
    say(f"damaged: {damage}" if damage else f"whole: every file has its SHA-256; the card is {model.uri}/README.md")


@models_command.command("add")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def add_command(folder: Path, as_json: bool) -> None:
    """Take a finished run's folder, or one that was fetched, into the registry."""
    registry = registry_of_settings()
    model = registry.add(folder)
    if as_json:
        print_json(_as_dict(registry, model, registry.history()))
    else:
        say(f"{model.name} is in {registry.uri}; `podcast models promote {model.name}` puts it into service")


@models_command.command("promote")
@click.argument("name")
@click.option("--why", default="", help="Kept with the promotion; needed where the gate refused the model.")
@round_option
@all_rounds_option
@json_option
def promote_command(name: str, why: str, round_names: tuple[str, ...], all_rounds: bool, as_json: bool) -> None:
    """Put a model into service, in place of the one that serves now. Rounds that are named are then refreshed."""
    from detectors.registry import MAINTAINER
    from podcast.errors import InputError

    registry = registry_of_settings()
    verdict = registry.verdict(name)
    if verdict and not verdict.promoted and not why.strip():
        raise InputError(f"the gate refused {registry.get(name).name}: {verdict.reason}. To overrule it say --why")
    made = registry.promote(name, MAINTAINER, why)
    if not as_json:
        say(words_of(made))
    tell(refreshed(round_names, all_rounds=all_rounds), asdict(made), as_json=as_json)


@models_command.command("rollback")
@click.option("--why", default="", help="Kept with the promotion.")
@json_option
def rollback_command(why: str, as_json: bool) -> None:
    """Put back into service what served before."""
    made = registry_of_settings().rollback(why)
    if as_json:
        print_json(asdict(made))
    else:
        say(words_of(made))


def registry_of_settings() -> Registry:
    """The registry that the settings name."""
    # Imported here, as in all commands of this module: the help must not wait for them.
    from detectors.registry import Registry
    from podcast.settings import load_settings

    return Registry(load_settings().ml_registry)


def _table(registry: Registry, as_json: bool) -> None:
    from podcast.errors import InputError, Refusal
    from podcast.report import Report
    from podcast.settings import load_settings

    report, history, rows = Report(), registry.history(), []
    for model in report.accepted(registry.found()):
        try:
            rows.append((_as_dict(registry, model, history), _before_and_after(model.scores())))
        except InputError as error:
            report.refuse(Refusal(model.name, str(error)))
    last, queued = history[-1] if history else None, trainings(load_settings())
    if as_json:
        in_service = {"in_service": last.model if last else None, "promotion": asdict(last) if last else None}
        models = [{**row, "edits_a_minute": edits} for row, edits in rows]
        print_json({"registry": registry.uri, **in_service, "models": models, "trainings": queued, **report.as_dict()})
    else:
        _print(registry, rows, last)
        for line in in_words(queued):
            say(line)
        for refusal in report.refusals:
            say(f"refused: {refusal}", err=True)
    if report.refusals:
        raise SystemExit(REFUSED)


def _print(registry: Registry, rows: list[tuple[dict[str, Any], tuple[float, float] | None]], last: Promotion | None) -> None:
    if not rows:
        say(f"No models yet in {registry.uri}: `podcast train` makes one, `podcast models add` takes it.")
    else:
        table = Table("model", "serves", "recipe", "from", "sessions", "edits a minute", "gate")
        for row, edits in rows:
            serves, sessions = "yes" if row["in_service"] else "", str(row["counts"].get("sessions", NOTHING))
            table.add_row(row["name"], serves, row["recipe"], row["parent"], sessions, _edits(edits), _gate(row["verdict"]))
        print_table(table)
    say(words_of(last) if last else "Nothing is promoted: ML_DETECTOR serves.")


def _as_dict(registry: Registry, model: Model, history: list[Promotion]) -> dict[str, Any]:
    verdict = registry.verdict(model.name)
    return {
        "name": model.name,
        "in_service": bool(history) and history[-1].model == model.name,
        **{name: getattr(model, name) for name in ("detector", "version", "recipe", "parent", "rounds", "counts", "code")},
        "option": f"--detector {model.spec}",
        "files": sorted(model.files),
        "verdict": asdict(verdict) if verdict else None,
        "promotions": [asdict(one) for one in history if one.model == model.name],
    }


def _before_and_after(scores: dict[str, Any]) -> tuple[float, float] | None:
    """Edits a minute of what the model began from, and its own, on sessions that nothing was learned from; None without such."""
    before, after = (
        row.get("edits_a_minute") if isinstance(row := scores.get(name), dict) else None for name in ("before", "after")
    )
    return (before, after) if isinstance(before, int | float) and isinstance(after, int | float) else None


def _edits(found: tuple[float, float] | None) -> str:
    return f"{found[1]:.1f} (before {found[0]:.1f})" if found else NOTHING


def _gate(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return NOTHING
    return "passed" if verdict["promoted"] else f"refused: {verdict['reason']}"


def words_of(one: Promotion) -> str:
    """A promotion in a sentence."""
    what = {"rollback": "put back"}.get(one.by, f"promoted by the {one.by}")
    why = f": {one.why}" if one.why else ""
    return f"Promotion {one.number}: {one.model or 'ML_DETECTOR'} {what} in place of {one.before or 'ML_DETECTOR'}{why}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


models_command.add_command(compare_command)
models_command.add_command(refresh_command)
