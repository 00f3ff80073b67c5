"""The rules of croissant.json and CITATION.cff: readable, and true of the files beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podcast import audio, storage
from podcast.errors import InputError
from podcast.reading import parse_json, parse_yaml
from releases import citation, croissant
from releases.findings import Finding, open_table


def lint(folder: str) -> Iterator[Finding]:
    """Every breach in the two files; releases of before have neither."""
    for name, parse, rules in (
        (croissant.FILE, parse_json, _croissant),
        (citation.FILE, parse_yaml, _citation),
    ):
        uri = storage.join(folder, name)
        if not storage.exists(uri):
            continue
        rule = name.partition(".")[0].lower()
        try:
            for message in rules(folder, parse(storage.read(uri), name)):
                yield Finding(name, 0, rule, message)
        except InputError as error:
            yield Finding(name, 0, rule, str(error).removeprefix(f"{name}: "))
        except (KeyError, TypeError, AttributeError) as error:
            yield Finding(name, 0, rule, f"not as a release has it ({type(error).__name__}: {error})")


def _croissant(folder: str, content: Mapping[str, Any]) -> Iterator[str]:
    if content["conformsTo"] != croissant.VERSION:
        yield f"conforms to {content['conformsTo']!r}, expected {croissant.VERSION}"
    files = {item["@id"]: item for item in content["distribution"] if item["@type"] == "cr:FileObject"}
    described = {storage.file_name(uri) for ending in croissant.FORMATS for uri in storage.list_files(folder, f".{ending}")}
    for name in sorted(described - set(files)):
        yield f"{name} is not described"
    for name, item in files.items():
        if not storage.exists(storage.join(folder, name)):
            yield f"{name} is missing"
            continue
        with storage.open_read(storage.join(folder, name)) as file:
            if audio.sha256(file) != item["sha256"]:
                yield f"the sha256 of {name} is not that of the file"
    for records in content["recordSet"]:
        name = records["field"][0]["source"]["fileObject"]["@id"]
        columns = [field["source"]["extract"]["column"] for field in records["field"]]
        if name not in files:
            yield f"record set {records['@id']!r} is of {name}, which is no file of it"
        elif storage.exists(storage.join(folder, name)):
            with open_table(folder, name, "\t" if name.endswith(".tsv") else ",") as table:
                if columns != list(table.columns):
                    yield f"the columns of {name} are {columns}, and in the file {list(table.columns)}"


def _citation(_folder: str, content: Mapping[str, Any]) -> Iterator[str]:
    if content["cff-version"] != citation.VERSION:
        yield f"cff-version is {content['cff-version']!r}, expected {citation.VERSION}"
    for field in ("title", "message"):
        if not (isinstance(content[field], str) and content[field]):
            yield f"{field} is {content[field]!r}, expected text"
    if not (isinstance(content["authors"], list) and content["authors"]):
        yield "authors: expected a list of at least one"
