"""The `podcast` command. The one place where errors become exit codes: 2 for what the user got wrong, 1 for the rest."""

from __future__ import annotations

from typing import Any

import click

from cli.account import account_command
from cli.demo import demo_command
from cli.detect import detect_command
from cli.doctor import doctor_command
from cli.evaluate import evaluate_command
from cli.export import export_command
from cli.import_ import import_command
from cli.output import say
from cli.release import release_command
from cli.rounds import rounds_command
from cli.serve import serve_command
from cli.tasks import tasks_command
from cli.train import train_command
from podcast import redact
from podcast.errors import InputError, PodcastError

INTERRUPTED = 130


class _Group(click.Group):
    """Prints the project's own errors as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PodcastError as error:
            say(f"error: {' '.join(str(error).split())}", err=True)
            ctx.exit(2 if isinstance(error, InputError) else 1)
        except KeyboardInterrupt:
            say("interrupted; run the same command again to go on", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orcasound-podcast")
def cli() -> None:
    """Annotation rounds for orca calls: into Label Studio, pre-labelled, and out again."""


COMMANDS = (
    account_command,
    demo_command,
    detect_command,
    doctor_command,
    evaluate_command,
    export_command,
    import_command,
    release_command,
    rounds_command,
    serve_command,
    tasks_command,
    train_command,
)
for _command in COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """The entry point of the `podcast` script."""
    redact.install()
    cli(prog_name="podcast")


if __name__ == "__main__":
    main()
