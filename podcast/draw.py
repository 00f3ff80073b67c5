"""Which sessions of a round are drawn for something: decided by their names alone, so the same on any machine at any time."""

from __future__ import annotations

import hashlib

BLIND_SHARE = 0.1
"""The share of a round that is heard without boxes, where somebody asks for blind sessions and for no other share."""


def drawn(purpose: str, round_name: str, session_id: str, share: float) -> bool:
    """Whether a session is among a share (0 to 1) of its round. A larger share holds a smaller one; purposes are independent."""
    digest = hashlib.sha256("\0".join((purpose, round_name, session_id)).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
