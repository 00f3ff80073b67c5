"""What changed between two releases: sessions and boxes added, removed, moved, relabelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from podcast.model import Annotation
from podcast.overlap import match
from releases.records import Record

SAME_BOX = 0.1
"""From this overlap on, two boxes of one session are one box that was moved."""


KINDS = (
    "session_added",
    "session_removed",
    "state_changed",
    "box_added",
    "box_removed",
    "box_moved",
    "box_relabelled",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; `what` is one of `KINDS`."""

    session_id: str
    what: str
    old: str = ""
    new: str = ""


def diff(old: Iterable[Record], new: Iterable[Record]) -> Iterator[Change]:
    """All differences, by session and time; both streams in order of session ids. What a session released is compared."""
    olds, news = iter(old), iter(new)
    before, after = next(olds, None), next(news, None)
    while before or after:
        if after is None or (before and before.session.id < after.session.id):
            assert before
            yield Change(before.session.id, "session_removed", old=str(before.state))
            yield from _boxes(before.session.id, before, None)
            before = next(olds, None)
        elif before is None or after.session.id < before.session.id:
            yield Change(after.session.id, "session_added", new=str(after.state))
            yield from _boxes(after.session.id, None, after)
            after = next(news, None)
        else:
            if before.state is not after.state:
                yield Change(before.session.id, "state_changed", str(before.state), str(after.state))
            yield from _boxes(before.session.id, before, after)
            before, after = next(olds, None), next(news, None)


def counts(changes: Iterable[Change]) -> Counter[str]:
    """How many changes of each kind; kinds without any count 0."""
    found = Counter(dict.fromkeys(KINDS, 0))
    found.update(change.what for change in changes)
    return found


def _boxes(session_id: str, before: Record | None, after: Record | None) -> Iterator[Change]:
    old, new = ([box.annotation for box in record.consensus.boxes] if record else [] for record in (before, after))
    pairs = match([item.event for item in old], [item.event for item in new], SAME_BOX)
    found: list[tuple[float, Change]] = []
    for one, other in pairs:
        first, second = old[one], new[other]
        if first.event != second.event:
            found.append((first.event.start_s, Change(session_id, "box_moved", _times(first), _times(second))))
        if _label(first) != _label(second):
            found.append((first.event.start_s, Change(session_id, "box_relabelled", _all(first), _all(second))))
    kept = {one for one, _ in pairs}
    found += [
        (item.event.start_s, Change(session_id, "box_removed", old=_all(item))) for i, item in enumerate(old) if i not in kept
    ]
    kept = {other for _, other in pairs}
    found += [
        (item.event.start_s, Change(session_id, "box_added", new=_all(item))) for i, item in enumerate(new) if i not in kept
    ]
    yield from (change for _, change in sorted(found, key=lambda item: (item[0], item[1].what, item[1].old, item[1].new)))


def _label(item: Annotation) -> str:
    return " ".join(filter(None, (item.label, item.call_type, str(item.certainty))))


def _times(item: Annotation) -> str:
    event = item.event
    band = "" if event.low_hz is None and event.high_hz is None else f" {event.low_hz} to {event.high_hz} Hz"
    return f"{event.start_s} to {event.end_s} s{band}"


def _all(item: Annotation) -> str:
    return f"{_times(item)} {_label(item)}"
