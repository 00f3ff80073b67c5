"""Train, dev and test by recording: what was cut from one recording, or close together at one hydrophone, stays on one side.

A random split of minutes measures whether a model knows the recorder, not the whale (docs/adr/0051).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from podcast.errors import InputError
from podcast.model import Session
from podcast.times import parse_session_name

SPLITS = ("train", "dev", "test")
LEFT_OUT = "none"
DEFAULT_SHARES = (0.7, 0.15, 0.15)
DEFAULT_GAP_S = 600.0


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

    What `previous` (session id to split) says stays. A new session goes with the recordings that it belongs to, else where the
    balance over nodes and calls is best. One that would tie train to test gets `LEFT_OUT`. Raises InputError if `previous` is
    itself against the rule.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise InputError(f"the shares of train, dev and test must be 0 or more and sum to 1, not {shares}")
    for name, split in previous.items():
        if split not in (*SPLITS, LEFT_OUT):
            raise InputError(f"the earlier release puts {name} into {split!r}; expected one of {(*SPLITS, LEFT_OUT)}")
    assigned = {unit.session_id: previous[unit.session_id] for unit in units if previous.get(unit.session_id) in SPLITS}
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
    last: dict[tuple[str, str], Unit] = {}
    for unit in _in_time(unit for unit in units if assigned.get(unit.session_id) in SPLITS):
        for split in SPLITS:
            earlier = last.get((unit.node, split))
            if earlier and split != assigned[unit.session_id] and _apart_ms(earlier, unit) < gap_s * 1000:
                apart = f"lie {_apart_ms(earlier, unit) / 1000} s apart at {unit.node or 'an unknown node'}"
                faults.append(_fault(earlier, unit, assigned, f"{apart}, less than {gap_s} s"))
        own = (unit.node, assigned[unit.session_id])
        if own not in last or (unit.end_ms or 0) > (last[own].end_ms or 0):
            last[own] = unit
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
    last: dict[str, Unit] = {}
    for unit in _in_time(units):
        earlier = last.get(unit.node)
        if earlier and _apart_ms(earlier, unit) < gap_s * 1000:
            parent[root(unit.session_id)] = root(earlier.session_id)
        if earlier is None or (unit.end_ms or 0) > (earlier.end_ms or 0):
            last[unit.node] = unit
    members: defaultdict[str, list[Unit]] = defaultdict(list)
    for unit in sorted(units, key=lambda unit: unit.session_id):
        members[root(unit.session_id)].append(unit)
    return list(members.values())


def _near_old(units: Sequence[Unit], assigned: Mapping[str, str], gap_s: float) -> defaultdict[str, set[str]]:
    """The splits of the already assigned sessions that each new session shares an origin with or lies close to."""
    near: defaultdict[str, set[str]] = defaultdict(set)
    origins: defaultdict[str, set[str]] = defaultdict(set)
    for unit in units:
        for origin in unit.origins if unit.session_id in assigned else ():
            origins[origin].add(assigned[unit.session_id])
    for unit in units:
        if unit.session_id not in assigned:
            near[unit.session_id].update(*(origins.get(origin, ()) for origin in unit.origins))
    ordered = _in_time(units)
    for backwards in (False, True):
        edge: dict[tuple[str, str], int] = {}
        for unit in reversed(ordered) if backwards else ordered:
            first, second = (unit.start_ms or 0, unit.end_ms or 0)
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
    """Give each new group to the split that it brings nearest to its share, over sessions and calls, in all and per node.

    Large groups first; of equals the hash of the first session's name decides, so that no order of time or name leaks in.
    """
    totals: defaultdict[str, float] = defaultdict(float)
    have: defaultdict[tuple[str, str], float] = defaultdict(float)
    for unit in units:
        for feature, amount in _features([unit]).items():
            totals[feature] += amount
            if unit.session_id in assigned:
                have[assigned[unit.session_id], feature] += amount
    wanted = {split: share for split, share in zip(SPLITS, shares, strict=True) if share > 0}
    for group in sorted(fresh, key=lambda group: (-len(group), _hash(group[0].session_id))):
        features = {feature: amount / totals[feature] for feature, amount in _features(group).items() if totals[feature]}

        def cost(split: str, features: Mapping[str, float] = features) -> float:
            """Growth of the squared distance from even filling when `split` takes the group."""
            return sum(
                (2 * have[split, feature] / totals[feature] + part) * part / wanted[split] for feature, part in features.items()
            )

        best = min(wanted, key=cost)
        for feature, amount in _features(group).items():
            have[best, feature] += amount
        assigned.update((unit.session_id, best) for unit in group)


def _features(group: Iterable[Unit]) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for unit in group:
        if unit.usable:
            for name, amount in (("sessions", 1), ("calls", unit.calls)):
                found[name] += amount
                found[f"{name} {unit.node}"] += amount
    return found


def _in_time(units: Iterable[Unit]) -> list[Unit]:
    timed = (unit for unit in units if unit.start_ms is not None)
    return sorted(timed, key=lambda unit: (unit.start_ms or 0, unit.end_ms or 0, unit.session_id))


def _apart_ms(earlier: Unit, later: Unit) -> int:
    return (later.start_ms or 0) - (earlier.end_ms or 0)


def _fault(one: Unit, other: Unit, assigned: Mapping[str, str], why: str) -> str:
    first, second = assigned[one.session_id], assigned[other.session_id]
    return f"{one.session_id} ({first}) and {other.session_id} ({second}) {why}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
