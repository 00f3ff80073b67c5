"""3 workers, 200 clients, 60 seconds against the real ML backend: nothing fails, nothing is wrong, and memory stays flat.

Prints one JSON object a line. What is right is worked out beside the backend, by the detector alone. The cache holds fewer
recordings than there are, so most answers are made anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.servers import Account, free_port, ml_backend
from demo.sessions import SAMPLE_RATE, plan, render
from detectors import load_detector, use_threads
from labelstudio.labels import LABEL_CONFIG_PATH
from podcast import audio

WORKERS, CLIENTS, SECONDS = 3, 200, 60.0
RECORDINGS, CACHED, LENGTH_S = 30, 10, 10
FLAT_MIB = 8.0
"""Growth of one worker in the second half that still counts as flat: single answers in flight, and pages of the allocator."""
LOCAL = "/data/local-files/?d=audio/"
CONFIG = LABEL_CONFIG_PATH.read_text(encoding="utf-8")

Json = dict[str, Any]
Times = list[tuple[float, float]]


def make_recordings(folder: Path) -> dict[str, tuple[str, Times]]:
    """The hash of each recording and what the detector finds in it, by name; an empty hash for one that is not there."""
    detector, minute, known = load_detector("energy"), render(plan()[0], 0).astype(np.float32), {}
    use_threads(1)
    for number in range(RECORDINGS):
        samples = np.roll(minute, number * 9973)[: LENGTH_S * SAMPLE_RATE, None]
        path = folder / "audio" / f"{number}.wav"
        audio.write_wav(str(path), samples, SAMPLE_RATE)
        with path.open("rb") as file:
            digest = audio.sha256(file)
        (found,) = detector.detect([audio.read(str(path))])
        assert not isinstance(found, Exception)
        known[str(number)] = (digest, sorted((item.event.start_s, item.event.end_s) for item in found))
    return known | {"gone": ("", [])}


async def one_client(url: str, known: dict[str, tuple[str, Times]], seed: int, until: float, counts: Counter[str]) -> None:
    """Ask until the time is over, one request after the other."""
    chance, clock = random.Random(seed), asyncio.get_running_loop()
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        while clock.time() < until:
            kind = chance.random()
            try:
                if kind < 0.1:
                    answer = await client.get("/health")
                    right = answer.is_success
                elif kind < 0.2:
                    answer = await client.post("/setup", json={"project": "1.1", "schema": CONFIG})
                    right = answer.is_success and answer.json()["model_version"] != ""
                else:
                    names = chance.choices(list(known), k=chance.choice((1, 1, 3)))
                    answer = await client.post("/predict", json=_request(names, known, chance))
                    right = answer.is_success and _is_right(names, known, answer.json()["results"])
                counts["right" if right else "wrong" if answer.is_success else "failed"] += 1
            except (httpx.HTTPError, KeyError, ValueError):
                counts["failed"] += 1


def _request(names: list[str], known: dict[str, tuple[str, Times]], chance: random.Random) -> Json:
    tasks = []
    for number, name in enumerate(names):
        told = {"sha256": known[name][0], "duration_s": float(LENGTH_S)} if chance.random() < 0.5 else {}
        tasks.append({"id": number, "data": {"audio": f"{LOCAL}{name}.wav", "session_id": name, **told}})
    return {"tasks": tasks, "label_config": CONFIG, "project": "1.1", "params": {}}


def _is_right(names: list[str], known: dict[str, tuple[str, Times]], results: list[Json]) -> bool:
    if len(results) != len(names):
        return False
    for name, result in zip(names, results, strict=True):
        if name == "gone":
            if "error" not in result or "result" in result:
                return False
            continue
        times = sorted((region["value"]["start"], region["value"]["end"]) for region in result.get("result", [{"value": {}}]))
        if times != known[name][1]:
            return False
    return True


async def watch(master: int, until: float, sizes: dict[int, list[tuple[float, float]]]) -> None:
    """MiB of each worker, with the time, twice a second."""
    clock = asyncio.get_running_loop()
    while clock.time() < until:
        for pid in _children(master):
            sizes.setdefault(pid, []).append((clock.time(), _resident_mib(pid)))
        await asyncio.sleep(0.5)


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth_mib(sizes: list[tuple[float, float]]) -> float:
    """By which a worker grew in the second half, as the line through it has it."""
    times, mib = np.array(sizes[len(sizes) // 2 :]).T
    slope = np.polyfit(times - times[0], mib, 1)[0]
    return float(slope * (times[-1] - times[0]))


async def load(
    url: str, master: int, known: dict[str, tuple[str, Times]]
) -> tuple[Counter[str], dict[int, list[tuple[float, float]]]]:
    """All clients at once."""
    counts, sizes = Counter[str](), dict[int, list[tuple[float, float]]]()
    until = asyncio.get_running_loop().time() + SECONDS
    clients = (one_client(url, known, seed, until, counts) for seed in range(CLIENTS))
    await asyncio.gather(watch(master, until, sizes), *clients)
    return counts, sizes


def show(name: str, value: float, bar: float) -> None:
    """One line for `make bench`; every bar here is an upper one."""
    print(json.dumps({"name": name, "value": round(value, 3), "bar": bar, "holds": value <= bar}), flush=True)


def main() -> None:
    """Serve and ask."""
    os.environ.update(ML_WORKERS=str(WORKERS), ML_CACHE_MAX_ENTRIES=str(CACHED), ML_DETECTOR="energy")
    with tempfile.TemporaryDirectory(prefix="podcast-bench-") as temporary:
        folder, port = Path(temporary), free_port()
        known = make_recordings(folder)
        with ml_backend(folder / "ml", port, "http://127.0.0.1:1", folder, Account("", "", "0" * 40)) as child:
            counts, sizes = asyncio.run(load(f"http://127.0.0.1:{port}", child.process.pid, known))
    show("requests that failed", counts["failed"], 0)
    show("requests that were answered wrongly", counts["wrong"], 0)
    print(json.dumps({"name": "requests that were answered rightly", "value": counts["right"], "bar": None, "holds": True}))
    show("workers that had to be replaced", len(sizes) - WORKERS, 0)
    for number, pid in enumerate(sorted(sizes), 1):
        whole = [size for _, size in sizes[pid]]
        print(json.dumps({"name": f"worker {number}, MiB at most", "value": round(max(whole)), "bar": None, "holds": True}))
        show(f"worker {number}, growth in the second half, MiB", growth_mib(sizes[pid]), FLAT_MIB)


if __name__ == "__main__":
    main()
