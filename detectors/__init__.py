"""Detectors: samples in, detections out. The one room with torch; `DETECTORS` maps a name to the function that loads it."""

from __future__ import annotations

from detectors.base import Detector, Load
from podcast.errors import InputError


def _energy() -> Detector:
    from detectors.energy import EnergyDetector

    return EnergyDetector()


# Each function imports its own module, so that a name costs no torch until it is loaded.
DETECTORS: dict[str, Load] = {"energy": _energy}


def load_detector(name: str) -> Detector:
    """Load a detector by name. Raises InputError for an unknown name."""
    if name not in DETECTORS:
        raise InputError(f"there is no detector {name!r}; expected one of {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name]()
