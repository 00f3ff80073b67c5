"""CITATION.cff of a release: how to name it, in the Citation File Format 1.2, which GitHub, Zenodo and Zotero read."""

from __future__ import annotations

import re
from typing import Any

import yaml

FILE = "CITATION.cff"
VERSION = "1.2.0"
CREATOR = "Orcasound and its volunteers"
SITE = "https://www.orcasound.net"
KEYWORDS = ("orca", "killer whale", "bioacoustics", "hydrophone", "Orcasound")


def citation(name: str, licence: str, abstract: str) -> str:
    """The file as YAML. It holds no date, which would be this machine's clock, and so says which release by its name."""
    content: dict[str, Any] = {
        "cff-version": VERSION,
        "message": "If you use this dataset, please cite it as below.",
        "type": "dataset",
        "title": name,
        "version": name,
        "authors": [{"name": CREATOR, "website": SITE}],
        "abstract": abstract,
        "keywords": list(KEYWORDS),
    }
    if identifier := spdx(licence):
        content["license"] = identifier
    else:
        content["abstract"] = f"{abstract} Licence: {' '.join(licence.split())}."
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


def spdx(licence: str) -> str:
    """The SPDX identifier of a Creative Commons licence as people write it (CC BY-NC-SA 4.0); empty for any other, since the
    format takes no identifier that is not on SPDX's list."""
    plain = "-".join(licence.upper().split())
    return plain if re.fullmatch(r"CC-BY(-NC)?(-SA|-ND)?-[1-4]\.0|CC0-1\.0", plain) else ""


def licence_address(licence: str) -> str:
    """Where a Creative Commons licence stands; any other is given back as it is written."""
    identifier = spdx(licence)
    if identifier == "CC0-1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    if not identifier:
        return " ".join(licence.split())
    words, _, version = identifier.lower().removeprefix("cc-").rpartition("-")
    return f"https://creativecommons.org/licenses/{words}/{version}/"
