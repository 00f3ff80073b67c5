"""What a run did: counts by name, and every item that was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from podcast.errors import Notice, Refusal

Item = TypeVar("Item")


@dataclass(slots=True)
class Report:
    """Counts and refusals of one run, filled while it goes on.

    `warnings` says in words what a format could not hold; it is a dict for its order and holds each sentence once.
    """

    counts: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)

    def refuse(self, refusal: Refusal) -> None:
        """Count and keep one refusal; a notice is a warning."""
        if isinstance(refusal, Notice):
            self.warn(str(refusal))
            return
        self.counts["refused"] += 1
        self.refusals.append(refusal)

    def warn(self, sentence: str) -> None:
        """Keep one warning."""
        self.warnings[sentence] = None

    def add(self, other: Report) -> None:
        """Take over what another report of the same run has counted and kept."""
        self.counts.update(other.counts)
        self.refusals += other.refusals
        self.warnings |= other.warnings

    def accepted(self, items: Iterable[Item | Refusal]) -> Iterator[Item]:
        """The items that are no refusals; refusals and notices are kept here on the way."""
        for item in items:
            if isinstance(item, Refusal):
                self.refuse(item)
            else:
                yield item

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **self.counts,
            "refusals": [{"where": refusal.where, "reason": refusal.reason} for refusal in self.refusals],
            "warnings": list(self.warnings),
        }
