"""Orcasound's hydrophones: display name and place of each node, from the table `nodes.tsv` that maintainers edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from podcast.errors import InputError
from podcast.reading import Table

NODES_PATH = Path(__file__).with_name("nodes.tsv")
COLUMNS = ("node", "name", "latitude", "longitude", "also")


@dataclass(frozen=True, slots=True)
class Node:
    """One hydrophone; latitude and longitude in degrees north and east (WGS 84), None for a node that is not in the table."""

    source_guid: str
    name: str
    latitude: float | None = None
    longitude: float | None = None


@cache
def _table() -> tuple[dict[str, Node], dict[str, str]]:
    with NODES_PATH.open("rb") as file:
        rows = list(parse_nodes(file, str(NODES_PATH)))
    nodes = {node.source_guid: node for node, _ in rows}
    return nodes, {_plain(name): node.source_guid for node, names in rows for name in names if name}


def parse_nodes(file: BinaryIO, name: str) -> Iterator[tuple[Node, list[str]]]:
    """Each node and the names that it goes by. Raises InputError naming the line and column that is wrong."""
    for line in Table(file, name, "\t", COLUMNS):
        if line.problem:
            raise InputError(f"{line.where}: {line.problem}")
        cells, places = line.cells, []
        for column, most in (("latitude", 90), ("longitude", 180)):
            try:
                places.append(float(cells[column]))
            except ValueError:
                places.append(most + 1.0)
            if not -most <= places[-1] <= most:
                raise InputError(f"{line.where}, {column}: expected degrees from -{most} to {most}, not {cells[column]!r}")
        yield Node(cells["node"], cells["name"], *places), [cells["node"], cells["name"], *cells["also"].split(";")]


def find_node(source_guid: str) -> Node:
    """The node of this id; one that the table does not have goes by its id, without a place."""
    return _table()[0].get(source_guid) or Node(source_guid, source_guid)


def slug_of(source_guid: str) -> str:
    """The node's name in Orcasound's web addresses: rpi_orcasound_lab is `orcasound-lab`."""
    return source_guid.removeprefix("rpi_").replace("_", "-")


def node_of_location(location: str) -> str:
    """The id of the node that a location's free text names (`Orcasound Lab Hydrophone`), or the text itself if none."""
    return _table()[1].get(_plain(location), location.strip())


def _plain(name: str) -> str:
    words = name.lower().replace("_", " ").replace("-", " ").split()
    if words[:1] == ["rpi"]:
        del words[0]
    if words[-1:] == ["hydrophone"]:
        del words[-1]
    return " ".join(words)
