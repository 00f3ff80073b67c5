"""Ten SIGKILLs at random moments for a trainer that learns from a round of a real Label Studio: the same registry, byte for byte.

Prints one JSON object a line with name, value, bar and holds. `--seed` chooses other moments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._studio import Studio
from benchmarks.kills import files_of
from demo.sessions import DemoSession, chirping_plan, write_sessions
from labelstudio.labels import LabelConfig
from labelstudio.tasks import to_task
from podcast.jobs import Job, Queue
from podcast.model import Annotation, Certainty, Outcome, Recording, Review, ReviewState, Session
from podcast.times import parse_session_name

ROOT = Path(__file__).parents[1]
KILLS, SESSIONS = 10, 24
ROUND = "trainer kills"


def task(number: int, made: DemoSession) -> dict[str, object]:
    """A session in which somebody marked what is in it."""
    boxes = tuple(Annotation(event, "Call", Certainty.CERTAIN, "a", Outcome.ADDED) for event in made.truth)
    recording = Recording(f"{made.id}.wav", "rpi_orcasound_lab", parse_session_name(made.id).parent_start, made.duration_s)
    review = Review("a", ReviewState.CALLS if boxes else ReviewState.NO_CALLS, boxes)
    session = Session(made.id, recording, made.id, ROUND, reviews=(review,))
    return {"id": number, **to_task(session, f"/data/local-files/?d=lessons/{made.id}.wav", LabelConfig.load())}


def asked(folder: Path, job: Job) -> Path:
    """A folder with a queue in which the job waits."""
    folder.mkdir()
    with Queue(str(folder / "queue.db")) as queue:
        queue.ask(job)
    return folder


def start(folder: Path, studio: Studio) -> subprocess.Popen[str]:
    """A trainer that works off what waits in `folder`, and ends."""
    own = {"ML_QUEUE": str(folder / "queue.db"), "ML_REGISTRY": str(folder / "models"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli.main", "trainer", "--once"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=folder, env={**os.environ, **studio.env, **own}, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def ended(folder: Path, studio: Studio) -> tuple[str, float]:
    """Let a trainer come to its end: the outcome, and its seconds."""
    began, process = time.monotonic(), start(folder, studio)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the trainer failed: {said[-2000:]}")
    with Queue(str(folder / "queue.db")) as queue:
        return queue.outcomes()[0].said, time.monotonic() - began


def main() -> None:
    """Undisturbed, then killed again and again in one job, then to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    chance = random.Random(parser.parse_args().seed)
    with tempfile.TemporaryDirectory(prefix="podcast-trainer-kills-") as temporary:
        work = Path(temporary)
        made = write_sessions(str(work / "audio" / "lessons"), chirping_plan(SESSIONS))
        studio = Studio(work / "studio", work / "audio")
        with studio.running():
            studio.bring_in(ROUND, [task(number + 1, session) for number, session in enumerate(made)])
            project = studio.server.find_project(ROUND)
            assert project
            job = Job((int(project["id"]),), names=(ROUND,))
            quiet, stormy = asked(work / "quiet", job), asked(work / "stormy", job)
            said, took_s = ended(quiet, studio)
            moments = sorted(chance.uniform(0.2, 1.0) * took_s for _ in range(KILLS))
            kills = 0
            for moment_s in moments:
                process = start(stormy, studio)
                try:
                    process.wait(moment_s)
                except subprocess.TimeoutExpired:
                    kills += 1
                    process.send_signal(signal.SIGKILL)
                process.communicate()
            again, _ = ended(stormy, studio)
            before, after = (files_of(folder / "models") for folder in (quiet, stormy))
            differ = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
            notes = {"kills": kills, "outcome": said, "models": sum(name.endswith("config.json") for name in before)}
            holds = not differ and said == again and notes["models"] == 1
            row = {
                "name": f"files of the registry that differ after {KILLS} kills of the trainer",
                "value": len(differ),
                "bar": 0,
            }
            print(json.dumps({**row, "holds": holds, **notes, "differ": differ[:5]}), flush=True)


if __name__ == "__main__":
    main()
