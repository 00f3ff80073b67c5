"""Draws the rooms of this project from the imports of its code: `python docs/rooms.py` prints the picture, `make rooms` puts it
into docs/README.md. A test compares the two, so the picture stays true."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "README.md"
BEGIN, END = "<!-- rooms: made by docs/rooms.py -->\n", "<!-- end of rooms -->\n"
NO_ROOMS = ("tests", "docs", "benchmarks")


def rooms() -> dict[str, str]:
    """Every package at the top of the tree, and the first sentence of its docstring."""
    found = {}
    for path in sorted(ROOT.glob("*/__init__.py")):
        if path.parent.name not in NO_ROOMS:
            words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.parent.name] = " ".join(words.partition(". ")[0].split()).rstrip(".")
    return found


def arrows(known: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Which room imports which, those alone that no longer way already tells."""
    uses = {
        room: sorted({name for path in (ROOT / room).rglob("*.py") for name in _imported(path)} & known.keys() - {room})
        for room in known
    }

    def reached(room: str) -> set[str]:
        return set(uses[room]).union(*(reached(other) for other in uses[room]))

    for room, others in uses.items():
        for other in others:
            if not any(other in reached(between) for between in others):
                yield room, other


def picture() -> str:
    """The rooms as a Mermaid diagram, and a table of what each is for."""
    known = rooms()
    lines = ["```mermaid", "flowchart TD", *(f"    {room} --> {other}" for room, other in arrows(known)), "```", ""]
    lines += ["| room | is for |", "|---|---|", *(f"| `{room}/` | {words} |" for room, words in known.items())]
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with the picture as it must be now."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + picture() + END + rest.split(END)[1]


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
