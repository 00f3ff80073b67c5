"""Which tasks an import of this set-up wrote as they are: a keyed hash over what the ML backend would believe of them.

Anybody who may edit a task can name the hash of other audio, and would be answered with that recording's boxes (docs/adr/0067).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from labelstudio.labels import RECORDING

FIELD = "signature"
BLIND = "blind"
"""The field of a task whose session is heard without boxes; true, or not there."""
_CONTEXT = b"podcast: audio of a task, 1"


def signing_key(secret: str) -> bytes:
    """The key for signatures: of AUDIO_SIGNING_KEY, or of the account's key; empty, which signs nothing, without either."""
    return hmac.digest(secret.encode(), _CONTEXT, "sha256") if secret else b""


def signature(data: Mapping[str, Any], audio_field: str, key: bytes) -> str:
    """The signature of a task's data; empty where there is no key, or no hash of the audio to vouch for."""
    if not key or not data.get("sha256"):
        return ""
    said = [data.get("session_id"), data.get(audio_field), data.get("sha256"), data.get("duration_s")]
    said += [data[RECORDING]] if data.get(RECORDING) else []
    said += [True] if data.get(BLIND) is True else []
    return hmac.digest(key, json.dumps(said).encode(), "sha256").hex()


def is_signed(data: Mapping[str, Any], audio_field: str, key: bytes) -> bool:
    """Whether an import with this key wrote these data."""
    given = data.get(FIELD)
    expected = signature(data, audio_field, key)
    return bool(expected) and isinstance(given, str) and hmac.compare_digest(given.encode(errors="replace"), expected.encode())
