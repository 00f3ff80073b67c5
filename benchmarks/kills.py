"""Ten SIGKILLs at random moments for every command, then an undisturbed run: the same bytes and counts, and no stray files.

Prints one JSON object a line with name, value, bar and holds: the value is the number of kills after which something differed.
Label Studio itself is killed in two of the kills of each command that talks to it. Afterwards each command meets a full disk and
a read-only folder (root may mount both): it must end with one line that names a file of that folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._studio import Studio
from demo.sessions import SAMPLE_RATE, plan, render
from labelstudio.labels import LabelConfig
from labelstudio.tasks import to_task
from podcast import audio
from podcast.model import Annotation, Certainty, Detection, ModelRun, Outcome, Recording, Review, ReviewState, Session
from podcast.times import parse_session_name

ROOT = Path(__file__).parents[1]
KILLS = 10
STUDIO_KILLS = 2
SESSIONS, LEARNED = 60, 8
FULL_KIB = 16


@dataclass(frozen=True, slots=True)
class Command:
    """A command by its words, given the folder that it writes to. What it wrote elsewhere, `elsewhere` tells by that folder."""

    name: str
    words: Callable[[Path], list[str]]
    elsewhere: Callable[[Path], Any] = lambda _: None
    studio: bool = False
    env: dict[str, str] | None = None


def start(command: Command, folder: Path, *more: str) -> subprocess.Popen[str]:
    """In a process group of its own, working in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(command.env or {})}
    words = [sys.executable, "-m", "cli.main", *command.words(folder), *more]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(words, cwd=folder, env=env, text=True, start_new_session=True, **pipes)


def undisturbed(command: Command, folder: Path) -> tuple[dict[str, Any], float]:
    """Run it to its end: what it left behind, and its seconds."""
    began = time.monotonic()
    process = start(command, folder, "--json")
    printed, complaints = process.communicate()
    if process.returncode:
        raise SystemExit(f"{command.name} failed: {complaints[-2000:]}")
    counts = json.loads(printed.replace(folder.name, "FOLDER"))
    for name in ("created", "updated", "unchanged", "url", "project"):  # an import tells these by what was there already
        counts.pop(name, None)
    return {"counts": counts, "files": files_of(folder), "elsewhere": command.elsewhere(folder)}, time.monotonic() - began


def files_of(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder, hidden ones too."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def killed(command: Command, folder: Path, after_s: float, studio: Studio | None) -> bool:
    """Start it, and kill it (or `studio`) after a while; False if it was done before."""
    process = start(command, folder)
    try:
        process.wait(after_s)
        done = True
    except subprocess.TimeoutExpired:
        done = False
        if studio:
            studio.kill()
            studio.start()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return not done


def storm(command: Command, work: Path, studio: Studio | None, seed: int) -> tuple[int, list[str]]:
    """All kills of one command: how many changed what came after, and what was different."""
    quiet, took_s = undisturbed(command, work / f"quiet-{command.name}")
    chance, folder, kills, wrong, notes = random.Random(f"{seed}/{command.name}"), work / f"stormy-{command.name}", 0, 0, []
    while kills < KILLS:
        victim = studio if command.studio and kills >= KILLS - STUDIO_KILLS else None
        if not killed(command, folder, chance.uniform(0.15, 0.95) * took_s, victim):
            shutil.rmtree(folder)  # it was quicker than before: begin anew
            continue
        kills += 1
        if kills % 2 and kills < KILLS:  # of two kills, one hits what the other left
            continue
        after, _ = undisturbed(command, folder)
        if differences := [f"{key}: {_difference(quiet[key], after[key])}" for key in quiet if quiet[key] != after[key]]:
            wrong += 1
            notes += differences
        shutil.rmtree(folder)
    return wrong, notes


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        return ", ".join(f"{name}: {before.get(name)} became {after.get(name)}" for name in names[:4])
    return f"{before} became {after}"


# What the commands work on


def make_sources(work: Path) -> None:
    """Load files with their WAVs, the same sessions as Label Studio exports them, and a table of labels to train on."""
    wavs, config, tasks, rows = work / "audio" / "sessions", LabelConfig.load(), [], ["wav_filename\tstart_time_s\tduration_s"]
    minutes = [render(session, number).astype(np.float32) for number, session in enumerate(plan()[:3])]
    run = ModelRun("kills", "1")
    for number in range(SESSIONS):
        name = f"rpi_orcasound_lab_2020_09_30_{number // 60 + 3:02d}_{number % 60:02d}_00_PDT"
        audio.write_wav(
            str(wavs / f"{name}.wav"), np.roll(minutes[number % 3], 997 * number)[: 20 * SAMPLE_RATE, None], SAMPLE_RATE
        )
        events = [event for event in plan()[number % 3].truth if event.end_s < 19]
        found = tuple(Detection(event, "Call", 0.75, run) for event in events)
        boxes = [{"start_time_s": e.start_s, "duration_s": e.duration_s, "confidence": 0.75} for e in events]
        content = {"uri": f"{name}.wav", "absolute_time": name, "source_guid": "rpi_orcasound_lab", "annotations": boxes}
        (wavs / f"{name}.json").write_text(json.dumps({**content, "model_guid": str(run)}))
        drawn = [Annotation(d.event, "Call", Certainty.CERTAIN, "a", Outcome.ACCEPTED, d) for d in found]
        review = Review("a", ReviewState.CALLS if drawn else ReviewState.NO_CALLS, tuple(drawn))
        start_utc = parse_session_name(name).parent_start
        recording = Recording(f"{name}.wav", "rpi_orcasound_lab", start_utc, 20.0, audio_uri="")
        session = Session(name, recording, name, "kills", found, (run,), (review,))
        tasks.append({"id": number + 1, **to_task(session, f"/data/local-files/?d=sessions/{name}.wav", config)})
        rows += [f"{name}.wav\t{e.start_s}\t{e.duration_s}" for e in events if number < LEARNED]
    (work / "export.json").write_text(json.dumps(tasks))
    (work / "truth.tsv").write_text("\n".join(rows) + "\n")


def commands(work: Path, studio: Studio) -> list[Command]:
    """Every command that writes."""
    wavs, export, env = str(work / "audio" / "sessions"), str(work / "export.json"), studio.env
    train = ("--truth", str(work / "truth.tsv"), "--audio", wavs, "--epochs", "3", "--steps", "2")
    return [
        Command("import", lambda to: ["import", wavs, "--round", to.name], studio.round_named_as, studio=True, env=env),
        Command("export a file", lambda to: ["export", "--file", export, "--to", str(to / "out")]),
        Command("export a round", lambda to: ["export", "--round", "kills", "--to", str(to / "out")], studio=True, env=env),
        Command("release", lambda to: ["release", "--file", export, "--to", str(to / "out"), "--name", "r", "--audio", wavs]),
        Command("detect", lambda to: ["detect", wavs, "-o", str(to / "boxes.tsv"), "--workers", "2"]),
        Command("train", lambda to: ["train", "--to", str(to / "run"), *train]),
    ]


# Disks


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system of its own at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def on_a_bad_disk(command: Command, folder: Path, options: str) -> str:
    """What is wrong with the way in which the command says that it cannot write to `folder`; empty if nothing is."""
    with mounted(folder, options):
        process = start(command, folder)
        _, complaints = process.communicate()
    lines = complaints.strip().splitlines()
    if process.returncode not in (1, 2):
        return f"exit status {process.returncode}: {complaints[-300:]}"
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"{len(lines)} lines: {complaints[-400:]}"
    return "" if str(folder) in lines[0] or ".podcast" in lines[0] else f"names no file of the folder: {lines[0]}"


def show(name: str, value: float, notes: list[str]) -> None:
    """One line for `make bench`."""
    more = {"notes": notes[:6]} if notes else {}
    print(json.dumps({"name": name, "value": value, "bar": 0, "holds": value <= 0, **more}, ensure_ascii=False), flush=True)


def main() -> None:
    """All commands, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="commands, else all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="podcast-kills-")))
        make_sources(work)
        studio = Studio(work / "studio", work / "audio")
        chosen = [command for command in commands(work, studio) if not options.names or command.name in options.names]
        if any(command.studio for command in chosen):
            stack.enter_context(studio.running())
            studio.bring_in("kills", json.loads((work / "export.json").read_text()))
        for command in chosen:
            wrong, notes = storm(command, work, studio, options.seed)
            show(f"{command.name}: kills that changed what came after", wrong, notes)
        for command in chosen:
            for disk, mount in (("full disk", f"size={FULL_KIB}k"), ("read-only folder", "ro,size=1m")):
                if command.name == "import":
                    continue  # it writes to Label Studio alone
                problem = on_a_bad_disk(command, work / f"{disk}-{command.name}".replace(" ", "-"), mount)
                show(
                    f"{command.name}, {disk}: not one line that names the file", int(bool(problem)), [problem] if problem else []
                )


if __name__ == "__main__":
    main()
