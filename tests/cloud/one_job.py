"""One archive job in a process that can be killed: `one_job.py ARCHIVE FOLDER SECONDS` prints the tasks it would import."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from importers.hls import Archive
from labelstudio.labels import LabelConfig
from labelstudio.tasks import to_task
from pipeline.engine import LocalEngine
from pipeline.job import Job, run
from podcast.model import Session
from podcast.report import Report
from podcast.times import parse_moment
from tests.cloud import fake_detector
from tests.cloud.archive import NODE


def main(archive: str, folder: Path, end: str) -> None:
    start = parse_moment("2020-10-01 02:40:02 UTC")
    job = Job(Archive(archive), NODE, start, parse_moment(end), str(folder / "wav"), folder / "work", 15, fake_detector.load)
    sessions = run(job, LocalEngine(1), Report())
    tasks = []
    for item in sessions:
        assert isinstance(item, Session)
        name = Path(item.recording.uri).name
        recording = replace(item.recording, uri=name, audio_uri=name)
        tasks.append(to_task(replace(item, recording=recording, round="r"), name, LabelConfig.load()))
    sys.stdout.write(json.dumps(tasks))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
