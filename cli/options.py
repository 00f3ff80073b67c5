"""Kinds of values that options take, and options of several commands."""

from __future__ import annotations

import math
from typing import Any

import click

from podcast.draw import BLIND_SHARE


class Number(click.FloatRange):
    """A finite number in a range: click's own type lets "nan" through every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return found


MOST_S = 86_400.0 * 366
"""A year: no length or distance in seconds is longer."""
SHARE = Number(0, 1)
"""A confidence or a share, from 0 to 1."""

min_heard_option = click.option(
    "--min-heard", type=SHARE, help="Leave out, as unreviewed, answers of which less than this share was heard."
)
"""See `podcast.heard`."""

blind_option = click.option(
    "--blind",
    type=SHARE,
    is_flag=False,
    flag_value=BLIND_SHARE,
    default=0.0,
    help="A share of sessions that people hear without boxes, to see how far boxes lead them; 0.1 where no share is given.",
)

page_option = click.option(
    "--label-config",
    metavar="find-calls|which-orcas|sort-false-alarms|URI",
    help="The round's page: one that comes with the project, or a labeling configuration of your own.",
)
