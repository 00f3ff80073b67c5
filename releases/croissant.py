"""croissant.json of a release: tables and columns in MLCommons' Croissant 1.0, which hubs and loaders of data sets read.

Sums are those of SHA256SUMS. There is no date in it: the same release gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from releases.citation import CREATOR, KEYWORDS, SITE, licence_address

FILE = "croissant.json"
VERSION = "http://mlcommons.org/croissant/1.0"
FORMATS = {"csv": "text/csv", "tsv": "text/tab-separated-values"}
NUMBERS = (
    *("duration_s", "start_time_s", "end_time_s", "low_hz", "high_hz", "confidence", "value", "low_95", "high_95"),
    *("predicted_start_time_s", "predicted_end_time_s", "predicted_low_hz", "predicted_high_hz"),
    *("page_open_s", "heard_s", "page_length_s", "heard_share", "blind_value", "shown_value", "chance", "detectable"),
)
TRUTHS = ("ground_truth", "audio_loaded", "faster_than_sound", "blind", "led")
COUNTS = (
    *(
        "reviewers",
        "boxes",
        "votes",
        "aphia_id",
        "itis_tsn",
        "review",
        "sessions",
        "reviews",
        "shown",
        "accepted",
        "moved",
        "deleted",
        "found",
        "added",
    ),
    *("added_found", "blind_sessions", "shown_sessions"),
)
TYPES = (
    dict.fromkeys(NUMBERS, "sc:Float")
    | dict.fromkeys(COUNTS, "sc:Integer")
    | dict.fromkeys(TRUTHS, "sc:Boolean")
    | {"date": "sc:Date"}
)
"""Types of columns; one that ends in _utc is a moment, any other text."""

SESSION = "session_id"

_CROISSANT = (
    *(
        "citeAs",
        "column",
        "equivalentProperty",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
    ),
    *(
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
    ),
    *("samplingRate", "separator", "source", "subField", "transform"),
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{word: f"cr:{word}" for word in _CROISSANT},
}
"""What the short names of a Croissant file stand for; its specification fixes them."""


def croissant(
    name: str,
    licence: str,
    description: str,
    tables: Mapping[str, Sequence[str]],
    digests: Mapping[str, str],
    *,
    audio: bool,
) -> str:
    """The file as JSON. `tables` gives the columns of each table by its file's name, `digests` the sha256 of each."""
    content = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": name,
        "description": description,
        "url": SITE,
        "license": licence_address(licence),
        "creator": {"@type": "sc:Organization", "name": CREATOR, "url": SITE},
        "keywords": list(KEYWORDS),
        "citeAs": f"{CREATOR}: {name}",
        "distribution": [
            *({"@type": "cr:FileObject", **_file(table, digests[table])} for table in tables),
            *([_WAVS] if audio else []),
        ],
        "recordSet": [_records(table, columns) for table, columns in tables.items()],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _file(table: str, digest: str) -> dict[str, str]:
    kind = FORMATS[table.rpartition(".")[2]]
    return {"@id": table, "name": table, "contentUrl": table, "encodingFormat": kind, "sha256": digest}


_WAVS = {
    "@type": "cr:FileSet",
    "@id": "wav",
    "name": "wav",
    "description": "The audio of the sessions, named in sessions/wav_filename.",
    "encodingFormat": "audio/wav",
    "includes": "wav/*.wav",
}


def _records(table: str, columns: Sequence[str]) -> dict[str, Any]:
    name = table.rpartition(".")[0]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        **({"key": {"@id": f"{name}/{SESSION}"}} if name == "sessions" else {}),
        "field": [_field(table, name, column) for column in columns],
    }


def _field(table: str, name: str, column: str) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{name}/{column}",
        "name": column,
        "dataType": data_type(column),
        "source": {"fileObject": {"@id": table}, "extract": {"column": column}},
    }
    if column == SESSION and name != "sessions":
        field["references"] = {"field": {"@id": f"sessions/{SESSION}"}}
    return field


def data_type(column: str) -> str:
    """The type of a column; an empty cell is a missing value in all of them."""
    return TYPES.get(column, "sc:DateTime" if column.endswith("_utc") else "sc:Text")
