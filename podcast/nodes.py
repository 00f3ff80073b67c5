"""Orcasound's hydrophones: display name and place of each node, from the table `nodes.tsv` that maintainers edit."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NODES_PATH = Path(__file__).with_name("nodes.tsv")


@dataclass(frozen=True, slots=True)
class Node:
    """One hydrophone; latitude and longitude in degrees north and east (WGS 84), None for a node that is not in the table."""

    source_guid: str
    name: str
    latitude: float | None = None
    longitude: float | None = None


@cache
def _table() -> tuple[dict[str, Node], dict[str, str]]:
    with NODES_PATH.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    nodes = {row["node"]: Node(row["node"], row["name"], float(row["latitude"]), float(row["longitude"])) for row in rows}
    names = {
        _plain(name): row["node"] for row in rows for name in (row["node"], row["name"], *(row["also"] or "").split(";")) if name
    }
    return nodes, names


def find_node(source_guid: str) -> Node:
    """The node of this id; one that the table does not have goes by its id, without a place."""
    return _table()[0].get(source_guid) or Node(source_guid, source_guid)


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
