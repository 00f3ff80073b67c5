"""Text, JSON, YAML and tables from anywhere: every way in which bytes can be wrong becomes an InputError or a named line.

Whoever reads a file that people or other programs wrote reads it through this module, so that no importer needs a list of its own
of what Python's parsers raise.
"""

from __future__ import annotations

import ast
import codecs
import csv
import io
import json
import reprlib
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, BinaryIO, Literal

import yaml

from podcast.errors import InputError

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Longest first where one begins like another: UTF-32's little-endian mark begins like that of UTF-16."""

MOST_YAML_BYTES = 2**20
MOST_PYTHON_LETTERS = 2**20


def decode(content: bytes, name: str) -> str:
    """Text in UTF-8, or in UTF-16 or UTF-32 with a byte order mark, without the mark. Raises InputError for anything else."""
    try:
        return content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: not UTF-8 text; save it as UTF-8") from error


def parse_json(content: bytes, name: str, surrogates: Literal["refuse", "replace"] = "refuse") -> Any:
    """The value in a JSON file. Raises InputError naming `name` for text that is no JSON, that is nested too deeply to be read,
    or that says a field twice, since one of the two would be lost.

    Half of a surrogate pair, which no file or program can take, is refused too, or replaced by "?".
    """
    text = decode(content, name)
    try:
        value = json.loads(text, object_pairs_hook=_object)
        if "\\ud" not in text.lower():
            return value
        whole = json.dumps(value, ensure_ascii=False).encode(errors="strict" if surrogates == "refuse" else "replace")
        return json.loads(whole)
    except RecursionError as error:
        raise InputError(f"{name}: nested too deeply to be read") from error
    except UnicodeEncodeError as error:
        raise InputError(f"{name}: holds half of a surrogate pair, which is no letter") from error
    except ValueError as error:  # JSONDecodeError, numbers of more digits than Python takes, and a field that comes twice
        raise InputError(f"{name}: not JSON ({error})") from error


def number_in(item: Mapping[str, Any], field: str, where: str) -> float:
    """A field of an object that was parsed. Raises InputError naming `where` and the field if it is missing or no number."""
    value = item.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}.{field}: expected a number, not {reprlib.repr(value)}")
    try:
        return float(value)
    except OverflowError as error:
        raise InputError(f"{where}.{field}: {reprlib.repr(value)} is too large a number") from error


def parse_python(content: bytes, name: str) -> Any:
    """The value in a file in Python's notation, as JSON would give it; nothing is executed.

    Raises InputError naming `name` for anything else, and for what JSON could not say.
    """
    text = decode(content, name).strip()
    try:
        if len(text) > MOST_PYTHON_LETTERS:
            raise ValueError(f"longer than {MOST_PYTHON_LETTERS} letters")
        with warnings.catch_warnings(action="ignore"):  # of backslashes, in Windows paths
            tree = ast.parse(text, mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                _object([(str(key.value), None) for key in node.keys if isinstance(key, ast.Constant)])
        written = json.dumps(ast.literal_eval(tree))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(f"{name}: not readable as Python's notation ({type(error).__name__})") from error
    return parse_json(written.encode(), name)


def parse_yaml(content: bytes, name: str) -> Any:
    """The value in a YAML file. Raises InputError naming `name`; aliases are refused, since a few lines of them fill any memory.

    What the file says is not repeated in the error: it may hold keys.
    """
    if len(content) > MOST_YAML_BYTES:
        raise InputError(f"{name}: larger than {MOST_YAML_BYTES} bytes, which is too large for settings")
    text = decode(content, name)
    try:
        return yaml.load(text, _NoAliases)  # noqa: S506 (a SafeLoader)
    except _AliasError as error:
        raise InputError(f"{name}: anchors and aliases are not read; write the value where it belongs") from error
    except RecursionError as error:
        raise InputError(f"{name}: nested too deeply to be read") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(f"{name}{f', line {mark.line + 1}' if mark else ''}: not YAML") from error
    # What its constructors raise for values that are not what their own tags say.
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
        raise InputError(f"{name}: not YAML, or a value that cannot be one of its kind ({type(error).__name__})") from error


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: where it stands, and its cells by column.

    `problem` says in words why it cannot be trusted (`rule` in one word), empty for a good line; its cells are those that there
    are, so that whoever reads it can still tell which session it spoils.
    """

    number: int
    where: str
    cells: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""
    problem: str = ""


class Table:
    """A table with a header, read line by line in memory that does not grow. Bad lines come with a `problem`, none is dropped:
    a quote that is never closed spoils its own line, not those that follow.

    Columns go by name, in any order. A quoted cell may go on over several lines where `multiline` says so. Raises InputError
    naming the file for one without a header, without a column of `needed`, or with two columns of one name.
    """

    def __init__(self, file: BinaryIO, name: str, delimiter: str, needed: Sequence[str] = (), *, multiline: bool = False) -> None:
        self.name, self._delimiter, self._multiline = name, delimiter, multiline
        encoding = _encoding(file.read(4))
        file.seek(0)
        # Undecodable bytes become letters by which their lines are found.
        errors, self._replaced = ("surrogateescape", "") if encoding.startswith("utf-8") else ("replace", "\ufffd")
        self._text = io.TextIOWrapper(file, encoding, errors=errors, newline="")
        self._waiting: deque[str] = deque()
        self._number = 0
        self.columns: list[str] = []
        if line := next(self._lines(), ""):
            self.columns = self._cells(line)[0]
        if missing := [column for column in needed if column not in self.columns]:
            kind = "tab separated" if delimiter == "\t" else "separated by commas"
            raise InputError(f"{name}, line 1: columns {missing} are missing; expected {list(needed)}, {kind}")
        if (twice := _first_twice(self.columns)) is not None:
            raise InputError(f"{name}, line 1: the column {twice!r} stands there twice")

    def __iter__(self) -> Iterator[Line]:
        for text in self._lines():
            number = self._number
            row, problem = self._cells(text)
            where, cells = f"{self.name}, line {number}", dict(zip(self.columns, row, strict=False))
            if problem:
                yield Line(number, where, _readable(cells), "csv", problem)
            elif not text.isascii() and any(map(self._is_undecodable, row)):
                yield Line(number, where, _readable(cells), "utf-8", "is not UTF-8 text; save the table as UTF-8")
            elif len(row) != len(self.columns):
                yield Line(number, where, cells, "cells", f"has {len(row)} cells, expected {len(self.columns)} as in the header")
            else:
                yield Line(number, where, cells)

    def _lines(self) -> Iterator[str]:
        """Lines that are not empty, as they stand in the file; `_number` is that of the last one given."""
        while text := self._waiting.popleft() if self._waiting else self._text.readline():
            self._number += 1
            if text.strip("\r\n"):
                yield text

    def _cells(self, text: str) -> tuple[list[str], str]:
        """The cells of the record that begins with this line, and why it is none.

        Only lines with quotes go to the csv module: a quote that is not closed makes it take the rest of the file for one cell.
        """
        plain = text.rstrip("\r\n")
        if '"' not in text:
            return plain.split(self._delimiter), "" if len(text) <= csv.field_size_limit() else "is too long"
        taken: list[str] = []
        try:
            lines = chain([text], self._following(taken) if self._multiline else ())
            row = next(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            self._waiting.extendleft(reversed(taken))
            bare = [cell.strip('"') for cell in plain.split(self._delimiter)]
            return bare, f"cannot be read as a line of a table ({error})"
        self._number += len(taken)
        return row, ""

    def _following(self, taken: list[str]) -> Iterator[str]:
        """The next lines, as the csv module asks for them; each is noted in `taken`."""
        while text := self._waiting.popleft() if self._waiting else self._text.readline():
            taken.append(text)
            yield text

    def _is_undecodable(self, cell: str) -> bool:
        return any("\ud800" <= letter <= "\udfff" or letter == self._replaced for letter in cell)


def _encoding(start: bytes) -> str:
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError if a field comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the field {_first_twice(name for name, _ in pairs)!r} comes twice")
    return found


def _first_twice(names: Iterable[str]) -> str | None:
    """The first name that comes twice, cut short if it is long; empty names do not count."""
    seen: set[str] = set()
    for name in filter(None, names):
        if name in seen:
            return name[:40]
        seen.add(name)
    return None


def _readable(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: cell.encode("utf-8", "replace").decode() for name, cell in cells.items()}


class _AliasError(yaml.YAMLError):
    """An alias, which stands for a value of another place."""


class _NoAliases(yaml.SafeLoader):
    """Refuses anchors and what refers to them."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _AliasError
        return super().compose_node(parent, index)
