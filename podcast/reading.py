"""Text, JSON, YAML and tables from anywhere: every way in which bytes can be wrong becomes an InputError or a named line.

Whoever reads a file that people or other programs wrote reads it through this module, so that no importer needs a list of its own
of what Python's parsers raise.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


def decode(content: bytes, name: str) -> str:
    """Text in UTF-8, or in UTF-16 or UTF-32 with a byte order mark, without the mark. Raises InputError for anything else."""
    try:
        return content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: not UTF-8 text; save it as UTF-8") from error


def parse_json(content: bytes, name: str, surrogates: Literal["refuse", "replace"] = "refuse") -> Any:
    """The value in a JSON file. Raises InputError naming `name` for text that is no JSON, or nested too deeply to be read.

    Half of a surrogate pair, which no file or program can take, is refused too, or replaced by "?".
    """
    text = decode(content, name)
    try:
        value = json.loads(text)
        if "\\ud" not in text.lower():
            return value
        whole = json.dumps(value, ensure_ascii=False).encode(errors="strict" if surrogates == "refuse" else "replace")
        return json.loads(whole)
    except RecursionError as error:
        raise InputError(f"{name}: nested too deeply to be read") from error
    except UnicodeEncodeError as error:
        raise InputError(f"{name}: holds half of a surrogate pair, which is no letter") from error
    except ValueError as error:  # JSONDecodeError, and numbers of more digits than Python takes
        raise InputError(f"{name}: not JSON ({error})") from error


def parse_yaml(content: bytes, name: str) -> Any:
    """The value in a YAML file. Raises InputError naming `name`; anchors are refused, since a few lines of them fill any memory.

    What the file says is not repeated in the error: it may hold keys.
    """
    if len(content) > MOST_YAML_BYTES:
        raise InputError(f"{name}: larger than {MOST_YAML_BYTES} bytes, which is too large for settings")
    try:
        return yaml.load(decode(content, name), _NoAliases)  # noqa: S506 (a SafeLoader)
    except RecursionError as error:
        raise InputError(f"{name}: nested too deeply to be read") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{name}{line}: not YAML ({error.problem or error.context})") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{name}: not YAML ({type(error).__name__})") from error


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
    """A table with a header, read line by line in memory that does not grow. Bad lines come with a `problem`, none is dropped.

    Columns go by name, in any order. Raises InputError naming the file for one without a header or without a column of `needed`.
    """

    def __init__(self, file: BinaryIO, name: str, delimiter: str, needed: Sequence[str] = ()) -> None:
        self.name, self._number = name, 1
        encoding = _encoding(file.read(4))
        file.seek(0)
        # Undecodable bytes become lone surrogates, by which their lines are found.
        text = io.TextIOWrapper(
            file, encoding, errors="surrogateescape" if encoding.startswith("utf-8") else "replace", newline=""
        )
        self._reader = csv.reader(text, delimiter=delimiter, strict=True)
        header = next(self._rows(), None)
        self.columns = [] if header is None or isinstance(header, str) else header
        if missing := [column for column in needed if column not in self.columns]:
            kind = "tab separated" if delimiter == "\t" else "separated by commas"
            raise InputError(f"{name}, line 1: columns {missing} are missing; expected {list(needed)}, {kind}")

    def __iter__(self) -> Iterator[Line]:
        for row in self._rows():
            number = self._reader.line_num
            where = f"{self.name}, line {number}"
            if isinstance(row, str):
                yield Line(number, where, {}, "csv", row)
                continue
            cells = dict(zip(self.columns, row, strict=False))
            if any("\ud800" <= letter <= "\udfff" for cell in row if not cell.isascii() for letter in cell):
                readable = {name: cell.encode("utf-8", "replace").decode() for name, cell in cells.items()}
                yield Line(number, where, readable, "utf-8", "is not UTF-8 text; save the table as UTF-8")
            elif len(row) != len(self.columns):
                yield Line(number, where, cells, "cells", f"has {len(row)} cells, expected {len(self.columns)} as in the header")
            else:
                yield Line(number, where, cells)

    def _rows(self) -> Iterator[list[str] | str]:
        """Rows as the csv module gives them, empty lines left out; its complaint in place of a row that it cannot read."""
        while True:
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except (csv.Error, UnicodeDecodeError) as error:
                yield f"cannot be read as a line of a table ({error})"
                continue
            if row:
                yield row


def _encoding(start: bytes) -> str:
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")


class _NoAliases(yaml.SafeLoader):
    """Refuses anchors and what refers to them."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not read", None)
        return super().compose_node(parent, index)
