"""One `/predict` with many sessions, as "Retrieve predictions" sends it, under gunicorn. Prints one JSON object a line.

A hundred different minutes are sent, and the seconds are given for a thousand: ten times as many.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.servers import Account, free_port, ml_backend
from demo.sessions import SAMPLE_RATE, plan, render
from labelstudio.labels import LABEL_CONFIG_PATH
from podcast import audio

COUNT = 100
SCALE = 1000 // COUNT
LIMIT_S = 100.0


def show(name: str, value: float, bar: float) -> None:
    """One line for `make bench`; every bar here is an upper one."""
    print(json.dumps({"name": name, "value": round(value, 3), "bar": bar, "holds": value <= bar}), flush=True)


def main() -> None:
    """Serve, ask twice, and time the small requests."""
    with tempfile.TemporaryDirectory(prefix="podcast-bench-") as temporary:
        folder, port = Path(temporary), free_port()
        minute = render(plan()[0], 0).astype(np.float32)
        for number in range(COUNT):
            audio.write_wav(str(folder / "audio" / f"{number}.wav"), np.roll(minute, number * 997)[:, None], SAMPLE_RATE)
        tasks = [{"id": n, "data": {"audio": f"/data/local-files/?d=audio/{n}.wav"}} for n in range(COUNT)]
        body = {"tasks": tasks, "label_config": LABEL_CONFIG_PATH.read_text()}
        account = Account("", "", "0" * 40)
        with ml_backend(folder / "ml", port, "http://127.0.0.1:1", folder, account), httpx.Client(timeout=300) as client:
            url = f"http://127.0.0.1:{port}"
            for name in ("1,000 sessions in one /predict, seconds", "the same from the cache, seconds"):
                began = time.perf_counter()
                results = client.post(f"{url}/predict", json=body).json()["results"]
                assert all("result" in result for result in results)
                show(name, SCALE * (time.perf_counter() - began), LIMIT_S)
            for view, ask in (
                ("health", lambda: client.get(f"{url}/health")),
                ("setup", lambda: client.post(f"{url}/setup", json={})),
            ):
                times = []
                for _ in range(50):
                    began = time.perf_counter()
                    ask().raise_for_status()
                    times.append(time.perf_counter() - began)
                show(f"/{view}, median milliseconds", 1000 * float(np.median(times)), 50.0)


if __name__ == "__main__":
    main()
