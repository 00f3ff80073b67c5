"""How Label Studio can reach a blob in the name of its page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class PageStorage:
    """One bucket or container: `fields` are those of Label Studio's storage object, keys among them where they are fixed ones.

    Credentials that expire are left out; Label Studio then needs some of its own.
    """

    kind: Literal["s3", "azure"]
    container: str
    fields: dict[str, str] = field(default_factory=dict, hash=False, repr=False)
