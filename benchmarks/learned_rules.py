"""What rules and scores save, when they are learned from one round of 20 sessions; and the rules that ship, with `--ship`.

Rounds are made: real calls of the licensed recordings, mixed into made seas and live backgrounds. A seed deals the recordings
into those that are learned from and those that are held out; none is on both sides. Needs the real data. Prints one JSON object a
line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detectors import load_detector, use_threads
from detectors.base import Framed
from detectors.rules import BoxRules
from evaluation.calibration import Scored, calibration
from evaluation.edits import EditRow, edit_row, edits
from evaluation.scoring import Span
from evaluation.tables import read_truth
from podcast import audio
from training.corpus import read_manifest
from training.learned import across, thresholds
from training.loop import Sounds
from training.rules import Example, fit, on_calls
from training.sounds import RATE, mix

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("PODCAST_DATA", ROOT.parent / "shared" / "data"))
BOUTS = ROOT / "benchmarks" / "bouts_by_eye.tsv"
LEARNED_BY_STARTER = ("Ford2022-tape", "Ford2022-PedderBay")
"""The recordings that the shipped weights of `starter` saw: their frames would flatter it."""
AUDIBLE_DB = (3.0, 25.0)
"""Over the background: what people would hear, and mark."""
SESSIONS, HELD_MINUTES, SEEDS = 20, 2, 5


@dataclass(frozen=True, slots=True)
class Made:
    """A recording whose calls are known."""

    session: str
    samples: audio.Samples
    rate: int
    calls: tuple[Span, ...]


def minutes(sounds: Sounds, session: str, count: int, seed: int, backgrounds: Sounds) -> Iterator[Made]:
    """Minutes with the calls of one recording, and humpbacks, in made seas and in `backgrounds`."""
    calls = [clip for clip in sounds.calls if clip.session == session]
    others = [clip for clip in sounds.others if clip.session == "humpback-catalogue"]
    for number in range(count):
        rng = np.random.default_rng([seed, sum(session.encode()), number])
        wave, spans = mix(rng, 60.0, calls, others, backgrounds.backgrounds, most_calls=8, snr_db=AUDIBLE_DB)
        yield Made(session, wave[:, None], RATE, tuple(Span(start, end - start) for start, end in spans))


def bouts() -> Iterator[Made]:
    """The real recordings whose calls were read off spectrograms by eye."""
    for recording in read_truth(str(BOUTS)):
        yield Made(recording.name, *audio.read(str(DATA / "bouts" / f"{recording.name}.wav")), recording.spans)


def framed(name: str) -> Framed:
    """A detector with its fixed rules."""
    detector = load_detector(f"{name},rules=fixed")
    assert isinstance(detector, Framed)
    return detector


def heard(detector: Framed, made: Made) -> Example:
    """What the detector makes of a recording."""
    return Example(made.session, detector.frames(made.samples, made.rate), made.calls)


def left_to_do(examples: Sequence[Example], rules: BoxRules | None, detector: Framed) -> EditRow:
    """The edits over recordings, with these rules or the fixed ones."""
    found = []
    for one in examples:
        events = [event for event, _ in rules.boxes(one.frames)] if rules else detector.fixed_cut.events(one.frames)[1]
        found.append(edits(events, one.calls, one.frames.length_s))
    return edit_row(detector.model_run.model, found)


def report(name: str, value: float, bar: float, *, holds: bool, **more: object) -> None:
    """One JSON object on one line."""
    print(json.dumps({"name": name, "value": round(value, 4), "bar": bar, "holds": holds, **more}), flush=True)


def rounds(names: Sequence[str]) -> None:
    """The bars: what one round teaches, on recordings and backgrounds that were held out from it."""
    sounds, tests = read_manifest(str(DATA / "manifest.tsv"))
    recorders = sorted(sounds.sessions() - set(LEARNED_BY_STARTER))
    saved: dict[str, list[float]] = {name: [] for name in names}
    slowest, scored, weak = 0.0, {name: list[Scored]() for name in names}, {name: list[Scored]() for name in names}
    for seed in range(SEEDS):
        dealt = np.random.default_rng(seed).permutation(recorders).tolist()
        half = len(dealt) // 2
        taught = [made for one in dealt[:half] for made in minutes(sounds, one, SESSIONS // half, seed, sounds)]
        held = [made for one in dealt[half:] for made in minutes(sounds, one, HELD_MINUTES, seed, tests)]
        for name in names:
            detector = framed(name)
            examples = [heard(detector, made) for made in held]
            started = time.perf_counter()
            rules = fit([heard(detector, made) for made in taught], name, detector.strengths, detector.fixed_cut)
            slowest = max(slowest, time.perf_counter() - started)
            before, after = left_to_do(examples, None, detector), left_to_do(examples, rules, detector)
            saved[name].append(1 - after.edits.count / max(before.edits.count, 1))
            scored[name] += [on_calls(rules.boxes(one.frames), one.calls) for one in examples]
            weak[name] += [on_calls(replace(rules, least=0.0).boxes(one.frames), one.calls) for one in examples]
    for name in names:
        enough = sum(share >= 0.15 for share in saved[name])
        report(f"{name}_rounds_of_5_that_save_15_percent", enough, 4, holds=enough >= 4, saved=np.round(saved[name], 3).tolist())
        for kind, boxes in (("", scored[name]), ("_of_weak_boxes_too", weak[name])):
            found = calibration(boxes)
            report(
                f"{name}_expected_calibration_error_held_out{kind}",
                found.error or 0.0,
                0.05,
                holds=(found.error or 0.0) <= 0.05,
                interval=found.interval and np.round(found.interval, 3).tolist(),
                if_all_were_right=found.by_chance and np.round(found.by_chance, 3).tolist(),
                boxes=sum(one.boxes for one in found.bins),
            )
    report("rules_from_20_sessions_seconds", slowest, 30.0, holds=slowest <= 30.0)


def ship(name: str) -> None:
    """Learn from all that is licensed, write the detector's rules, and print what they did across four folds of recordings."""
    sounds, tests = read_manifest(str(DATA / "manifest.tsv"))
    kept = sorted(sounds.sessions() - (set(LEARNED_BY_STARTER) if name == "starter" else set()))
    detector = framed(name)
    kinds = {
        "real bouts": [heard(detector, made) for made in bouts()],
        "mixed minutes": [
            heard(detector, made) for one in kept for made in minutes(sounds, one, 8 if "tape" in one else 4, 77, sounds)
        ],
        "other seas": [heard(detector, made) for one in kept for made in minutes(sounds, one, 2, 78, tests)],
    }
    groups = sorted({one.group for found in kinds.values() for one in found})
    fold_of = {groups[at]: number % 4 for number, at in enumerate(np.random.default_rng(0).permutation(len(groups)))}
    licensed = [*kinds["real bouts"], *kinds["mixed minutes"]]
    results: dict[str, list[tuple[EditRow, EditRow]]] = {kind: [] for kind in kinds}
    for fold in range(4):
        rules = fit([one for one in licensed if fold_of[one.group] != fold], name, detector.strengths, detector.fixed_cut)
        for kind, found in kinds.items():
            for one in found:
                if fold_of[one.group] == fold:
                    results[kind].append((left_to_do([one], None, detector), left_to_do([one], rules, detector)))
    for kind, pairs in results.items():
        before, after = (edit_row(kind, [pair[side].edits for pair in pairs]).as_dict() for side in (0, 1))
        print(json.dumps({"name": f"{name}, {kind}", "fixed": before, "learned": after}), flush=True)
    about = {
        "learned_from": "calls/ogl_canada (Open Government Licence - Canada 2.0) in made seas and background/ambient (MIT), "
        "background/humpback (MIT), and bouts (MIT, CC0)",
        "command": f"python benchmarks/learned_rules.py --ship {name}",
    }
    rules = fit(licensed, name, detector.strengths, detector.fixed_cut, about)
    (ROOT / "detectors" / f"{name}.rules.json").write_text(json.dumps(rules.as_dict()) + "\n")
    found = across(rules)
    bins = [(one.low, one.boxes, round(one.confidence, 3), round(one.share, 3), one.interval) for one in found.bins]
    print(
        json.dumps(
            {"name": name, "cut": rules.as_dict()["cut"], "least": rules.least, "error": found.error, "interval": found.interval}
        )
    )
    print(json.dumps({"bins": bins, "thresholds": thresholds(rules)}), flush=True)


def main() -> None:
    """The bars, or the rules that ship with the detector named after --ship."""
    if not (DATA / "manifest.tsv").exists():
        print(f"no real data at {DATA}; set PODCAST_DATA", file=sys.stderr)
        return
    use_threads(1)
    if sys.argv[1:2] == ["--ship"]:
        ship(sys.argv[2])
    else:
        rounds(("energy", "starter"))


if __name__ == "__main__":
    main()
