"""Ray with two workers beside Ray with one: the same import, the same bytes out. Needs the extra [ray]."""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
REPEATS, RUNS = 40, 3


def main() -> None:
    """Print one JSON object a measure."""
    times: dict[int, list[float]] = {1: [], 2: []}
    digests = set()
    for _ in range(RUNS):
        for workers in times:
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, __file__, "--job", str(workers), folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds, digest = done.stdout.split()
            times[workers].append(float(seconds))
            digests.add(digest)
    one, two = (round(statistics.median(times[workers]), 2) for workers in (1, 2))
    figures = {"one_worker_s": one, "two_workers_s": two}
    print(
        json.dumps(
            {"name": "ray_two_workers_speedup", "value": round(one / two, 3), "bar": 1.6, "holds": one / two >= 1.6, **figures}
        )
    )
    print(json.dumps({"name": "ray_different_outputs", "value": len(digests), "bar": 1, "holds": len(digests) == 1}))


def job(workers: int, folder: Path) -> None:
    """One import with the energy detector; prints the seconds after Ray has started its workers, and a digest of all WAVs."""
    from functools import partial

    from detectors import load_detector
    from pipeline.job import Job, run
    from pipeline.on_ray import RayEngine
    from podcast.report import Report
    from tests.cloud.archive import long_archive

    archive, node, seconds = long_archive(folder / "archive", REPEATS)
    engine = RayEngine(workers=workers)
    start = datetime.fromtimestamp(1601520002, UTC)

    def work(until_s: float, to: str) -> int:
        end = start + timedelta(seconds=until_s)
        made = Job(archive, node, start, end, str(folder / to), folder / "work", 20, partial(load_detector, "energy"))
        return sum(1 for _ in run(made, engine, Report()))

    work(min(seconds, 400 * workers), "warm")
    began = time.perf_counter()
    work(seconds, "wav")
    elapsed = time.perf_counter() - began
    digest = hashlib.sha256()
    for path in sorted((folder / "wav").glob("*.wav")):
        digest.update(path.name.encode() + path.read_bytes())
    print(elapsed, digest.hexdigest())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        job(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
