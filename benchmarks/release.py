"""A dataset release at scale: its tables (10,000 sessions, four boxes each), its memory, and the rate of its archive.

Each measure is taken several times with what it is compared to in between, for other work on the machine disturbs both alike.
"""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np

from podcast import audio
from podcast.model import (
    Annotation,
    Certainty,
    Detection,
    ModelRun,
    Outcome,
    Recording,
    Review,
    ReviewState,
    Session,
    SoundEvent,
)
from releases.archive import write_archive
from releases.build import ReleaseOptions, build

NODES = ("rpi_orcasound_lab", "rpi_bush_point", "rpi_port_townsend", "rpi_sunset_bay")
RUN = ModelRun("starter", "1")
START = datetime(2020, 1, 1, tzinfo=UTC)
TABLES_BAR_S = 5.0
MEMORY_BAR_KIB = 2.0
ARCHIVE_BAR = 0.8
WAVS = 10


def sessions(count: int) -> Iterator[Session]:
    """Reviewed sessions of a minute with four boxes, every fourth with a second annotator; four minutes of each two hours."""
    for number in range(count):
        node = NODES[number % len(NODES)]
        start = START + timedelta(hours=2 * (number // 16), minutes=number // 4 % 4)
        detections = tuple(Detection(SoundEvent(10 * k + 1.5, 10 * k + 3.25), "Call", 0.9, RUN) for k in range(4))
        outcomes = (Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.MOVED, Outcome.ADDED)
        annotations = tuple(
            Annotation(
                SoundEvent(10 * k + 1.5 + 0.1 * (outcome is Outcome.MOVED), 10 * k + 3.25),
                "Call",
                Certainty.CERTAIN,
                "ann@example.org",
                outcome,
                None if outcome is Outcome.ADDED else detections[k],
            )
            for k, outcome in enumerate(outcomes)
        )
        said = Review("ann@example.org", ReviewState.CALLS, annotations, detections[3:], start + timedelta(days=3))
        reviews = (said, Review("bob@example.org", ReviewState.CALLS, annotations[:3])) if number % 4 == 0 else (said,)
        recording = Recording(f"https://example.org/{number}.wav", node, start, 60.0, f"{number:064x}")
        yield Session(f"{node}-{number:06d}", recording, "", "round", detections, (RUN,), reviews)


def no_address(_round: str, _session: str) -> str:
    """Nobody needs to look again."""
    return ""


def make(count: int) -> tuple[float, float]:
    """Wall-clock and processor seconds that the tables of `count` sessions take, which are there already."""
    ready = list(sessions(count))
    gc.collect()
    gc.freeze()  # a real release reads a stream: the list that stands for it must not slow the collector down
    with tempfile.TemporaryDirectory() as folder:
        begin, used = time.perf_counter(), time.process_time()
        build(ready, folder, ReleaseOptions("r", with_audio=False), no_address)
        return round(time.perf_counter() - begin, 2), round(time.process_time() - used, 2)


def peak_kib(count: int) -> int:
    """Peak memory of a process of its own that releases a stream of `count` sessions."""
    command = [sys.executable, __file__, "--peak", str(count)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(count: int) -> None:
    """In the process of its own: sessions are a stream, and pictures are drawn, as in a real release."""
    with tempfile.TemporaryDirectory() as folder:
        build(sessions(count), folder, ReleaseOptions("r", with_audio=False), no_address)
    status = Path("/proc/self/status").read_text()  # getrusage would count the parent's memory at the fork
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def archive_rates() -> tuple[list[float], list[float], list[float]]:
    """Seconds to archive, to copy (with fsync) and to gzip the same minutes of audio, interleaved."""
    archive, copy, packed = [], [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        generator = np.random.default_rng(0)
        names = [f"wav/{number:03d}.wav" for number in range(WAVS)]
        (folder / "wav").mkdir()
        for name in names:
            noise = np.cumsum(generator.normal(0, 0.002, (60 * 48_000, 1)), axis=0)
            drift = noise - np.linspace(noise[0], noise[-1], len(noise))
            audio.write_wav(str(folder / name), (drift / np.abs(drift).max() * 0.3).astype(np.float32), 48_000)
        subprocess.run(["tar", "-cf", folder / "all.tar", "-C", folder, "wav"], check=True)

        def copy_all() -> None:
            subprocess.run(["cp", folder / "all.tar", folder / "copy.tar"], check=True)
            subprocess.run(["sync", folder / "copy.tar"], check=True)

        def gzip_all() -> None:
            with (folder / "all.tar.gz").open("wb") as file:
                subprocess.run(["gzip", "-6", "-n", "-c", folder / "all.tar"], check=True, stdout=file)

        for _ in range(3):
            archive.append(seconds(lambda: write_archive(str(folder / "r.tar.gz"), "r", str(folder), names, {})))
            copy.append(seconds(copy_all))
            packed.append(seconds(gzip_all))
        shutil.rmtree(folder / "wav")
    return archive, copy, packed


def show(name: str, value: float, bar: float, *, holds: bool, **more: object) -> None:
    """One JSON object on one line."""
    print(json.dumps({"name": name, "value": round(value, 3), "bar": bar, "holds": holds, **more}), flush=True)


def main() -> None:
    """Run all."""
    walls, processors = zip(*(make(10_000) for _ in range(3)), strict=True)
    wall, processor = min(walls), min(processors)  # the run that other work on the machine disturbed least
    show("release_tables_10000_sessions_s", wall, TABLES_BAR_S, holds=wall < TABLES_BAR_S, processor_s=processor, runs=walls)
    small, large = peak_kib(2_500), peak_kib(10_000)
    growth = (large - small) / 7_500
    show("release_memory_growth_kib_a_session", growth, MEMORY_BAR_KIB, holds=growth < MEMORY_BAR_KIB, peaks_kib=[small, large])
    archive, copy, packed = archive_rates()
    ratio = max(median(copy), median(packed)) / median(archive)
    show(
        "release_archive_rate_of_the_slower_of_copy_and_gzip",
        ratio,
        ARCHIVE_BAR,
        holds=ratio >= ARCHIVE_BAR,
        archive_s=archive,
        copy_s=copy,
        gzip_s=packed,
    )


if __name__ == "__main__":
    print_peak(int(sys.argv[2])) if sys.argv[1:2] == ["--peak"] else main()
