"""Fifty entries in a cache, in a process of its own: `cache_writer.py FOLDER PART`."""

from __future__ import annotations

import sys
from pathlib import Path

from ml_backend.cache import DetectionCache, Heard
from podcast.model import ModelRun

RUN = ModelRun("energy", "1")

if __name__ == "__main__":
    cache = DetectionCache(Path(sys.argv[1]), 1000)
    for number in range(50):
        cache.put(f"{sys.argv[2]}-{number}", RUN, Heard(1.5, ()))
