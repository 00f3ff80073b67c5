"""The steps of an unattended run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from podcast.errors import PodcastError

Json = dict[str, Any]


@dataclass(slots=True)
class Steps:
    """The steps taken, and whether each held."""

    steps: list[Json] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Json]:
        """One step; `detail["holds"]` decides, and an error of ours means that it did not hold."""
        detail: Json = {"step": name, "holds": False}
        self.steps.append(detail)
        try:
            yield detail
        except PodcastError as error:
            detail["error"] = str(error)

    @property
    def ok(self) -> bool:
        """Whether every step held."""
        return all(step["holds"] for step in self.steps)
