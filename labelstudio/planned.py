"""How a plan chose a session, in its task's data and back. The page does not show it, and the add-on gives it to no volunteer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from podcast.model import Planned

FIELD = "plan"


def to_json(planned: Planned) -> dict[str, Any]:
    """What stands in the task."""
    return asdict(planned)


def from_data(data: Mapping[str, Any], say: Callable[[str], None]) -> Planned | None:
    """What a task says; `say` is told of what no plan wrote, for it is nobody's answer and refuses no task."""
    given = data.get(FIELD)
    if given is None:
        return None
    try:
        reason, pool = given["reason"], given.get("pool")
        probability, least = (_probability(given.get(name)) for name in ("probability", "least"))
        if not isinstance(reason, str):
            raise TypeError("expected a reason in words")
        if pool is not None and (isinstance(pool, bool) or not isinstance(pool, int) or pool < 1):
            raise ValueError("expected a number of sessions as the pool")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        say(f"data.{FIELD} is not as an import wrote it ({type(error).__name__}: {error}); it is not kept")
        return None
    return Planned(reason, probability, least, pool)


def _probability(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"expected a probability above 0 and up to 1, not {value!r}")
    return float(value)
