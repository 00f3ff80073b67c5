"""How many small faults the tests without servers notice: one fault at a time, in the modules that decide about labels.

    python benchmarks/mutants.py [--sample 60] [--seed 1] [--module podcast/times.py] [--survivors FILE]

Prints one JSON object a module and one for all. Faults are put into the syntax tree: comparisons, arithmetic, and/or/not,
constants, returned values, and text that is a key or a value. Left out is what no test can or should notice: docstrings,
annotations, decorators, the words of errors and warnings, `strict=` of zip, and sizes of buffers (powers of two).
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
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BAR = 0.92
LABELS = ("tests/test_task_shape.py", "tests/test_labelstudio.py", "tests/test_submissions.py")
SCORES = ("tests/test_scoring.py", "tests/evaluation")
EXPORTS = ("tests/exports/test_every_format.py", "tests/exports/test_folder.py", "tests/releases/test_formats.py")
TESTS: dict[str, Sequence[str]] = {
    "podcast/times.py": ("tests/test_times.py",),
    "podcast/splits.py": ("tests/releases/test_splits.py",),
    "podcast/reviews.py": ("tests/test_reviews.py", "tests/releases/test_people.py", "tests/exports/test_every_format.py"),
    "podcast/audio.py": ("tests/test_audio.py", "tests/attacks/test_decoding.py"),
    "evaluation/scoring.py": SCORES,
    "evaluation/scores.py": SCORES,
    "labelstudio/tasks.py": LABELS,
    "labelstudio/sessions.py": LABELS,
    "labelstudio/results.py": LABELS,
    "importers/podcast_json.py": ("tests/test_importers.py",),
    "releases/agreement.py": ("tests/releases/test_people.py",),
    **{str(path.relative_to(ROOT)): EXPORTS for path in sorted((ROOT / "exporters").glob("*.py")) if path.stem != "__init__"},
}
"""Each module, and the tests that are about it."""
SERVERS = {"studio", "ml_backend_url", "page", "browser", "s3", "azure", "account"}
"""Fixtures that start something: tests that ask for one are left out."""
ROOMS = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
MOST_S = 90.0
EXAMPLES = 40

OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult},
    **{ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr},
}
WORDS_OF = {"InputError", "StorageError", "PodcastError", "Refusal", "warn", "warning", "info", "TypeVar", "add_argument"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: `apply` puts it into the tree that it was found in."""

    module: str
    line: int
    kind: str
    what: str
    apply: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.kind}: {self.what}"


def mutants(module: str, tree: ast.AST) -> Iterator[Mutant]:
    """Every fault that can be put into a module's tree."""

    def found(node: Any, kind: str, what: str, field: str, value: Any) -> Mutant:
        return Mutant(module, node.lineno, kind, what, lambda: setattr(node, field, value))

    for node in _code(tree):
        if isinstance(node, ast.Compare):
            for number, operator in enumerate(node.ops):
                other = [*node.ops[:number], OPPOSITES[type(operator)](), *node.ops[number + 1 :]]
                yield found(node, "comparison", f"not {type(operator).__name__} in {ast.unparse(node)}", "ops", other)
        elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OPPOSITES:
            kind = "boolean" if isinstance(node, ast.BoolOp) else "arithmetic"
            yield found(node, kind, f"not {type(node.op).__name__} in {ast.unparse(node)}", "op", OPPOSITES[type(node.op)]())
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            new = ast.UAdd() if isinstance(node.op, ast.USub) else None
            changed = found(node, "boolean", f"the opposite of {ast.unparse(node)}", "op", new)
            if new is None:  # `not not x`: the truth of x
                inner = ast.UnaryOp(ast.Not(), node.operand, lineno=node.lineno, col_offset=node.col_offset)
                changed = found(node, "boolean", f"the opposite of {ast.unparse(node)}", "operand", inner)
            yield changed
        elif (
            isinstance(node, ast.Return)
            and node.value
            and not (isinstance(node.value, ast.Constant) and node.value.value is None)
        ):
            yield found(node, "return", f"None in place of {ast.unparse(node.value)}", "value", ast.Constant(None))
        elif isinstance(node, ast.Constant):
            value: Any = node.value
            if isinstance(value, bool):
                yield found(node, "constant", f"{not value} in place of {value}", "value", not value)
            elif isinstance(value, int | float):
                yield found(node, "constant", f"{value + 1} in place of {value}", "value", value + 1)
            elif isinstance(value, str):
                yield found(node, "text", f"{value + 'X'!r} in place of {value!r}", "value", f"{value}X")


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes whose change a test can notice."""
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "format_spec"):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not _is_silent(child):
                yield child
                yield from _code(child)


def _is_silent(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise):
        return True
    if isinstance(node, ast.Expr):  # docstrings, of attributes too
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):  # names of types
        return isinstance(node.value, ast.Subscript) and isinstance(node.value.value, ast.Name) and node.col_offset == 0
    if isinstance(node, ast.keyword):
        return node.arg in ("strict", "prefix")
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Pow) and isinstance(node.left, ast.Constant) and node.left.value == 2
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return name in WORDS_OF
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


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


class _Quick:
    """pytest's plugin that leaves out what starts something, and lets hypothesis draw fewer examples."""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the others."""
        from hypothesis import settings

        items[:] = [item for item in items if not SERVERS & set(item.fixturenames)]
        for drawn in {getattr(item.obj, "__func__", item.obj) for item in items}:
            if own := getattr(drawn, "_hypothesis_internal_use_settings", None):
                drawn._hypothesis_internal_use_settings = settings(own, max_examples=min(own.max_examples, EXAMPLES))


def run_tests(module: str, tree: ast.AST, scratch: str, loaded: Any = None) -> int:
    """In a process of its own: pytest's exit status for the tests of a module whose tree may hold a fault."""
    import pytest
    from hypothesis import settings

    settings.register_profile("mutants", database=None, derandomize=True, deadline=None)
    settings.load_profile("mutants")
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sys.meta_path.insert(0, _Faulty(module, ast.fix_missing_locations(tree)))
    words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--basetemp={scratch}", "--no-header", *TESTS[module]]
    status = int(pytest.main(words, plugins=[_Quick()]))
    if loaded is not None:
        loaded.extend(sorted(name for name in sys.modules if name.partition(".")[0] not in ROOMS | {"__main__"}))
    return status


def _child(mutant: Mutant | None, module: str, tree: ast.AST, scratch: str, loaded: Any = None) -> None:
    if mutant:
        mutant.apply()
    status = run_tests(module, tree, scratch, loaded)
    sys.stdout.flush()
    os._exit(status)


def prepare(module: str, tree: ast.AST, scratch: str) -> float:
    """Load here all that the tests of a module load, so that each fault costs less; the seconds that they take then.

    Ends the program if they fail without any fault.
    """
    context = multiprocessing.get_context("fork")
    with multiprocessing.Manager() as manager:
        for loaded in (manager.list(), None):
            began = time.monotonic()
            child = context.Process(target=_child, args=(None, module, tree, scratch, loaded))
            child.start()
            child.join()
            if child.exitcode:
                raise SystemExit(f"{module}: its tests fail without any fault (pytest's status {child.exitcode})")
            for name in loaded or ():
                with suppress(ImportError):
                    importlib.import_module(name)
    return time.monotonic() - began


def survivors(chosen: Sequence[Mutant], trees: dict[str, ast.AST], scratch: Path, patience_s: dict[str, float]) -> list[Mutant]:
    """The faults that no test notices. A test that never ends has noticed."""
    context, waiting, running, alive = multiprocessing.get_context("fork"), list(chosen)[::-1], {}, []
    number = 0
    scratch.mkdir()
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            mutant, number = waiting.pop(), number + 1
            args = (mutant, mutant.module, trees[mutant.module], str(scratch / str(number)))
            child = context.Process(target=_child, args=args)
            child.start()
            running[child] = (mutant, time.monotonic() + patience_s[mutant.module])
        for child, (mutant, until) in list(running.items()):
            if child.is_alive() and time.monotonic() < until:
                continue
            if child.is_alive():
                child.kill()
            child.join()
            if child.exitcode == 0:
                alive.append(mutant)
            elif child.exitcode in (3, 4, 5):
                raise SystemExit(f"{mutant}: pytest itself failed (status {child.exitcode})")
            del running[child]
        time.sleep(0.02)
    return alive


def show(name: str, mutants: int, alive: int) -> None:
    """One line for `make bench`."""
    share = 1 - alive / mutants if mutants else 1.0
    line = {"name": name, "value": round(share, 4), "bar": BAR, "holds": share >= BAR, "mutants": mutants, "survivors": alive}
    print(json.dumps(line), flush=True)


def main() -> None:
    """Sample, run, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=60, help="this many faults in all; 0 for every one, which takes hours")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--module", action="append", choices=sorted(TESTS), help="only this module; repeat it")
    parser.add_argument("--survivors", type=Path, help="write the faults that no test notices to this file")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    modules = options.module or list(TESTS)
    trees = {module: ast.parse((ROOT / module).read_text(encoding="utf-8")) for module in modules}
    every = [mutant for module in modules for mutant in mutants(module, trees[module])]
    chosen = random.Random(options.seed).sample(every, options.sample) if 0 < options.sample < len(every) else every
    by_module = defaultdict(list)
    for mutant in chosen:
        by_module[mutant.module].append(mutant)
    alive: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="podcast-mutants-") as scratch:
        for module, some in by_module.items():
            took_s = prepare(module, trees[module], f"{scratch}/as-it-is")
            left = survivors(some, trees, Path(scratch) / module.replace("/", "-"), {module: MOST_S + 3 * took_s})
            show(module, len(some), len(left))
            alive += left
    show("all", len(chosen), len(alive))
    if options.survivors:
        options.survivors.write_text("".join(f"{mutant}\n" for mutant in alive))


if __name__ == "__main__":
    main()
