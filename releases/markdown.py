"""Text from outside as Markdown, and tables of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def plain(text: object) -> str:
    """Text from outside (names, descriptions, a licence) as Markdown that shows just these letters, on one line.

    Underscores within a word mean nothing in Markdown and stay, so that names of nodes can be read in the file itself. The dot of
    an address is written as a character reference, or it would become a link.
    """
    line = " ".join(str(text).split())
    line = re.sub(r"[\\`*\[\]{}#|~!$]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", line)
    for letter, reference in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("://", "&#58;//"),
        ("www.", "www&#46;"),
        ("@", "&#64;"),
    ):
        line = line.replace(letter, reference)
    return line


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table with these columns; cells are as `plain` gives them."""
    lines = [header, *([plain(cell) for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(header))
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
