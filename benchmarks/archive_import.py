"""Fetch, decode, cut and write: hours of audio per second, beside a tool that works as the published one does.

One run, both against moto's S3 server, which answers each request after 50 ms. The rate is that of a day, the start of the
workers included; that of an hour alone is given beside it. The baseline fetches one file after the other,
reads the playlist anew for each minute, joins the segments and starts one ffmpeg a minute. Needs the real archive.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-west-2")

NODE, FOLDER, BUCKET, OFFSET_S, DELAY_S = "rpi_orcasound_lab", 1601520000, "audio-orcasound-net", 2, 0.05
HOUR, DAY, BASELINE_MINUTES, ROUNDS = 60, 24 * 60, 5, 2


def serve(port: int) -> None:
    """moto's own application under gunicorn, which waits before it answers a GET.

    An answer is worked out once and kept: the emulator shares this machine's processors with what is measured, and the real
    archive does not.
    """
    from gunicorn.app.base import BaseApplication
    from moto.server import DomainDispatcherApplication, create_backend_app

    application = DomainDispatcherApplication(create_backend_app)
    kept: dict[tuple[str, ...], tuple[list[object], list[bytes]]] = {}

    def slow(environ, start_response):  # type: ignore[no-untyped-def]
        if environ["REQUEST_METHOD"] != "GET" or environ["PATH_INFO"].startswith("/moto-api"):
            return application(environ, start_response)
        time.sleep(DELAY_S)
        key = tuple(environ.get(name, "") for name in ("PATH_INFO", "QUERY_STRING", "HTTP_RANGE", "HTTP_IF_MATCH"))
        if key not in kept:
            begun: list[object] = []
            body = list(application(environ, lambda *answer: begun.extend(answer)))
            kept[key] = begun, body
        begun, body = kept[key]
        start_response(*begun)
        return body

    class Emulator(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in {"bind": f"127.0.0.1:{port}", "worker_class": "gthread", "threads": 64, "keepalive": 60}.items():
                self.cfg.set(name, value)

        def load(self) -> object:
            return slow

    Emulator().run()


def main() -> None:
    """Print one JSON object a measure."""
    from demo.servers import free_port
    from tests.cloud.emulators import running

    source = Path(os.environ.get("PODCAST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "hls" / NODE / "hls"
    if not source.is_dir():
        print(json.dumps({"name": "archive_import", "value": None, "bar": 10, "holds": False, "skipped": "no real archive"}))
        return
    port = free_port()
    with running([sys.executable, __file__, "--serve", str(port)], f"http://127.0.0.1:{port}/moto-api/"):
        url = f"http://127.0.0.1:{port}"
        upload(source / str(FOLDER), url)
        theirs, hours, days = [], [], []
        for _ in range(ROUNDS):
            theirs.append(baseline(url, BASELINE_MINUTES))
            hours.append(pipeline(url, HOUR))
            days.append(pipeline(url, DAY))
    slow = statistics.median(theirs)
    (hour, hour_mib, _), (day, day_mib, busy) = (map(statistics.median, zip(*runs, strict=True)) for runs in (hours, days))
    rates = {"hours_per_second": day, "baseline_hours_per_second": slow, "cpu_seconds_per_hour": busy}
    report("archive_import_speed_ratio", day / slow, 10, holds=day / slow >= 10, ratio_of_one_hour_alone=hour / slow, **rates)
    memory = {"hour_mib": hour_mib, "day_mib": day_mib}
    report("archive_import_memory_ratio_day_to_hour", day_mib / hour_mib, 1.15, holds=day_mib / hour_mib <= 1.15, **memory)


def report(name: str, value: float, bar: float, *, holds: bool, **more: float) -> None:
    """One line; `more` are the figures that the value was worked out from."""
    figures = {key: round(figure, 5) for key, figure in more.items()}
    print(json.dumps({"name": name, "value": round(value, 5), "bar": bar, "holds": holds, **figures}), flush=True)


def upload(folder: Path, url: str) -> None:
    """The real folder, played until it fills a day."""
    import boto3

    client = boto3.client("s3", endpoint_url=url)
    client.create_bucket(Bucket=BUCKET, ACL="public-read", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    lines = (folder / "live.m3u8").read_text().splitlines()
    pairs = [(lines[at], lines[at + 1]) for at, line in enumerate(lines) if line.startswith("#EXTINF")][:-1]
    bodies = {name: (folder / name).read_bytes() for _, name in pairs}
    playlist, puts = ["#EXTM3U"], []
    for turn in range(math.ceil((DAY + 1) * 60 / 199)):
        for length, name in pairs:
            playlist += [length, f"live{turn:03}{name[4:]}"]
            puts.append((f"live{turn:03}{name[4:]}", bodies[name]))
    puts.append(("live.m3u8", "\n".join(playlist).encode()))

    def put(item: tuple[str, bytes]) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{NODE}/hls/{FOLDER}/{item[0]}", Body=item[1], ACL="public-read")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, puts))


def cpu_seconds() -> float:
    """Of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def pipeline(url: str, minutes: int) -> tuple[float, float, float]:
    """Hours of audio per second with the start of the workers, the largest process's memory in MiB, processor seconds an hour."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--job", url, str(minutes), folder]
        before, started = cpu_seconds(), time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        elapsed, busy = time.perf_counter() - started, cpu_seconds() - before
    return minutes / 60 / elapsed, float(done.stdout), busy / minutes * 60


def job(url: str, minutes: int, folder: Path) -> None:
    """One import, as the command line does it, without Label Studio. A day's WAVs are 17 GB: each goes when it was given out."""
    from importers.hls import Archive
    from pipeline.engine import LocalEngine
    from pipeline.job import Job, run
    from podcast.model import Session
    from podcast.report import Report

    start = datetime.fromtimestamp(FOLDER + OFFSET_S, UTC)
    archive = Archive(f"s3://{BUCKET}", url)
    made = Job(archive, NODE, start, start + timedelta(minutes=minutes), str(folder / "wav"), folder / "work")
    written = 0
    for session in run(made, LocalEngine(), Report()):
        assert isinstance(session, Session)
        Path(session.recording.audio_uri).unlink()
        written += 1
    assert written == minutes
    print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024)


def baseline(url: str, minutes: int) -> float:
    """Hours of audio per second, one request and one ffmpeg after the other."""
    import imageio_ffmpeg

    ffmpeg, address = imageio_ffmpeg.get_ffmpeg_exe(), urlsplit(url)

    def get(name: str) -> bytes:
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        connection.request("GET", f"/{BUCKET}/{NODE}/hls/{FOLDER}/{name}")
        content = connection.getresponse().read()
        connection.close()
        return content

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for minute in range(minutes):
            lines = get("live.m3u8").decode().splitlines()
            segments = [line for line in lines if line.endswith(".ts")]
            lengths = [float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF")]
            target = sum(lengths) / len(lengths)
            first, count = math.ceil(minute * 60 / target), math.ceil(60 / target)
            joined = Path(folder, f"{minute}.ts")
            joined.write_bytes(b"".join(get(name) for name in segments[first : first + count]))
            command = [ffmpeg, "-loglevel", "error", "-y", "-i", str(joined), str(joined.with_suffix(".wav"))]
            subprocess.run(command, check=True)
        elapsed = time.perf_counter() - started
    return minutes / 60 / elapsed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--job"]:
        job(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
