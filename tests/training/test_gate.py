"""The gate: what passes, and what is refused with which sentence. Detectors are tables of boxes here: nothing else counts."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from detectors.registry import Verdict
from podcast.audio import Samples
from podcast.model import CALL, Detection, ModelRun, SoundEvent
from podcast.splits import unit_of
from tests.releases.sessions import NODE, session
from training.gate import judge
from training.reviewed import Reviewed

OTHER = "rpi_bush_point"
RATE = 10
Boxes = dict[int, list[SoundEvent]]
Change = Callable[[list[Reviewed]], list[Reviewed]]


class Table:
    """A detector that knows its boxes by the number of the recording, which is its first sample."""

    def __init__(self, name: str, boxes: Boxes) -> None:
        self.model_run, self.boxes = ModelRun(name, "1"), boxes

    def detect(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[Detection]]:
        return [
            [Detection(event, CALL, 0.5, self.model_run) for event in self.boxes[int(samples[0, 0])]] for samples, _ in recordings
        ]


def read(reviewed: Reviewed) -> tuple[Samples, int]:
    samples = np.zeros((60 * RATE, 1), np.float32)
    samples[0] = int(reviewed.name[1:])
    return samples, RATE


def spread(rng: np.random.Generator, count: int) -> list[SoundEvent]:
    """So many stretches of about a second, none of which touches another."""
    starts = np.sort(rng.choice(np.arange(1, 57, 3), count, replace=False)) + rng.uniform(0, 0.9, count)
    return [SoundEvent(float(start), float(start + rng.uniform(0.5, 1.5))) for start in starts]


def moved(event: SoundEvent, by_s: float) -> SoundEvent:
    return SoundEvent(event.start_s + by_s, event.end_s + by_s)


class World:
    """30 sessions of two nodes, a third without calls: numbers below 10 are held out from earlier rounds, 20 are the new round.

    The detector in service has half of its boxes 0.4 s off and four wrong ones in every session; the candidate has one wrong one
    in every session with calls.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.sessions: list[Reviewed] = []
        self.before: Boxes = {}
        self.after: Boxes = {}
        for number in range(30):
            events = spread(rng, 9)
            rng.shuffle(events)  # type: ignore[arg-type]
            calls, wrong = (events[:5], events[5:]) if number % 3 else ([], events[5:])
            self.before[number] = [*(moved(call, 0.4 * (at % 2)) for at, call in enumerate(calls)), *wrong]
            self.after[number] = [*calls, *(wrong[:1] if calls else [])]
            self.sessions.append(self.reviewed(number, calls))

    @staticmethod
    def reviewed(number: int, calls: list[SoundEvent]) -> Reviewed:
        node = OTHER if number % 2 else NODE
        unit = unit_of(session(f"s{number}", node=node), usable=True, calls=len(calls))
        name = "old" if number < 10 else "new"
        return Reviewed(f"s{number}", node, tuple(calls), (), unit, round=name, annotators=(("ann", "bob")[number % 4 // 2],))

    def judged(self, change: Change = lambda new: new, held_out: slice = slice(0, 13)) -> Verdict:
        """The new round as `change` makes it; three of its sessions are held out beside the earlier ones."""
        sessions = [*self.sessions[:10], *change(self.sessions[10:])]
        return judge(Table("b", self.after), Table("a", self.before), sessions[held_out], read, sessions[10:])


def without_calls(new: list[Reviewed]) -> list[Reviewed]:
    return [replace(one, calls=()) for one in new]


def test_a_better_model_passes_and_says_by_how_much() -> None:
    world = World()
    verdict = world.judged()
    assert verdict.promoted, verdict.reason
    # By hand: of 13 sessions 8 have calls, with 2 boxes to move and 4 to delete, and the other 5 have 4 to delete; then 8 boxes.
    assert verdict.reason.startswith("edits a minute fall to 0.6, from 5.2, on 13 recordings held out at 2 nodes (at least ")
    whole, *nodes = verdict.figures["edits"]
    assert (whole["before"]["edits_a_minute"], whole["after"]["edits_a_minute"]) == (round(68 / 13, 3), round(8 / 13, 3))
    assert [row["name"] for row in nodes] == [OTHER, NODE] and sum(row["after"]["recordings"] for row in nodes) == 13
    assert verdict.figures["false_boxes_an_hour"] == [240.0, 0.0]
    again = World().judged()
    assert json.dumps(again.figures, allow_nan=False) == json.dumps(verdict.figures) and again == verdict


def test_too_few_held_out_recordings_are_counted_by_node() -> None:
    verdict = World().judged(held_out=slice(0, 5))
    assert not verdict.promoted
    assert verdict.reason == (
        f"too few recordings are held out, 4 of each node are needed: 2 of {OTHER}, 1 of {NODE} are missing"
    )
    assert World().judged(held_out=slice(0)).reason == "no recording is held out, and 4 of each node are needed"
    world = World()
    world.sessions = [replace(one, calls=one.calls or (SoundEvent(1, 2),)) for one in world.sessions]
    assert world.judged().reason == "0 of the recordings held out are without calls, and 2 are needed: 2 are missing"


def test_one_node_that_gets_worse_is_enough() -> None:
    world = World()
    for number in range(1, 13, 2):
        world.after[number] = [*world.before[number], *(SoundEvent(at + 0.1, at + 0.2) for at in (58, 59))]
    world.after[3] = world.after[9] = []  # no more false boxes where nobody calls
    verdict = world.judged()
    assert not verdict.promoted
    assert verdict.figures["edits"][0]["saved_at_least"] > 0
    assert verdict.reason.startswith(f"{OTHER} may get worse by more than 1 edits a minute: ")


def test_false_boxes_in_quiet_sessions_may_not_rise() -> None:
    world = World()
    for number in (0, 3, 6, 9, 12):
        world.after[number] = [*world.before[number], SoundEvent(59.1, 59.2)]
    assert world.judged().reason == "false boxes rise to 300 an hour, from 240, on recordings without calls"


def test_a_model_that_may_as_well_be_no_better_stays_out() -> None:
    world = World()
    world.after = {**world.before, 1: world.after[1]}
    assert world.judged().reason.startswith("edits a minute do not surely fall: 4.8, and 5.2 before, on 13 recordings held out")


@pytest.mark.parametrize("by_s", [0.5, -0.5, 1.4])
def test_labels_that_all_lie_beside_their_sounds_are_refused(by_s: float) -> None:
    def shifted(new: list[Reviewed]) -> list[Reviewed]:
        return [replace(one, calls=tuple(moved(call, by_s) for call in one.calls if call.start_s + by_s > 0)) for one in new]

    # The detector in service has half of its boxes 0.4 s late, so its own are 0.2 s late.
    reason = World().judged(shifted).reason
    side = "after" if by_s > 0 else "before"
    assert f" s {side} the sounds that the detector hears" in reason and reason.startswith("annotator ann: ")
    found_s = float(reason.split(" calls lie ")[1].split(" s ")[0])
    assert abs(by_s) - 0.45 <= found_s <= abs(by_s) + 0.05


def test_labels_of_other_sessions_are_refused() -> None:
    def swapped(new: list[Reviewed]) -> list[Reviewed]:
        return [replace(one, calls=new[at - 6].calls) for at, one in enumerate(new)]

    assert "on what the detector hears no more often than by chance; were sessions mixed up?" in World().judged(swapped).reason


def test_a_round_in_which_nobody_marked_a_call_is_refused() -> None:
    reason = World().judged(without_calls).reason
    assert "0 of 100 boxes of the detector lie on calls, and " in reason and "were calls deleted, or left out?" in reason


def test_one_annotator_who_accepts_everything_is_named() -> None:
    world = World()

    def accepted(new: list[Reviewed]) -> list[Reviewed]:
        return [replace(one, calls=tuple(world.before[int(one.name[1:])])) if "bob" in one.annotators else one for one in new]

    verdict = world.judged(accepted)
    assert verdict.reason.startswith("annotator bob: 0 boxes were changed, and ")
    assert verdict.reason.endswith(" would have been elsewhere; was all accepted that the detector showed?")
    assert not any("annotator ann" in doubt for doubt in verdict.figures["refusals"])


def test_boxes_on_what_nobody_was_sure_of_are_no_edits() -> None:
    world = World()
    world.sessions = [
        replace(
            one,
            unsure=tuple(
                box for box in world.before[at] if not any(box.start_s < c.end_s and c.start_s < box.end_s for c in one.calls)
            ),
        )
        for at, one in enumerate(world.sessions[:13])
    ]
    verdict = judge(Table("b", world.after), Table("a", world.before), world.sessions, read)
    assert verdict.figures["edits"][0]["before"]["deleted"] == 0
    assert verdict.figures["quiet_recordings"] == 0  # something in them may be a call


def test_audio_is_held_one_recording_at_a_time() -> None:
    world, alive = World(), list[weakref.ref[Samples]]()

    def watched(one: Reviewed) -> tuple[Samples, int]:
        assert all(earlier() is None for earlier in alive)
        samples, rate = read(one)
        alive.append(weakref.ref(samples))
        return samples, rate

    judge(Table("b", world.after), Table("a", world.before), world.sessions[:13], watched, world.sessions[10:])
    assert len(alive) == 30  # each recording once, also where it is held out and new
