"""What `/metrics` tells Prometheus, summed over all workers."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter as Sums
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from podcast import reading, storage
from podcast.errors import PodcastError
from podcast.settings import Settings

logger = logging.getLogger(__name__)

REQUESTS = Counter("podcast_ml_requests_total", "Requests by view and status", ["view", "status"])
LATENCY = Histogram("podcast_ml_request_seconds", "Time from request to answer", ["view"])
SESSIONS = Counter("podcast_ml_sessions_total", "Sessions by what became of them", ["outcome"])
CACHE_HITS = Counter("podcast_ml_cache_hits_total", "Sessions answered from the cache")
MODEL = Gauge("podcast_ml_model_info", "Workers that serve a model version", ["model_version"], multiprocess_mode="livesum")
PROMOTED_SERVED = Gauge(
    "podcast_ml_promoted_served", "1 where every worker serves the model that is promoted, else 0", multiprocess_mode="livemin"
)

EDITS, LOCK = "edits.json", "edits.lock"
"""In the cache's folder: what people changed, as `ml_backend.edits` writes it, and what is touched whenever that begins."""
BOXES = ("kept", "moved", "deleted", "added")


def exposition(settings: Settings) -> bytes:
    """All metrics in Prometheus' text format; of every worker, where gunicorn runs several.

    What people changed comes from a file. If that is old, a process is started that asks Label Studio anew; nobody waits for it.
    """
    people = CollectorRegistry()
    people.register(_People(settings.ml_cache_dir))
    if settings.label_studio_api_key:
        _ask_anew(settings.ml_cache_dir / LOCK, settings.ml_edits_every_s)
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest() + generate_latest(people)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(people)


def read_edits(folder: Path) -> dict[str, Any]:
    """What people changed, by project, and when Label Studio was asked, in seconds since 1970 (0: never)."""
    path = folder / EDITS
    try:
        found = reading.parse_json(storage.read(str(path)), str(path))
        return {"asked": float(found["asked"]), "rounds": dict(found["rounds"])}
    except (PodcastError, KeyError, TypeError, ValueError):  # not there yet, or damaged: it is made anew
        return {"asked": 0.0, "rounds": {}}


class _People(Collector):
    """The edits of all rounds by model version."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See Prometheus' client."""
        found, sums = read_edits(self._folder), dict[str, Sums[str]]()
        for one in found["rounds"].values():
            for version, counts in one["edits"].items():
                sums.setdefault(version, Sums()).update(counts)
        boxes = GaugeMetricFamily("podcast_review_boxes", "Boxes by what became of them", labels=["model_version", "became"])
        reviews, minutes, rate = (
            GaugeMetricFamily(f"podcast_review{name}", words, labels=["model_version"])
            for name, words in (
                ("s", "Reviews that began from a model's boxes"),
                ("_minutes", "Audio in these reviews"),
                ("_edits_a_minute", "Boxes that people moved, deleted or added, per minute of audio"),
            )
        )
        for version, counts in sorted(sums.items()):
            for name in BOXES:
                boxes.add_metric([version, name], counts[name])
            reviews.add_metric([version], counts["reviews"])
            minutes.add_metric([version], counts["minutes"])
            if counts["minutes"]:
                rate.add_metric([version], sum(counts[name] for name in BOXES[1:]) / counts["minutes"])
        asked = GaugeMetricFamily("podcast_review_asked_timestamp_seconds", "When Label Studio was asked what people changed")
        asked.add_metric([], found["asked"])
        yield from (boxes, reviews, minutes, rate, asked)


def _ask_anew(lock: Path, every_s: float) -> None:
    try:
        if lock.exists() and time.time() - lock.stat().st_mtime < every_s:
            return
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        logger.warning("what people changed cannot be kept: %s", error)
        return
    # A thread waits for the process, or it would stay as a zombie; the libraries of evaluation stay out of this one.
    command = [sys.executable, "-m", "ml_backend.edits"]
    threading.Thread(target=subprocess.run, args=(command,), kwargs={"check": False}, daemon=True).start()
