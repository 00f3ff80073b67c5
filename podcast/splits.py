"""Train, dev and test by recording: what was cut from one recording, or close together at one hydrophone, stays on one side.

A random split of minutes measures whether a model knows the recorder, not the whale (docs/adr/0051).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isclose

from podcast.errors import InputError
from podcast.model import Session
from podcast.times import parse_session_name

SPLITS = ("train", "dev", "test")
LEFT_OUT = "none"
DEFAULT_SHARES = (0.7, 0.15, 0.15)
DEFAULT_GAP_S = 600.0

SESSIONS, CALLS, ALL = "sessions", "calls", None
Feature = tuple[str, str | None]
"""What is balanced: sessions or calls, of one node or of all."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What the split must know of a session. `start_ms`, `end_ms`: since 1970 UTC, None if the time is unknown.

    `origins` name what two sessions of one origin share: the parent recording, and the audio itself. `usable` tells whether the
    session counts for the balance (calls and no calls do), `calls` how many boxes it has.
    """

    session_id: str
    node: str
    origins: tuple[str, ...]
    start_ms: int | None
    end_ms: int | None
    usable: bool
    calls: int


def unit_of(session: Session, *, usable: bool, calls: int) -> Unit:
    """The unit of a session; the parent recording comes from its name and from `absolute_time`, the audio from its sha256."""
    recording = session.recording
    origins = {f"name {parse_session_name(session.id).parent}"}
    if session.absolute_time:
        origins.add(f"time {recording.source_guid} {session.absolute_time}")
    if recording.sha256:
        origins.add(f"audio {recording.sha256}")
    start_ms = None if recording.start is None else round(recording.start.timestamp() * 1000)
    end_ms = None if start_ms is None else start_ms + timedelta(seconds=recording.duration_s or 0) // timedelta(milliseconds=1)
    return Unit(session.id, recording.source_guid, tuple(sorted(origins)), start_ms, end_ms, usable, calls)


def assign(
    units: Sequence[Unit],
    previous: Mapping[str, str],
    gap_s: float = DEFAULT_GAP_S,
    shares: tuple[float, float, float] = DEFAULT_SHARES,
) -> dict[str, str]:
    """The split of every session by id.

    What `previous` (session id to split) says stays, `LEFT_OUT` too. A new session goes with the recordings that it belongs to,
    else where the balance is best. One that would tie train to test gets `LEFT_OUT`. Raises InputError if `previous` is itself
    against the rule.
    """
    if min(shares) < 0 or not isclose(sum(shares), 1):
        raise InputError(f"the shares of train, dev and test must be 0 or more and sum to 1, not {shares}")
    for name, split in previous.items():
        if split not in (*SPLITS, LEFT_OUT):
            raise InputError(f"the earlier release puts {name} into {split!r}; expected one of {(*SPLITS, LEFT_OUT)}")
    assigned = {unit.session_id: previous[unit.session_id] for unit in units if unit.session_id in previous}
    if faults := check(units, assigned, gap_s):
        raise InputError(f"the splits of the earlier release break the rule: {faults[0]} ({len(faults)} such pairs)")
    new = [unit for unit in units if unit.session_id not in assigned]
    near = _near_old(units, assigned, gap_s)
    fresh: list[list[Unit]] = []
    for group in groups(new, gap_s):
        old = set().union(*(near[unit.session_id] for unit in group))
        if not old:
            fresh.append(group)
            continue
        split = max(old, key=SPLITS.index)  # the side that must stay clean wins: test, then dev
        for unit in group:
            assigned[unit.session_id] = split if near[unit.session_id] <= {split} else LEFT_OUT
    _balance(fresh, units, assigned, shares)
    return assigned


def check(units: Sequence[Unit], assigned: Mapping[str, str], gap_s: float) -> list[str]:
    """Pairs of sessions on two sides that share an origin, or lie less than `gap_s` apart at one node; empty if all is well.

    Written without the grouping that `assign` uses, so that it can catch its errors.
    """
    faults: list[str] = []
    holder: dict[str, Unit] = {}
    for unit in units:
        if assigned.get(unit.session_id) not in SPLITS:
            continue
        for origin in unit.origins:
            first = holder.setdefault(origin, unit)
            if assigned[first.session_id] != assigned[unit.session_id]:
                faults.append(_fault(first, unit, assigned, f"share the {origin.split()[0]} {origin.split(' ', 1)[1]!r}"))
    last: dict[tuple[str, str], tuple[int, Unit]] = {}
    for start_ms, end_ms, unit in _in_time(unit for unit in units if assigned.get(unit.session_id) in SPLITS):
        for split in SPLITS:
            if split == assigned[unit.session_id] or (unit.node, split) not in last:
                continue
            reach_ms, earlier = last[unit.node, split]
            if start_ms - reach_ms < gap_s * 1000:
                apart = f"lie {(start_ms - reach_ms) / 1000} s apart at {unit.node or 'an unknown node'}"
                faults.append(_fault(earlier, unit, assigned, f"{apart}, less than {gap_s} s"))
        own = (unit.node, assigned[unit.session_id])
        if own not in last or end_ms > last[own][0]:
            last[own] = (end_ms, unit)
    return faults


def groups(units: Sequence[Unit], gap_s: float) -> list[list[Unit]]:
    """Sessions that must stay together, transitively; groups and their members in order of session id."""
    parent = {unit.session_id: unit.session_id for unit in units}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    holder: dict[str, str] = {}
    for unit in units:
        for origin in unit.origins:
            parent[root(unit.session_id)] = root(holder.setdefault(origin, unit.session_id))
    last: dict[str, tuple[int, str]] = {}
    for start_ms, end_ms, unit in _in_time(units):
        if unit.node in last and start_ms - last[unit.node][0] < gap_s * 1000:
            parent[root(unit.session_id)] = root(last[unit.node][1])
        if unit.node not in last or end_ms > last[unit.node][0]:
            last[unit.node] = (end_ms, unit.session_id)
    members: defaultdict[str, list[Unit]] = defaultdict(list)
    for unit in sorted(units, key=lambda unit: unit.session_id):
        members[root(unit.session_id)].append(unit)
    return list(members.values())


def why_empty(
    units: Sequence[Unit], assigned: Mapping[str, str], gap_s: float, shares: tuple[float, float, float] = DEFAULT_SHARES
) -> str:
    """Which splits should have a session with calls or no calls and have none, and why, as a sentence; else nothing."""
    filled = {assigned[unit.session_id] for unit in units if unit.usable}
    wanted = [split for split, share in zip(SPLITS, shares, strict=True) if share > 0]
    empty = [split for split in wanted if split not in filled]
    if not empty or not units:
        return ""
    count = sum(any(unit.usable for unit in group) for group in groups(units, gap_s))
    subject = f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty"
    if count >= len(wanted):
        return f"{subject}: what an earlier release has put into a split stays there, and no other recording was left"
    return (
        f"{subject}: the sessions with calls or no calls form {count} group{'s' if count != 1 else ''}, each of one recording or "
        f"of recordings less than {gap_s:g} s apart at one node, and a group goes into one split whole"
    )


def _near_old(units: Sequence[Unit], assigned: Mapping[str, str], gap_s: float) -> defaultdict[str, set[str]]:
    """The splits of the already assigned sessions that each new session shares an origin with or lies close to."""
    near: defaultdict[str, set[str]] = defaultdict(set)
    origins: defaultdict[str, set[str]] = defaultdict(set)
    for unit in units:
        for origin in unit.origins if assigned.get(unit.session_id) in SPLITS else ():
            origins[origin].add(assigned[unit.session_id])
    for unit in units:
        if unit.session_id not in assigned:
            near[unit.session_id].update(*(origins.get(origin, ()) for origin in unit.origins))
    ordered = _in_time(units)
    for backwards in (False, True):
        edge: dict[tuple[str, str], int] = {}
        for first, second, unit in reversed(ordered) if backwards else ordered:
            for split in SPLITS:
                reach = edge.get((unit.node, split))
                if reach is None or unit.session_id in assigned:
                    continue
                if (reach - second if backwards else first - reach) < gap_s * 1000:
                    near[unit.session_id].add(split)
            if unit.session_id in assigned:
                key = (unit.node, assigned[unit.session_id])
                edge[key] = min(edge.get(key, first), first) if backwards else max(edge.get(key, second), second)
    return near


def _balance(
    fresh: list[list[Unit]], units: Sequence[Unit], assigned: dict[str, str], shares: tuple[float, float, float]
) -> None:
    """Give each new group to the split that it brings nearest to its share of sessions and calls, nodes as even as that allows.

    Large groups first, so that small ones fill what is left; of equals the hash of the first session's name decides, so that no
    order of time or name leaks in. The last groups go to splits that are still empty.
    """
    whole, have = _amounts(units), {split: _amounts(()) for split in SPLITS}
    for unit in units:
        if assigned.get(unit.session_id) in SPLITS:
            have[assigned[unit.session_id]].update(_amounts([unit]))
    parts = {group[0].session_id: _parts(group, whole) for group in fresh}
    wanted = {split: share for split, share in zip(SPLITS, shares, strict=True) if share > 0}
    left = sum(bool(part) for part in parts.values())
    for group in sorted(fresh, key=lambda group: (-_size(parts[group[0].session_id]), _hash(group[0].session_id))):
        part = parts[group[0].session_id]
        empty = [split for split in wanted if not have[split][SESSIONS, ALL]]
        choice = empty if part and left <= len(empty) else list(wanted)
        best = min(choice, key=lambda split: _cost(part, have[split], whole) / wanted[split])
        have[best].update(_amounts(group))
        left -= bool(part)
        assigned.update((unit.session_id, best) for unit in group)


def _cost(part: Mapping[Feature, float], have: Mapping[Feature, float], whole: Mapping[Feature, float]) -> float:
    """How much the square of a split's filling grows with a group; nodes count half.

    A node counts by what the split has of it already, so its first recording goes wherever sessions and calls want it. Else the
    only recording of a node would always go to the largest split, which bears it best.
    """
    growth = 0.0
    for (what, node), share in part.items():
        filled = have[what, node] / whole[what, ALL]
        growth += (2 * filled + share) * share if node is ALL else filled * share
    return growth


def _parts(group: Iterable[Unit], whole: Mapping[Feature, float]) -> dict[Feature, float]:
    """What part of all sessions and calls a group is, in all and by node; empty if it holds nothing that counts."""
    return {(what, node): amount / whole[what, ALL] for (what, node), amount in _amounts(group).items() if amount}


def _size(part: Mapping[Feature, float]) -> float:
    return max(part.values(), default=0.0)


def _amounts(units: Iterable[Unit]) -> Counter[Feature]:
    """Sessions and calls that count for the balance, in all and by node."""
    found: Counter[Feature] = Counter()
    for unit in units:
        for node in (ALL, unit.node) if unit.usable else ():
            found.update([(SESSIONS, node)])
            found.update({(CALLS, node): unit.calls})
    return found


def _in_time(units: Iterable[Unit]) -> list[tuple[int, int, Unit]]:
    """Start and end, in milliseconds since 1970 UTC, of the units whose time is known, and the units, in order of time."""
    timed = ((unit.start_ms, unit.end_ms, unit) for unit in units if unit.start_ms is not None and unit.end_ms is not None)
    return sorted(timed, key=lambda item: (item[0], item[1], item[2].session_id))


def _fault(one: Unit, other: Unit, assigned: Mapping[str, str], why: str) -> str:
    first, second = assigned[one.session_id], assigned[other.session_id]
    return f"{one.session_id} ({first}) and {other.session_id} ({second}) {why}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
