"""`podcast release`: make a dataset release, check one, or compare two."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from typing import Any

import click

from cli.options import MOST_S, SHARE, Number, min_heard_option
from cli.output import finish, json_option, print_json, progress, say
from cli.servers import connect, task_audio
from importers import dataset
from importers.base import ReadOptions
from labelstudio.audio import TaskAudio
from labelstudio.round_out import Round, file_sessions
from podcast import storage
from podcast.errors import InputError, Refusal
from podcast.model import Session
from podcast.report import Report
from podcast.reviews import DEFAULT_OVERLAP
from podcast.session_spool import SessionSpool
from podcast.settings import Settings, load_settings
from podcast.splits import DEFAULT_GAP_S, DEFAULT_SHARES
from releases.card import DEFAULT_LICENCE
from releases.diff import counts, diff
from releases.lint import lint
from releases.records import Record, records, spooled

BROKEN = 1
"""Exit status of --check when a rule is broken."""


@click.command("release")
@click.option("--round", "rounds", multiple=True, help="Round in Label Studio; may be given several times.")
@click.option("--file", "files", multiple=True, metavar="URI", help="Label Studio's JSON export; may be given several times.")
@click.option("--dataset", "datasets", multiple=True, metavar="URI", help="A released dataset, ours or an old one.")
@click.option("--to", metavar="URI", help="Folder in which the release NAME and NAME.tar.gz are made.")
@click.option("--name", help="Name of the release.")
@click.option("--previous", metavar="URI", help="The release that this one follows: what was test stays test.")
@click.option("--audio", metavar="URI", help="Folder with <session id>.wav, where the sessions' own addresses cannot be read.")
@click.option("--no-audio", is_flag=True, help="Tables and card alone, without WAVs and archive.")
@click.option("--overlap", type=Number(0, 1, min_open=True), default=DEFAULT_OVERLAP, show_default=True,
              help="Boxes of two people that overlap this much are one.")  # fmt: skip
@click.option("--gap", "gap_s", type=Number(0, MOST_S), default=DEFAULT_GAP_S, show_default=True,
              help="Seconds at one node that must lie between two splits.")  # fmt: skip
@click.option("--shares", type=SHARE, nargs=3, default=DEFAULT_SHARES, show_default=True,
              help="Shares of train, dev and test.")  # fmt: skip
@click.option("--pseudonyms", metavar="URI", help="NAME.annotators.csv of an earlier release, so that annotators keep theirs.")
@min_heard_option
@click.option("--licence", default=DEFAULT_LICENCE, show_default=True, help="Licence of audio and labels, for the data card.")
@click.option("--check", "checked", metavar="DIR", help="Check a release, ours or an old one, against the rules, and do no more.")
@click.option("--diff", "compared", nargs=2, metavar="OLD NEW", help="Tell what changed between two releases, and do no more.")
@json_option
def release_command(checked: str | None, compared: tuple[str, str] | None, as_json: bool, **given: Any) -> None:
    """Make a dataset release of one or more rounds: WAVs, train, dev and test tables, everything else as CSV, a data card.

    Two files beside it are not for the public: NAME.annotators.csv tells who is behind a pseudonym, NAME.look-again.csv lists
    the sessions with the most disagreement with their addresses.
    """
    if checked:
        _check(checked, given["gap_s"], as_json=as_json)
    elif compared:
        _compare(*compared, given["overlap"], as_json=as_json)
    else:
        _make(as_json=as_json, **given)


def _make(
    *,
    rounds: tuple[str, ...],
    files: tuple[str, ...],
    datasets: tuple[str, ...],
    to: str | None,
    name: str | None,
    no_audio: bool,
    as_json: bool,
    **given: Any,
) -> None:
    if not to or not name or not (rounds or files or datasets):
        raise InputError("name --to, --name and at least one --round, --file or --dataset (or --check DIR, --diff OLD NEW)")
    from releases.build import ReleaseOptions, build  # draws pictures: matplotlib is slow to import

    settings = load_settings()
    named = [*filter(None, [given["audio"]]), *(storage.join(dataset.folder_of(uri), "wav") for uri in datasets)]
    source = _Source(settings, task_audio(settings, *named))
    with progress("Releasing", as_json=as_json) as advance:

        def counted() -> Iterator[Session | Refusal]:
            for session in source.sessions(rounds, files, datasets):
                yield session
                advance(1)

        options = ReleaseOptions(
            name=name, with_audio=not no_audio, rounds=source.descriptions, open_audio=source.audio.open, **given
        )
        report = build(counted(), to, options, source.address_of)
    finish(report, f"Released {to}/{name}", as_json=as_json, to=to, name=name)


class _Source:
    """Sessions of rounds, export files and old releases, and the address of each one's task."""

    def __init__(self, settings: Settings, audio: TaskAudio) -> None:
        self.descriptions: dict[str, str] = {}
        self.audio, self._settings = audio, settings
        self._addresses: dict[tuple[str, str], str] = {}

    def sessions(self, rounds: tuple[str, ...], files: tuple[str, ...], datasets: tuple[str, ...]) -> Iterator[Session | Refusal]:
        """All sessions, one source after the other. Sessions of a round that nobody has submitted come as unreviewed."""
        for name in rounds:
            found = Round.find(connect(self._settings), name)
            self.descriptions[name] = found.description
            self.audio.projects.add(found.project["id"])
            yield from found.all(self._addresses)
        for uri in files:
            yield from file_sessions(uri, self._settings.label_studio_url, self._addresses)
        for uri in datasets:
            yield from dataset.read(uri, ReadOptions(audio_required=False))

    def address_of(self, round_name: str, session_id: str) -> str:
        """Where the page shows the session's task; of several rounds, the first. Empty if it came from no Label Studio."""
        found = (self._addresses.get((part, session_id)) for part in round_name.split(" + "))
        return next(filter(None, found), "")


def _check(folder: str, gap_s: float, *, as_json: bool) -> None:
    findings = list(lint(folder, gap_s))
    if as_json:
        rows = [{"file": item.file, "line": item.line, "rule": item.rule, "message": item.message} for item in findings]
        print_json({"checked": folder, "findings": rows})
    else:
        for item in findings:
            say(str(item))
        say(f"Checked {folder}: {len(findings)} findings", err=True)
    if findings:
        raise SystemExit(BROKEN)


def _compare(old: str, new: str, overlap: float, *, as_json: bool) -> None:
    report = Report()
    with SessionSpool() as before, SessionSpool() as after:
        changes = list(diff(_records(old, before, overlap, report), _records(new, after, overlap, report)))
    report.counts.update(counts(changes))
    if as_json:
        rows = [{"session_id": item.session_id, "what": item.what, "old": item.old, "new": item.new} for item in changes]
        finish(report, "", as_json=True, changes=rows)
        return
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerows((item.session_id, item.what, item.old, item.new) for item in changes)
    finish(report, f"From {old} to {new}", as_json=False)


def _records(source: str, spool: SessionSpool, overlap: float, report: Report) -> Iterator[Record]:
    for _ in spooled(dataset.read(source, ReadOptions(audio_required=False)), spool, report):
        pass
    return records(spool, overlap, report)
