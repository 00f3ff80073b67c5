"""What `/metrics` tells Prometheus, summed over all workers."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS = Counter("podcast_ml_requests_total", "Requests by view and status", ["view", "status"])
LATENCY = Histogram("podcast_ml_request_seconds", "Time from request to answer", ["view"])
SESSIONS = Counter("podcast_ml_sessions_total", "Sessions by what became of them", ["outcome"])
CACHE_HITS = Counter("podcast_ml_cache_hits_total", "Sessions answered from the cache")
MODEL = Gauge("podcast_ml_model_info", "Workers that serve a model version", ["model_version"], multiprocess_mode="livesum")
PROMOTED_SERVED = Gauge(
    "podcast_ml_promoted_served", "1 where every worker serves the model that is promoted, else 0", multiprocess_mode="livemin"
)


def exposition() -> bytes:
    """All metrics in Prometheus' text format; of every worker, where gunicorn runs several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
