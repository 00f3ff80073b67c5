"""Small faults in a module's syntax tree: comparisons, arithmetic, and/or/not, constants, returned values, and text that is a key
or a value. Left out is what no test can or should notice: docstrings, annotations, decorators, the words of errors and warnings,
`strict=` of zip, sizes of buffers (powers of two), and what is listed under `SAME`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult},
    **{ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr},
}
WORDS_OF = {
    "InputError",
    "StorageError",
    "PodcastError",
    "Refusal",
    "warn",
    "warning",
    "info",
    "say",
    "default_rng",
    "TypeVar",
    "add_argument",
}

SAME = {
    "podcast/splits.py": {
        "'callsX' in place of 'calls'": "a key that this module alone uses",
        "'sessionsX' in place of 'sessions'": "a key that this module alone uses",
        "not Gt in end_ms > last[own][0]": "of two recordings with one end, either tells how far they reach",
        "not Gt in end_ms > last[unit.node][0]": "of two recordings with one end, either tells how far they reach",
    },
    "labelstudio/tasks.py": {
        "not Lt in duration_s < end_s <= duration_s + EDGE_S": "a box that ends with its recording ends there either way",
    },
}
"""Faults of a module, in words, that leave its behaviour as it is, and why."""


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
    """Every fault that can be put into a module's tree and that changes what it does."""
    return (mutant for mutant in _every(module, tree) if mutant.what not in SAME.get(module, {}))


def _every(module: str, tree: ast.AST) -> Iterator[Mutant]:

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
            and not (isinstance(node.value, ast.Constant) and (node.value.value is None or node.value.value is False))
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
