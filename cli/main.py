"""The `podcast` command."""

from __future__ import annotations

from importlib import import_module

import click

from cli.group import Podcast
from podcast import redact

# A command's function is imported when it is called for, since the libraries of all take a second; the words begin its help.
COMMANDS = {
    "account": ("cli.account:account_command", "Make every round of a Pod.Cast account a round in Label Studio"),
    "demo": ("cli.demo:demo_command", "Start Label Studio, the ML backend and its trainer with a demo round"),
    "detect": ("cli.detect:detect_command", "Find calls in AUDIO: WAVs, folders and prefixes"),
    "doctor": ("cli.doctor:doctor_command", "Look at settings, servers and rounds"),
    "evaluate": ("cli.evaluate:evaluate_command", "Score PREDICTIONS against TRUTH"),
    "export": ("cli.export:export_command", "Write the completed sessions of a round"),
    "import": ("cli.import_:import_command", "Bring SOURCE into Label Studio as a round"),
    "models": ("cli.models:models_command", "Show models, which is in service, and trainings"),
    "plan": ("cli.plan:plan_command", "Choose the next round from POOLS that nobody has heard"),
    "release": ("cli.release:release_command", "Make a dataset release of one or more rounds"),
    "rounds": ("cli.rounds:rounds_command", "Show every round and how far it is"),
    "serve": ("cli.serve:serve_command", "Serve the three addresses of the Pod.Cast API of 2019"),
    "tasks": ("cli.tasks:tasks_command", "Write SOURCE as a task file"),
    "train": (
        "cli.train:train_command",
        "Train a network, or learn the box rules and scores of any detector",
    ),
    "trainer": ("cli.trainer:trainer_command", "Work the queue of trainings"),
    "verify": ("cli.verify:verify_command", "Pick the sessions of a round that deserve another look"),
}


class _Commands(Podcast):
    """Imports a command when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, known without importing anything."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """One command; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `podcast --help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orcasound-podcast")
def cli() -> None:
    """Annotation rounds for orca calls: into Label Studio, pre-labelled, and out again."""


def main() -> None:
    """The entry point of the `podcast` script."""
    redact.install()
    cli(prog_name="podcast")


if __name__ == "__main__":
    main()
