"""gunicorn's settings: `gunicorn -c python:ml_backend.gunicorn_conf`. What may vary comes from the environment or `.env`.

The application is loaded before the workers are forked, so they share the detector's memory and are ready at once.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any

from podcast.errors import InputError
from podcast.settings import load_settings

try:
    _settings = load_settings()
except InputError as error:
    sys.exit(f"error: {error}")

bind = f"{_settings.ml_host}:{_settings.ml_port}"
workers = _settings.ml_workers
threads = _settings.ml_threads
timeout = 120
control_socket_disable = True
preload_app = True
wsgi_app = "ml_backend.app:create_app()"

_metrics = tempfile.mkdtemp(prefix="podcast-ml-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics  # prometheus_client looks for it when it is first imported


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Serve what is promoted by now, which the process that was forked may have missed, and keep up with it."""
    from ml_backend.serving import BEGIN_S, serving

    serving().watch(BEGIN_S)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Drop the gauges of a worker that ended."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:  # noqa: ARG001
    """Delete the metrics of this run."""
    shutil.rmtree(_metrics, ignore_errors=True)
