"""`podcast account`: all rounds of an existing Pod.Cast account into Label Studio, and its annotations back."""

from __future__ import annotations

from functools import partial

import click

from cli.import_ import presign_option
from cli.output import finish, json_option, progress, say
from cli.servers import connect, ml_backend_of
from cli.sources import COPY, ORIGINAL, page_audio_option
from labelstudio import round_out
from labelstudio.client import Server
from labelstudio.round_in import bring_in
from legacy.account import Account, AccountRound, read_account
from podcast import storage
from podcast.errors import InputError, NotFoundError, Refusal
from podcast.model import Round
from podcast.report import Report
from podcast.settings import load_settings


@click.command("account")
@click.argument("creds")
@click.option("--round", "names", multiple=True, help="Only this round (may be repeated); else all of the rounds file.")
@click.option("--root", metavar="URI", help="A copy of the containers as folders, in place of the account itself.")
@click.option("--give-back", is_flag=True, help="Write completed sessions to the annotations containers, in place of importing.")
@presign_option
@page_audio_option(ORIGINAL)
@json_option
def account_command(
    creds: str, names: tuple[str, ...], root: str | None, give_back: bool, presign: bool, page_audio: str, as_json: bool
) -> None:
    """Make every round of a Pod.Cast account a round in Label Studio, submitted annotations included.

    CREDS is the account's CREDS.yaml. Doing it again changes nothing that has not changed. What people have said is never
    overwritten, neither in Label Studio nor, with --give-back, in the account: each conflict is reported.
    """
    settings = load_settings()
    account = read_account(creds, root)
    if root is None:
        storage.use_account(account.name, account.key)
    server = connect(settings)
    total, rounds = Report(), []
    total.counts["refused"] = 0
    for name, round_ in _chosen(account, names).items():
        with progress(f"{'Giving back' if give_back else 'Importing'} {name}", as_json=as_json) as advance:
            work = AccountRound(account, name)
            try:
                if give_back:
                    report = work.give_back(_round(server, name).submitted())
                else:
                    files = settings.label_studio_local_files_document_root
                    brought = bring_in(
                        server,
                        round_,
                        work.sessions(),
                        files,
                        ml_backend_of(settings),
                        advance,
                        presign=presign,
                        copies=page_audio == COPY,
                        say=partial(say, err=True),
                    )
                    report = brought.report
                    work.remember(report)
                    rounds.append({"round": name, "project": brought.project and brought.project["id"], **report.counts})
            except NotFoundError as error:
                total.warn(f"round {name} is left out: {error}")
                continue
        if give_back:
            rounds.append({"round": name, **report.counts})
        _add(total, name, report)
    words = f"{'Gave back' if give_back else 'Brought in'} {len(rounds)} rounds of {account.name or account.root}"
    finish(total, words, as_json=as_json, rounds=rounds)


def _chosen(account: Account, names: tuple[str, ...]) -> dict[str, Round]:
    known = account.rounds()
    for name in names:
        if name not in known:
            raise InputError(f"{account.rounds_file} names no round {name!r}; it has {', '.join(known)}")
    return {name: round_ for name, round_ in known.items() if not names or name in names}


def _round(server: Server, name: str) -> round_out.Round:
    project = server.find_project(name)
    if project is None:
        raise NotFoundError("Label Studio has no such round")
    return round_out.Round(server, project)


def _add(total: Report, name: str, report: Report) -> None:
    del report.counts["refused"]  # counted again with the refusals
    total.counts.update(dict(report.counts))
    for refusal in report.refusals:
        total.refuse(Refusal(f"{name}, {refusal.where}", refusal.reason))
    for warning in report.warnings:
        total.warn(f"{name}: {warning}")
