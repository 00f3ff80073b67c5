"""`podcast import`: a source into Label Studio."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from cli.archive import (
    archive_options,
    archive_progress,
    archive_sessions,
    check_unused,
    is_archive,
    node_of,
    one_session,
    split_options,
    windows_of,
)
from cli.options import SHARE, blind_option, page_option
from cli.output import finish, json_option, progress, say
from cli.servers import connect, ml_backend_of
from cli.sources import COPY, page_audio_option, read_source, source_options
from podcast.report import Report
from podcast.rounds import find_round

presign_option = click.option(
    "--presign/--proxy",
    default=False,
    help="Cloud audio: the browser gets it from the cloud by a signed address, or through Label Studio (default).",
)


@click.command("import")
@click.argument("source")
@click.option("--round", "round_name", required=True, help="Name of the round: the project's title.")
@click.option("--project", type=int, help="Number of the project, if it is not found by its title.")
@click.option("--rounds-file", metavar="URI", help="Pod.Cast's rounds file, for the project's description.")
@page_option
@blind_option
@click.option("--second", type=SHARE, default=0.0, help="A share of sessions that two people answer, each alone.")
@presign_option
@page_audio_option(COPY)
@source_options
@archive_options
@json_option
def import_command(
    source: str,
    round_name: str,
    project: int | None,
    rounds_file: str | None,
    label_config: str | None,
    blind: float,
    second: float,
    presign: bool,
    page_audio: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Bring SOURCE into Label Studio as a round. Doing it again changes nothing that has not changed.

    SOURCE is a session JSON, a folder of them, a prediction TSV or a folder of WAVs, as a path or URI; or hls://NODE, a
    hydrophone of Orcasound's archive, with --start and --end: then the WAVs are written to the folder --audio; or a plan.csv
    that `podcast plan` wrote.
    """
    from evaluation.blind import Design
    from labelstudio.blind import count_blind
    from labelstudio.page import page
    from labelstudio.round_in import bring_in
    from podcast.settings import load_settings

    settings, notes = load_settings(), Report()
    archive, plain = split_options(options)
    if is_archive(source):
        windows_of(node_of(source), archive)
    else:
        check_unused(archive)
        cut = partial(one_session, archive, plain["audio"], plain["threshold"], settings, notes)
        sessions = read_source(source, audio_required=True, **plain, cut=cut)
    server, round_ = connect(settings), find_round(round_name, rounds_file)
    into = partial(
        bring_in,
        server,
        round_,
        document_root=settings.label_studio_local_files_document_root,
        ml_backend=ml_backend_of(settings),
        project=project,
        page=page(label_config) if label_config else None,
        presign=presign,
        copies=page_audio == COPY,
        blind=blind,
        second=second,
        say=partial(say, err=True),
    )
    if is_archive(source):
        with archive_progress(f"Importing into {round_name}", archive, source, as_json=as_json) as advance:
            sessions = archive_sessions(source, archive, plain["audio"], plain["threshold"], settings, notes, advance)
            brought = into(sessions)
    else:
        with progress(f"Importing into {round_name}", as_json=as_json) as count:
            brought = into(sessions, advance=count)
    report, found = brought.report, brought.project
    report.add(notes)
    if found is None:
        finish(report, f"{source} gave no session, so no round was made", as_json=as_json, round=round_name)
        return
    address = f"{server.url}/projects/{found['id']}"
    words = f"{'Made' if brought.made else 'Found'} round {round_name} at {address}"
    more: dict[str, Any] = {"round": round_name, "project": found["id"], "url": address}
    if alone := count_blind(server, found["id"]):
        design = Design(alone, int(server.project(found["id"])["task_number"]) - alone)
        more["blind"] = design.as_dict()
        words = f"{words}. {design.sentence} Done" if not as_json else words
    finish(report, words, as_json=as_json, **more)
