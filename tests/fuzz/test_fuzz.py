"""A few hundred of the cases of `make fuzz`, and that the harness itself sees what it looks for."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from podcast.errors import InputError
from tests.conftest import ROOT
from tests.fuzz.harness import Case, Outcome, Target, run_case
from tests.fuzz.mutators import SECRETS


def test_a_few_hundred_cases(tmp_path: Path) -> None:
    # In a process of its own: the targets take hosts, sleep and most of the memory away from it.
    command = [sys.executable, "-m", "tests.fuzz.run", "--cases", "500", "--seed", "suite", "--to", str(tmp_path / "found")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, [line for line in lines if line.get("failures")] or done.stderr[-3000:]
    assert lines[-1]["target"] == "all" and lines[-1]["cases"] >= 480
    assert all(line["cases"] for line in lines)


def lose(_: Case, __: Path, outcome: Outcome) -> None:
    outcome.brought = Counter(a=2, b=1)
    outcome.kept, outcome.named = Counter(a=1), 1


def lose_none(case: Case, folder: Path, outcome: Outcome) -> None:
    lose(case, folder, outcome)
    outcome.named = 2


def answer_nan(_: Case, __: Path, outcome: Outcome) -> None:
    outcome.answers.append({"boxes": [(1.0, float("nan"))]})


def say_the_key(_: Case, __: Path, ___: Outcome) -> None:
    logging.getLogger("podcast").warning("error: %s is refused", SECRETS[0])


def fail_foreign(_: Case, __: Path, ___: Outcome) -> None:
    raise KeyError("annotations")


def refuse(_: Case, __: Path, ___: Outcome) -> None:
    raise InputError("a.json, line 3: not a number")


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (lose, "boxes lost without a word"),
        (lose_none, None),
        (answer_nan, "NaN or Infinity in {'boxes'"),
        (say_the_key, "key shown"),
        (fail_foreign, "KeyError in tests"),
        (refuse, None),
    ],
)
def test_what_the_harness_sees(run: object, kind: str | None, tmp_path: Path) -> None:
    target = Target("made up", lambda chance: Case(chance.randbytes(4)), run)  # type: ignore[arg-type]
    case, failure = run_case(target, "1", 7, tmp_path / "scratch")
    assert case.content == Random("1/made up/7").randbytes(4)
    assert (failure.kind if failure else None) == kind
