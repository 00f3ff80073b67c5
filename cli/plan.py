"""`podcast plan`: which sessions of a pool make the next round."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cli.archive import archive_options, split_options
from cli.listen import Listening, pool_of
from cli.missed import clues_of
from cli.options import MOST_S, SHARE, Number
from cli.output import finish, json_option, progress
from cli.servers import connect
from podcast import audio, storage
from podcast.errors import InputError, Refusal
from podcast.model import Recording
from podcast.report import Report
from podcast.settings import Settings, load_settings

if TYPE_CHECKING:
    from planning.plan import Choice
    from planning.pool import Pool

HOURS_OF_DAY = re.compile(r"(\d{1,2})-(\d{1,2})")


@click.command("plan")
@click.argument("pools", nargs=-1, required=True, metavar="POOL...")
@click.option("--size", type=click.IntRange(1, 1_000_000), required=True, help="How many sessions the round shall have.")
@click.option("-o", "--output", required=True, metavar="URI", help="Plan to write: a CSV, with a picture beside it.")
@click.option("--mix", "mix", multiple=True, metavar="PART=SHARE", help="Share of uncertain, likely, unlike or random sessions.")
@click.option("--quota", "quotas", multiple=True, metavar="NODE=SHARE|HOURS=SHARE",
              help="Share of one node, or of hours of day (22-6), Pacific.")  # fmt: skip
@click.option("--even", multiple=True, type=click.Choice(["node", "hour"]), help="The same share to every node, or hour of day.")
@click.option("--gap", "gap_s", type=Number(0, MOST_S), default=600.0, show_default=True,
              help="Seconds at one node that must lie between two sessions.")  # fmt: skip
@click.option("--blind", type=SHARE, default=0.1, show_default=True, help="Share of sessions that come without predictions.")
@click.option("--missed", "missed_in", multiple=True, metavar="URI|round:NAME",
              help="Look for missed calls: like those in reports, bouts, and boxes that people added.")  # fmt: skip
@click.option("--held", multiple=True, metavar="URI", help="A release, export or plan whose sessions are left out.")
@click.option("--rounds/--no-rounds", "ask_rounds", default=True, show_default=True,
              help="Leave out what the rounds in Label Studio have.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="The same gives the same plan.")
@click.option("--source-guid", default="", help="Hydrophone node, where the names tell none.")
@click.option("--audio", metavar="URI", help="Folder with the WAVs of a table, if they do not lie beside it.")
@archive_options
@json_option
def plan_command(
    pools: tuple[str, ...],
    size: int,
    output: str,
    mix: tuple[str, ...],
    quotas: tuple[str, ...],
    even: tuple[str, ...],
    gap_s: float,
    blind: float,
    missed_in: tuple[str, ...],
    held: tuple[str, ...],
    ask_rounds: bool,
    seed: int,
    source_guid: str,
    audio: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Choose the next round from POOLS that nobody has heard: tables of predictions, folders of WAVs, or hls://NODE.

    WAVs and the archive are listened to by the detector first; a table says what one has found. `podcast import plan.csv` makes
    the round, in the plan's order. With --missed it is a list of where calls were most likely passed over, the likeliest first.
    """
    from planning.interest import shares_of
    from planning.missed import missed
    from planning.picture import picture
    from planning.plan import Wishes, plan, with_blind
    from planning.pool import Pool
    from planning.table import SUFFIX, write_plan

    if not output.lower().endswith(SUFFIX):
        raise InputError(f"-o {output}: a plan is a table of the suffix {SUFFIX}, by which the import knows it")
    archive, _ = split_options(options)
    nodes, hours = _quotas(quotas)
    wishes = Wishes(size, shares_of(dict(map(_share, mix))), gap_s, nodes, hours, "node" in even, "hour" in even, blind, seed)
    settings, report = load_settings(), Report()
    report.counts.update(planned=0, pool=0, held=0, refused=0)
    with Pool(seed) as pool:
        with progress("Reading the pool", as_json=as_json) as advance:
            listening = Listening(archive, settings, report, lambda count: advance(round(count)))
            if missed_in:
                clues, examples = clues_of(missed_in, listening.load and listening.load(), settings, report)
                listening = replace(listening, examples=examples)
            pool.add(report.accepted(pool_of(pools, source_guid, listening)))
        for name, recording in _held(held, ask_rounds, settings, report):
            pool.hold(name, recording)
        report.counts.update(pool=pool.size(), held=pool.size(held=True))
        if missed_in:
            choices, notes = with_blind(missed(pool, clues, size), pool, blind), list[str]()
        else:
            choices, notes = plan(pool, wishes)
        choices = list(_unheard(choices, pool, audio, report))
    for note in notes:
        report.warn(note)
    write_plan(output, choices)
    plot = output[: -len(SUFFIX)] + ".png"
    storage.write(plot, picture(choices))
    report.counts["planned"] = len(choices)
    reasons = {reason: sum(choice.planned.reason == reason for choice in choices) for reason in _reasons(choices)}
    finish(report, f"Wrote {output} and {plot}", as_json=as_json, output=output, plot=plot, reasons=reasons)


def _reasons(choices: Iterable[Choice]) -> list[str]:
    return sorted({choice.planned.reason for choice in choices})


def _share(text: str) -> tuple[str, float]:
    """`WHAT=SHARE`, taken apart."""
    what, _, number = text.rpartition("=")
    try:
        return what, SHARE.convert(number, None, None)
    except click.BadParameter as error:
        raise InputError(f"{text!r}: expected a name, an equals sign and a share from 0 to 1") from error


def _quotas(texts: Iterable[str]) -> tuple[dict[str, float], dict[int, float]]:
    """Shares by node and by hour of day; those of several hours are split evenly. Raises InputError where they exceed 1."""
    nodes: dict[str, float] = {}
    hours: dict[int, float] = {}
    for what, share in map(_share, texts):
        if match := HOURS_OF_DAY.fullmatch(what):
            first, end = int(match[1]), int(match[2])
            if first > 23 or end > 24:
                raise InputError(f"--quota {what}: hours of day go from 0 to 24")
            covered = [hour % 24 for hour in range(first, end if first < end else end + 24)]
            hours |= {hour: share / len(covered) for hour in covered}
        else:
            nodes[what] = share
    for kind, shares in (("nodes", nodes.values()), ("hours", hours.values())):
        if sum(shares) > 1 + 1e-9:
            raise InputError(f"the quotas of {kind} sum to {sum(shares):g}, and a round is 1")
    return nodes, hours


def _held(uris: Iterable[str], ask_rounds: bool, settings: Settings, report: Report) -> Iterator[tuple[str, Recording]]:
    """What rounds, releases and plans have already. Says so where nobody can ask the rounds."""
    for uri in uris:
        yield from report.accepted(_sessions(uri))
    if not ask_rounds:
        return
    if not settings.label_studio_api_key:
        report.warn(
            "LABEL_STUDIO_API_KEY is not set, so what the rounds have is not left out; --no-rounds says that this is meant"
        )
        return
    from labelstudio.round_out import held

    yield from held(connect(settings))


def _sessions(uri: str) -> Iterator[tuple[str, Recording] | Refusal]:
    from importers import dataset
    from importers.base import ReadOptions
    from planning.table import SUFFIX, read_plan

    if uri.lower().endswith(SUFFIX):
        for row in read_plan(uri):
            yield (
                row if isinstance(row, Refusal) else (row.name, Recording(row.name, row.node, row.start, row.duration_s or None))
            )
        return
    if uri.lower().endswith(".json"):
        from labelstudio.round_out import file_sessions

        found = file_sessions(uri)
    else:
        found = dataset.read(uri, ReadOptions(audio_required=False))
    for session in found:
        yield session if isinstance(session, Refusal) else (session.id, session.recording)


def _unheard(choices: Iterable[Choice], pool: Pool, folder: str | None, report: Report) -> Iterator[Choice]:
    """The choices without those whose audio a round or a release has under another name. They are not replaced: what was drawn in
    their place would not have had the probability that it says."""
    for choice in choices:
        beside = choice.source.rpartition("/")[0] or "." if choice.source.lower().endswith(".tsv") else choice.source
        uri = storage.join(folder or beside, f"{choice.name}.wav")
        if pool.knows_audio and "hls://" not in beside and storage.exists(uri):
            with storage.open_read(uri) as file:
                digest = audio.sha256(file)
            if pool.holds(digest):
                report.warn(f"{choice.name} is left out: a round or a release has its audio under another name")
                continue
        yield choice
