"""Runs cases against targets and says what no case may do: the checks that every reader, command and view must pass.

A case is made by `Random(f"{seed}/{target}/{number}")` alone, so it can be run again by these three.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import math
import os
import resource
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from podcast.errors import PodcastError
from podcast.redact import redact
from tests.fuzz.mutators import SECRETS

MOST_SECONDS = 10.0
"""Of processor, for one case."""
HANGS_S = 300.0
"""After which a case that waits instead is ended: far more than a busy machine needs."""
MOST_BYTES = 400 * 2**20
"""By which memory may grow in one case."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Case:
    """One damaged input: its bytes, and what a careful reader finds in them, None where it cannot be told."""

    content: bytes
    value: Any = None


@dataclass(slots=True)
class Outcome:
    """What a target made of a case.

    `brought` and `kept` count boxes in and out by session; `named` is how many items were refused by name. `answers` is all that
    was computed, `said` all that a person or a client is shown, beside what is printed and logged.
    """

    brought: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    named: int = 0
    answers: list[Any] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes input from outside. `make` makes a case of a chance, `run` feeds it in, below an empty folder.

    `weight` is its share of all cases, for slow ones less than 1.
    """

    name: str
    make: Callable[[Random], Case]
    run: Callable[[Case, Path, Outcome], None]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with one case; failures of one `kind` have one cause."""

    number: int
    kind: str
    detail: str


class BrokenRuleError(Exception):
    """A target's own check: what it did with the case is wrong."""


class TooSlowError(BaseException):
    """Nobody may catch it on the way."""


def run_case(target: Target, seed: str, number: int, scratch: Path) -> tuple[Case, Failure | None]:
    """Make one case and run it below `scratch`, which is emptied."""
    case = target.make(Random(f"{seed}/{target.name}/{number}"))
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    outcome, heard = Outcome(), io.StringIO()
    before, began = _peak_bytes(reset=True), time.process_time()
    try:
        with _heard(heard), _limited():
            try:
                target.run(case, scratch, outcome)
            except PodcastError as error:
                outcome.said.append(redact(str(error)))  # as a command prints it
                outcome.named = sum(outcome.brought.values()) or 1  # nothing came out, and that was said
        took_s, grew = time.process_time() - began, _peak_bytes() - before
        if took_s > MOST_SECONDS:
            raise BrokenRuleError(f"slow: {took_s:.0f} s")
        if grew > MOST_BYTES:
            raise BrokenRuleError(f"memory: {grew / 2**20:.0f} MiB")
        _check(outcome, "\n".join([*outcome.said, heard.getvalue()]))
    except (Exception, TooSlowError) as error:  # noqa: BLE001 (this is the place that says which there may be)
        return case, Failure(number, *_told(error))
    return case, None


def run_target(target: Target, seed: str, cases: int, folder: Path, part: Sequence[int] = (0, 1)) -> dict[str, Any]:
    """Run the cases `part[0]`, `part[0] + part[1]`, ... and keep the first failing input of each kind below `folder`."""
    kinds: Counter[str] = Counter()
    scratch, running = folder / f"scratch-{os.getpid()}", folder / f"running-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    for number in range(part[0], cases, part[1]):
        running.write_text(f"--target '{target.name}' --case {number}")  # for cases that end the process
        case, failure = run_case(target, seed, number, scratch)
        if failure is None:
            continue
        kinds[failure.kind] += 1
        if kinds[failure.kind] == 1:
            keep(folder / target.name, target, seed, case, failure)
    shutil.rmtree(scratch, ignore_errors=True)
    running.unlink(missing_ok=True)
    done = len(range(part[0], cases, part[1]))
    return {
        "target": target.name,
        "cases": done,
        "failures": sum(kinds.values()),
        "kinds": dict(kinds),
        "s": time.monotonic() - began,
    }


def keep(folder: Path, target: Target, seed: str, case: Case, failure: Failure) -> None:
    """The input, and beside it how to run it again and what it did."""
    name = "".join(letter if letter.isalnum() else "-" for letter in failure.kind)[:80]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.input").write_bytes(case.content)
    again = f"python -m tests.fuzz.run --seed {seed} --target '{target.name}' --case {failure.number}"
    (folder / f"{name}.txt").write_text(f"{again}\n\n{failure.detail}\n", errors="replace")


def _check(outcome: Outcome, said: str) -> None:
    short = [name for name, count in outcome.brought.items() if outcome.kept[name] != count]
    if len(short) > outcome.named:
        counts = {name[:60]: (outcome.brought[name], outcome.kept[name]) for name in short[:3]}
        raise BrokenRuleError(f"boxes lost without a word: in and out {counts}, {outcome.named} refused")
    for answer in outcome.answers:
        if not all(map(math.isfinite, _numbers(answer))):
            raise BrokenRuleError(f"NaN or Infinity in {str(answer)[:300]}")
    for secret in SECRETS:
        if secret in said:
            at = said.index(secret)
            raise BrokenRuleError(f"key shown: {said[max(0, at - 150) : at + 20]!r}")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from _numbers(getattr(value, item.name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)


def strict_json(text: str) -> Any:
    """The value, where JSON's own rules are kept: Python alone writes and reads NaN and Infinity."""

    def refuse(constant: str) -> float:
        raise BrokenRuleError(f"NaN or Infinity in an answer: {constant}")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise BrokenRuleError(f"an answer is no JSON: {error} in {text[:200]!r}") from error


def _told(error: BaseException) -> tuple[str, str]:
    """The kind of a failure, which is its error and the last place in this project, and its traceback."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, BrokenRuleError):
        return str(error).split(":")[0], trace[-6000:]
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if ROOT in Path(frame.filename).parents]
    places = [f"{Path(frame.filename).relative_to(ROOT)}:{frame.name}" for frame in ours if "site-packages" not in frame.filename]
    last = next((place for place in reversed(places) if not place.startswith("tests/")), "tests")
    return f"{type(error).__name__} in {last}", trace[-6000:]


@contextmanager
def _heard(heard: io.StringIO) -> Iterator[None]:
    """All that is printed and logged."""
    handler, root = logging.StreamHandler(heard), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with redirect_stdout(heard), redirect_stderr(heard):
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextmanager
def _limited() -> Iterator[None]:
    """End a case that hangs."""

    def end(_: int, __: FrameType | None) -> None:
        raise TooSlowError("the case hangs")

    before = signal.signal(signal.SIGALRM, end)
    theirs_s, _ = signal.setitimer(signal.ITIMER_REAL, HANGS_S)  # that of pytest-timeout, which goes on afterwards
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, theirs_s)
        signal.signal(signal.SIGALRM, before)


def _peak_bytes(*, reset: bool = False) -> int:
    """The most memory that the process held since the last reset, where Linux tells; else since it began."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
