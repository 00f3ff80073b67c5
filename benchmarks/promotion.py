"""Promotions while people ask: 3 workers, 16 clients, a promotion every few seconds. Nothing fails, no answer is of two models.

Prints one JSON object a line. What is right is worked out beside the ML backend, by each detector alone. The cache holds fewer
recordings than there are, so most answers are made anew.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.servers import Account, free_port, learning, ml_backend
from detectors import load_detector
from detectors.registry import MAINTAINER, Registry
from tests.promotions import add_model, clients, known_boxes, serving, write_calls

WORKERS, CLIENTS, RECORDINGS, CACHED, MODELS = 3, 16, 6, 4, 5
SETTLED_S = 2.0
"""How long each model serves before the next is promoted."""
PROMISED_S = 5.0
PATIENCE_S = 60.0


def show(name: str, value: float, bar: float | None, *, least: bool = False) -> None:
    """One line for `make bench`; a bar is an upper one, unless it is the `least`."""
    holds = bar is None or (value >= bar if least else value <= bar)
    print(json.dumps({"name": name, "value": round(value, 3), "bar": bar, "holds": holds}), flush=True)


def main() -> None:
    """Serve, ask, and promote one model after the other."""
    with tempfile.TemporaryDirectory(prefix="podcast-bench-") as temporary:
        folder, port, took = Path(temporary), free_port(), []
        recordings, registry = write_calls(folder / "audio", RECORDINGS), Registry(learning(folder / "ml")["ML_REGISTRY"])
        models = [add_model(registry, folder / f"run {number}", number / 20) for number in range(MODELS)]
        known = known_boxes(["energy", *(model.spec for model in models)], recordings)
        os.environ.update(ML_WORKERS=str(WORKERS), ML_CACHE_MAX_ENTRIES=str(CACHED), ML_DETECTOR="energy")
        with ml_backend(folder / "ml", port, "http://127.0.0.1:1", folder, Account("", "", "0" * 40)):
            url = f"http://127.0.0.1:{port}"
            with clients(url, CLIENTS, [path.stem for path in recordings], known) as counts:
                for model in models:
                    version, began = str(load_detector(model.spec).model_run), time.perf_counter()
                    registry.promote(model.name, MAINTAINER, "a benchmark")
                    while serving(url) != {version: WORKERS} and time.perf_counter() - began < PATIENCE_S:
                        time.sleep(0.05)
                    took.append(time.perf_counter() - began)
                    time.sleep(SETTLED_S)
    show("requests that failed while models were promoted", counts["failed"], 0)
    show("answers that mixed two models", counts["mixed"], 0)
    show("answers that were right", counts["right"], 1, least=True)
    show("seconds until every worker served a promoted model, at most", max(took), PROMISED_S)


if __name__ == "__main__":
    main()
