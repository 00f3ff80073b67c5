"""Seconds a minute of audio takes from file to boxes, and memory over 10,000 sessions of `podcast detect`."""

from __future__ import annotations

import json
import os
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from detectors import load_detector, use_threads
from detectors.batch import Journal, run
from podcast import audio

MINUTE, REPEATS, SESSIONS = 60, 20, 10_000


def report(name: str, value: float, bar: float, **more: object) -> None:
    """One JSON object on one line; the value must not exceed the bar."""
    print(json.dumps({"name": name, "value": round(value, 4), "bar": bar, "holds": value <= bar, **more}), flush=True)


def minute(folder: Path, detector_name: str, bar: float) -> None:
    """Read and detect one minute of 48 kHz audio on one core, the best of some repeats since other work may share the machine."""
    samples = np.random.default_rng(0).normal(0, 0.05, (MINUTE * 48_000, 1)).astype(np.float32)
    path = str(folder / "minute.wav")
    audio.write_wav(path, samples, 48_000)
    detector = load_detector(detector_name)
    seconds, cpu = [], []
    for _ in range(REPEATS):
        start, start_cpu = time.perf_counter(), time.process_time()
        detector.detect([audio.read(path)])
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    more = {"median": round(float(np.median(seconds)), 4), "cpu_seconds": round(min(cpu), 4)}
    report(f"{detector_name}_seconds_a_minute", min(seconds), bar, **more)
    if detector_name == "starter":
        report("starter_seconds_for_1000_minutes_on_one_core", 1000 * min(seconds), 100.0, extrapolated_from=REPEATS)


def resident_mb() -> float:
    """What the process holds now; its greatest size would hide growth behind an earlier peak."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(folder: Path) -> None:
    """Growth between the first hundred sessions and the last of 10,000, in MB of resident memory."""
    audio.write_wav(str(folder / "one.wav"), np.random.default_rng(0).normal(0, 0.05, (8000, 1)).astype(np.float32), 8000)
    for i in range(SESSIONS):
        os.link(folder / "one.wav", folder / f"s{i:05}.wav")
    detector, uris = load_detector("energy"), (str(folder / f"s{i:05}.wav") for i in range(SESSIONS))
    with Journal(folder / "journal.sqlite", "energy") as journal:
        refused = list(run(detector, islice(uris, 100), journal, 2, lambda _: None))
        before = resident_mb()
        refused += list(run(detector, uris, journal, 2, lambda _: None))
        boxes = sum(1 for _ in journal.results())
    growth = resident_mb() - before
    report("detect_10000_sessions_memory_growth_mb", growth, 16.0, before_mb=round(before), sessions=boxes, refused=len(refused))


def main() -> None:
    """Run all, each recording on one thread, as `podcast detect` does."""
    use_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        minute(Path(folder), "energy", 1.0)
        minute(Path(folder), "starter", 0.1)
        memory(Path(folder))


if __name__ == "__main__":
    main()
