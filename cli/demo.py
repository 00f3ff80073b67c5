"""`podcast demo`: the whole loop on this machine."""

from __future__ import annotations

import signal
import tempfile
import time
from functools import partial
from pathlib import Path
from shlex import quote
from types import FrameType

import click

from cli.output import print_json, say
from cli.sources import COPY, page_audio_option
from demo.check import check
from demo.round import Demo, demo
from demo.servers import free_port
from podcast.errors import ServiceError

FOLDER = Path(".podcast/demo")


@click.command("demo")
@click.option("--check", "check_", is_flag=True, help="Run the whole loop unattended, print one JSON object, and end.")
@click.option("--port", type=int, help="Label Studio's port.  [default: 8080; any free one with --check]")
@click.option("--ml-port", type=int, help="The ML backend's port.  [default: 9090; any free one with --check]")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help=f"Where to keep everything.  [default: {FOLDER}]")
@page_audio_option(COPY)
@click.option(
    "--audio",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of WAVs in place of the synthetic ones.",
)
def demo_command(
    check_: bool, port: int | None, ml_port: int | None, folder: Path | None, audio: Path | None, page_audio: str
) -> None:
    """Start Label Studio, the ML backend and its trainer with a demo round; Ctrl-C ends them.

    Everything stays on this machine, in one folder. The next start goes on where this one ended.
    """
    copies = page_audio == COPY
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if check_:
        with tempfile.TemporaryDirectory(prefix="podcast-demo-") as temporary:
            place, ports = folder or Path(temporary), (port or free_port(), ml_port or free_port())
            with demo(place, *ports, None, partial(say, err=True), copies=copies) as running:
                result = check(running)
        print_json(result)
        raise SystemExit(0 if result["ok"] else 1)
    with demo(folder or FOLDER, port or 8080, ml_port or 9090, audio, say, copies=copies) as running:
        _show(running)
        try:
            while True:
                for child in running.children:
                    child.check()
                time.sleep(0.5)
        except KeyboardInterrupt:
            say("Stopping …")
        except ServiceError as error:
            raise ServiceError(f"{error}. Everything was stopped; start the demo again to go on") from error


def _show(running: Demo) -> None:
    report = running.fill()
    for refusal in report.refusals:
        say(f"refused: {refusal}", err=True)
    for warning in report.warnings:
        say(f"warning: {warning}", err=True)
    there = report.counts["unchanged"] + report.counts["updated"]  # a demo of an older version gets its copies now
    click.echo(
        f"Round {running.round_name!r}: {report.counts['created']} sessions made, {there} were there\n\n"
        f"  Open   {running.server.url}/projects/{running.project_id}/data?labeling=1\n"
        f"  Login  {running.account.email}\n"
        f"  with   {running.account.password}\n\n"
        f"For other commands in a second window:\n"
        f"  export LABEL_STUDIO_URL={running.server.url} LABEL_STUDIO_API_KEY={running.account.token}\n"
        f"  export {' '.join(f'{name}={quote(value)}' for name, value in running.learning.items())}\n"
        f"  podcast export --round {running.round_name!r} --to labels\n\n"
        "Ctrl-C ends the demo."
    )


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt
