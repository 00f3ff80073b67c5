"""`podcast trainer`: works the queue of trainings, one at a time, in a process of its own."""

from __future__ import annotations

import signal
import time
from types import FrameType

import click

from cli.options import Number
from cli.output import say
from cli.servers import connect, task_audio
from podcast.jobs import Job, Queue
from podcast.settings import load_settings

LOOK_S = 1.0
AGAIN_S = 15.0
"""How long a job waits for a Label Studio that is away; a restart of it takes 8 s."""


@click.command("trainer")
@click.option(
    "--every",
    "hours",
    type=Number(0, min_open=True),
    metavar="HOURS",
    help="Learn from all rounds every so many hours.",
)
@click.option("--once", is_flag=True, help="Work off what waits, and end.")
def trainer_command(hours: float | None, once: bool) -> None:
    """Work the queue of trainings: what "Start training" in Label Studio, `podcast train --round R` and --every ask for.

    A job makes a model of what people said in rounds; the gate compares it with the one in service, and what is better serves
    from then on. Ctrl-C ends it; what was begun is done again by the next start.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    settings = load_settings()
    server = connect(settings)
    try:
        with Queue(settings.ml_queue) as queue, queue.alone(say):
            say(f"Works the queue {queue.place}; Ctrl-C ends it.")
            while True:
                begun = queue.take()
                if begun is None and hours and _last(queue) + hours * 3600 <= time.time():
                    queue.ask(Job())
                elif begun is None and once:
                    return
                elif begun is None:
                    time.sleep(LOOK_S)
                else:
                    from training.trainer import Trainer  # once there is something to do: scikit-learn takes a second, and memory

                    say(f"{begun.job}: begins")
                    outcome = Trainer(settings, server, task_audio(settings), queue).work(begun)
                    say(f"{begun.job}: {outcome or 'Label Studio is away, tried again in a while'}")
                    time.sleep(0 if outcome else AGAIN_S)
    except KeyboardInterrupt:
        say("Ended; what was begun is done again by the next start.")


def _last(queue: Queue) -> float:
    """When the last training from all rounds ended; 0 for never."""
    return max((outcome.at for outcome in queue.outcomes() if outcome.job == Job()), default=0.0)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt
