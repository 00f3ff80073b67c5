"""The `podcast` command."""

from __future__ import annotations

import click

from cli.account import account_command
from cli.demo import demo_command
from cli.detect import detect_command
from cli.doctor import doctor_command
from cli.evaluate import evaluate_command
from cli.export import export_command
from cli.group import Podcast
from cli.import_ import import_command
from cli.release import release_command
from cli.rounds import rounds_command
from cli.serve import serve_command
from cli.tasks import tasks_command
from cli.train import train_command
from podcast import redact


@click.group(cls=Podcast, context_settings={"help_option_names": ["-h", "--help"]})
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
