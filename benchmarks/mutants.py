"""How many small faults the tests without servers notice: one fault at a time, in the modules that decide about labels.

    python benchmarks/mutants.py [--sample 60] [--seed 1] [--module podcast/times.py] [--survivors FILE]

Prints one JSON object a module and one for all: `endless` are faults with which the tests took four times their processor time
and more, which counts as noticed. Tests that enter the function with the fault come first, the others only if those pass.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._faults import Mutant, mutants

ROOT = Path(__file__).parents[1]
BAR = 0.92
OF_LABELS = ("task_shape", "labelstudio", "submissions", "items", "vocabulary", "pods_ai", "orcahello", "heard")
LABELS = tuple(f"tests/test_{name}.py" for name in OF_LABELS)
SCORES = ("tests/test_scoring.py", "tests/evaluation")
OF_FORMATS = ("every_format", "folder", "to_the_letter", "bouts", "sources", "original", "wav")
EXPORTS = (
    *(f"tests/exports/test_{name}.py" for name in OF_FORMATS),
    "tests/releases/test_formats.py",
    *(f"tests/test_{name}.py" for name in ("pods_ai", "orcahello", "heard")),
)
TESTS: dict[str, Sequence[str]] = {
    "podcast/times.py": ("tests/test_times.py", "tests/releases/test_real_names.py"),
    "podcast/splits.py": ("tests/releases/test_splits.py",),
    "podcast/reviews.py": (
        "tests/test_reviews.py",
        "tests/releases/test_people.py",
        "tests/exports/test_every_format.py",
        "tests/evaluation",
        "tests/test_heard.py",
    ),
    "podcast/heard.py": ("tests/test_heard.py",),
    "podcast/vocabulary.py": (*(f"tests/test_{name}.py" for name in ("vocabulary", "many_labels", "pods_ai", "orcahello")),),
    "podcast/audio.py": ("tests/test_audio.py", "tests/attacks/test_decoding.py"),
    "evaluation/scoring.py": SCORES,
    "evaluation/scores.py": SCORES,
    "labelstudio/tasks.py": LABELS,
    "labelstudio/sessions.py": LABELS,
    "labelstudio/results.py": LABELS,
    "labelstudio/heard.py": LABELS,
    "importers/podcast_json.py": ("tests/test_importers.py",),
    "evaluation/agreement.py": ("tests/releases/test_people.py",),
    **{str(path.relative_to(ROOT)): EXPORTS for path in sorted((ROOT / "exporters").glob("*.py")) if path.stem != "__init__"},
}
"""Each module, and the tests that are about it."""
SERVERS = {"studio", "ml_backend_url", "page", "browser", "s3", "azure", "account"}
"""Fixtures that start something: tests that ask for one are left out."""
ROOMS = {path.name for path in ROOT.iterdir() if path.is_dir()}
"""What may import a module that faults are put into: never loaded before the fault."""
CPU_S, WALL_S = 30, 1200.0
"""A fault's tests may take this much more processor time than four times without it, and this long in all."""
EXAMPLES = 40


class _Faulty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed tree in place of the module's file."""

    def __init__(self, module: str, tree: ast.AST) -> None:
        self._path, self._tree = ROOT / module, tree
        self._name = module.removesuffix(".py").replace("/", ".")

    def find_spec(self, fullname: str, _path: Any, _target: Any = None) -> Any:
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self) if fullname == self._name else None

    def create_module(self, _: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        exec(compile(self._tree, self._path, "exec"), module.__dict__)


Entered = dict[str, tuple[float, set[tuple[str, int]]]]
"""Of each test by its name: its processor seconds, and path and first line of the functions that it enters."""


class _Quick:
    """pytest's plugin that leaves out what starts something, lets hypothesis draw fewer examples, and begins with some tests."""

    def __init__(self, first: Sequence[str] = ()) -> None:
        self._first = {name: number for number, name in enumerate(first)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the others."""
        from hypothesis import Phase, settings

        items[:] = [item for item in items if not SERVERS & set(item.fixturenames)]
        items.sort(key=lambda item: self._first.get(item.nodeid, len(self._first)))
        for drawn in {getattr(item.obj, "__func__", item.obj) for item in items}:
            if own := getattr(drawn, "_hypothesis_internal_use_settings", None):
                drawn._hypothesis_internal_use_settings = settings(
                    own,
                    max_examples=min(own.max_examples, EXAMPLES),
                    phases=(Phase.explicit, Phase.generate),  # the first failing example will do
                    database=None,
                    derandomize=True,
                    deadline=None,
                )


class _Watched(_Quick):
    """Notes which functions of some files each test enters."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__()
        self.entered: Entered = {}
        self._paths, self._lines = paths, set[tuple[str, int]]()

    def pytest_runtest_logstart(self) -> None:
        """Begin to note."""
        self._lines, self._began = set(), time.process_time()
        for watch in (sys, threading):
            watch.settrace(self._note)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Keep what was noted."""
        for watch in (sys, threading):
            watch.settrace(None)
        self.entered[nodeid] = (time.process_time() - self._began, self._lines)

    def _note(self, frame: Any, _event: str, _: Any) -> None:
        if frame.f_code.co_filename in self._paths:
            self._lines.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))


def run_tests(tests: Sequence[str], scratch: str, plugin: _Quick) -> int:
    """In a process of its own: pytest's exit status for these tests."""
    import pytest

    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    words = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={scratch}", "--no-header", *tests]
    return int(pytest.main(words, plugins=[plugin]))


def _faulty(mutant: Mutant, tree: ast.AST, scratch: str, entered: Entered, cpu_s: int) -> None:
    """The tests that enter the function with the fault come first, the quickest before the others."""
    place = (str(ROOT / mutant.module), enclosing(tree, mutant.line))
    first = sorted((took_s, name) for name, (took_s, places) in entered.items() if place in places)
    mutant.apply()
    sys.meta_path.insert(0, _Faulty(mutant.module, ast.fix_missing_locations(tree)))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    status = run_tests(TESTS[mutant.module], scratch, _Quick([name for _, name in first]))
    sys.stdout.flush()
    os._exit(status)


def enclosing(tree: ast.AST, line: int) -> int | None:
    """The first line of the innermost function around a line, as its code object tells it."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    around = (node for node in functions if node.lineno <= line <= (node.end_lineno or 0))
    return max((min([node.lineno, *(each.lineno for each in node.decorator_list)]) for node in around), default=None)


def _faultless(tests: Sequence[str], scratch: str, loaded: Any, entered: Any) -> None:
    plugin = _Watched({str(ROOT / module) for module in TESTS})
    status = run_tests(tests, scratch, plugin)
    loaded.extend(sorted(name for name in sys.modules if name.partition(".")[0] not in ROOMS | {"__main__"}))
    entered.update(plugin.entered)
    sys.stdout.flush()
    os._exit(status)


def prepare(tests: Sequence[str], scratch: str) -> tuple[Entered, float]:
    """Load here all that these tests load, so that each fault costs less; which functions each of them enters, and the processor
    seconds that they take together.

    Ends the program if they fail without any fault.
    """
    with multiprocessing.Manager() as manager:
        before, loaded, entered = resource.getrusage(resource.RUSAGE_CHILDREN), manager.list(), manager.dict()
        child = multiprocessing.get_context("fork").Process(target=_faultless, args=(tests, scratch, loaded, entered))
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(f"{' '.join(tests)}: these tests fail without any fault (pytest's status {child.exitcode})")
        for name in loaded:
            with suppress(ImportError):
                importlib.import_module(name)
        if early := sorted(module for module in TESTS if module.removesuffix(".py").replace("/", ".") in sys.modules):
            raise SystemExit(f"{', '.join(early)}: loaded before the fault, which no test could notice")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return dict(entered), after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def survivors(
    chosen: Sequence[Mutant], tree: ast.AST, scratch: Path, entered: Entered, cpu_s: int
) -> tuple[list[Mutant], list[Mutant]]:
    """The faults that no test notices, and those with which a test never ends."""
    context, waiting, running = multiprocessing.get_context("fork"), list(chosen)[::-1], {}
    alive: list[Mutant] = []
    endless: list[Mutant] = []
    number = 0
    scratch.mkdir()
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            mutant, number = waiting.pop(), number + 1
            child = context.Process(target=_faulty, args=(mutant, tree, str(scratch / str(number)), entered, cpu_s))
            child.start()
            running[child] = (mutant, time.monotonic() + WALL_S)
        for child, (mutant, until) in list(running.items()):
            if child.is_alive() and time.monotonic() < until:
                continue
            if child.is_alive():
                child.kill()
            child.join()
            if child.exitcode == 0:
                alive.append(mutant)
            elif child.exitcode < 0:
                endless.append(mutant)
            elif child.exitcode in (3, 4, 5):
                raise SystemExit(f"{mutant}: pytest itself failed (status {child.exitcode})")
            del running[child]
        time.sleep(0.02)
    return alive, endless


def show(name: str, mutants: int, alive: int, endless: int) -> None:
    """One line for `make bench`; tests that never end have noticed too."""
    share = 1 - alive / mutants if mutants else 1.0
    line = {"name": name, "value": round(share, 4), "bar": BAR, "holds": share >= BAR}
    print(json.dumps({**line, "mutants": mutants, "survivors": alive, "endless": endless}), flush=True)


def main() -> None:
    """Sample, run, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=60, help="this many faults in all; 0 for every one, which takes hours")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", action="append", choices=sorted(TESTS), help="only this module; repeat it")
    parser.add_argument("--survivors", type=Path, help="write the faults that no test notices to this file")
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    modules = options.module or list(TESTS)
    trees = {module: ast.parse((ROOT / module).read_text(encoding="utf-8")) for module in modules}
    every = [mutant for module in modules for mutant in mutants(module, trees[module])]
    chosen = random.Random(options.seed).sample(every, options.sample) if 0 < options.sample < len(every) else every
    by_module = defaultdict(list)
    for mutant in chosen:
        by_module[mutant.module].append(mutant)
    alive: list[Mutant] = []
    endless: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="podcast-mutants-") as scratch:
        known: dict[Sequence[str], tuple[Entered, float]] = {}
        for module, some in by_module.items():
            if (tests := TESTS[module]) not in known:
                known[tests] = prepare(tests, f"{scratch}/as-it-is")
            entered, took_s = known[tests]
            folder = Path(scratch) / module.replace("/", "-")
            left, stuck = survivors(some, trees[module], folder, entered, CPU_S + round(4 * took_s))
            show(module, len(some), len(left), len(stuck))
            alive += left
            endless += stuck
            if options.survivors:
                lines = [f"{mutant}\n" for mutant in alive] + [f"endless: {mutant}\n" for mutant in endless]
                options.survivors.write_text("".join(lines))
    show("all", len(chosen), len(alive), len(endless))


if __name__ == "__main__":
    main()
