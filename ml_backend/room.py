"""How much audio one process holds at a time."""

from __future__ import annotations

import threading


class Room:
    """Room for `size` samples, shared by all threads that decode.

    Who holds some and finds no more must first use up what it holds: only the empty-handed may wait, so nobody waits for ever.
    """

    def __init__(self, size: int) -> None:
        self.size = self._free = size
        self._changed = threading.Condition()

    def take(self, samples: int, timeout_s: float) -> bool:
        """Take room for `samples`, waiting for it at most `timeout_s`; False if there is none by then."""
        with self._changed:
            if not self._changed.wait_for(lambda: samples <= self._free, max(timeout_s, 0.0)):
                return False
            self._free -= samples
            return True

    def give(self, samples: int) -> None:
        """Give room back."""
        with self._changed:
            self._free += samples
            self._changed.notify_all()
