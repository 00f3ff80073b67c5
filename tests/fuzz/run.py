"""`make fuzz`: 24,000 seeded cases over all targets, on every core. Prints one JSON object a target, and then the sum.

The first failing input of each kind is kept in the folder that the lines name, with the command that runs it again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.fuzz.harness import ROOT, keep, run_case, run_target
from tests.fuzz.targets import confined, prepared

Base = tuple[Path, Path]
"""The folder of real files, and one to work in."""

PARTS = 8
"""Pieces of a target's cases, so that all cores are busy until the end."""


def main() -> int:
    """0 if no case failed."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="podcast-fuzz-") as work:
        base = (Path(options.data).absolute(), Path(work))
        return _all(options, base) if options.case is None else _again(options, base)


def _all(options: argparse.Namespace, base: Base) -> int:
    folder, failed, done = Path(options.to).absolute(), 0, 0
    shutil.rmtree(folder, ignore_errors=True)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), confined) as pool:
        shares = pool.submit(_shares, base, options.cases, options.target).result()
        jobs = {
            name: [pool.submit(_part, base, name, options.seed, cases, folder, number) for number in range(PARTS)]
            for name, cases in shares.items()
        }
        for name, parts in jobs.items():
            try:
                found = [part.result() for part in parts]
            except BrokenProcessPool:
                at = [path.read_text() for path in folder.glob("running-*")]
                print(json.dumps({"target": name, "crashed": at, "seed": options.seed}))  # noqa: T201
                return 1
            kinds = sum((Counter(item["kinds"]) for item in found), Counter[str]())
            failures, cases = sum(kinds.values()), sum(item["cases"] for item in found)
            failed, done = failed + failures, done + cases
            line = {"target": name, "cases": cases, "failures": failures, "s": round(sum(item["s"] for item in found), 1)}
            more = {"kinds": dict(kinds.most_common()), "folder": str(folder / name)} if failures else {}
            print(json.dumps(line | more), flush=True)  # noqa: T201
    print(json.dumps({"target": "all", "cases": done, "failures": failed, "seed": options.seed}))  # noqa: T201
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--cases", type=int, default=24_000, help="cases in all")
    parser.add_argument("--seed", default="1", help="the same seed gives the same cases")
    parser.add_argument("--target", help="this target alone")
    parser.add_argument("--case", type=int, help="run this one case of --target again, and show what it does")
    parser.add_argument("--to", default=".podcast/fuzz", help="folder for failing inputs")
    parser.add_argument("--data", default=str(ROOT / "tests" / "data"), help="folder with real files")
    return parser.parse_args()


def _shares(base: Base, cases: int, only: str | None) -> dict[str, int]:
    """How many cases each target gets."""
    targets = [target for target in prepared(*base).values() if only in (None, target.name)]
    whole = sum(target.weight for target in targets)
    return {target.name: max(1, round(cases * target.weight / whole)) for target in targets}


def _part(base: Base, name: str, seed: str, cases: int, folder: Path, number: int) -> dict[str, Any]:
    return run_target(prepared(*base)[name], seed, cases, folder, (number, PARTS))


def _again(options: argparse.Namespace, base: Base) -> int:
    confined()
    folder = Path(options.to).absolute()
    target = prepared(*base)[options.target]
    case, failure = run_case(target, options.seed, options.case, base[1] / "case")
    if failure:
        keep(folder / target.name, target, options.seed, case, failure)
    print(repr(case.content[:3000]), failure.detail if failure else "no failure", sep="\n\n")  # noqa: T201
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
