"""What people said, for both recipes of `podcast train`; and `--recipe rules`: box rules and scores of any detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.output import print_json, progress, say
from cli.servers import submitted_sessions
from podcast import audio, storage
from podcast.audio import Samples
from podcast.errors import InputError
from podcast.heard import SOMETHING, HeardEnough
from podcast.report import Report
from podcast.settings import load_settings

if TYPE_CHECKING:
    from training.reviewed import Lessons, Reviewed


@dataclass(frozen=True, slots=True)
class Said:
    """Where what people said is taken from, as the options of `podcast train` have it."""

    truth: str | None
    sounds: str | None
    round_name: str | None
    export_file: str | None
    min_heard: float | None
    previous: Sequence[str]
    audio_folder: str | None

    def sessions(self, report: Report) -> list[Reviewed]:
        """What was reviewed and heard. Answers of which nothing can have been heard teach nothing, unless more is asked for."""
        from training.reviewed import of_table, reviewed

        found = of_table(self.truth, self.sounds) if self.truth else []
        if self.round_name or self.export_file:
            heard = HeardEnough(self.min_heard or SOMETHING)
            found += reviewed(heard.of(submitted_sessions(self.round_name, self.export_file)[0]), report)
            if not found:
                raise InputError("nobody has reviewed and heard a session of this round yet, so there is nothing to learn from")
        if (self.truth or found) and not self.audio_folder:
            raise InputError("--audio is missing: the folder that holds the WAVs of the labels")
        return found

    def lessons(
        self, run: Path, found: Sequence[Reviewed], report: Report, *, fewest: int, hold_out: Sequence[str] = ()
    ) -> Lessons:
        """The sessions, dealt by the rule of releases; what was test, in a release or in a run beside this one, stays it."""
        from importers.release import read_splits
        from training.reviewed import lessons, remembered

        taught = lessons(found, remembered(run, map(read_splits, self.previous)), fewest=fewest, hold_out=hold_out)
        if left := len(found) - len(taught.learned) - len(taught.tested):
            report.warn(f"{left} sessions are left out: they lie too close to sessions of the test and of the training at once")
        return taught

    def read(self, session: Reviewed) -> tuple[Samples, int]:
        """The samples of a session and their rate in Hz."""
        return audio.read(storage.join(self.audio_folder or "", f"{session.name}.wav"))

    @property
    def about(self) -> dict[str, Any]:
        """For the files of the run."""
        return {"round": self.round_name or "", "table": self.truth or ""}


def say_what_is_wrong(report: Report) -> None:
    """Warnings and refusals, on standard error."""
    for warning in report.warnings:
        say(f"warning: {warning}", err=True)
    for refusal in report.refusals:
        say(f"refused: {refusal}", err=True)


def train_rules(run: Path, start_from: str | None, said: Said, *, as_json: bool) -> None:
    """Learn, test, write the run's folder and say what it saves. Raises InputError for what cannot be learned from."""
    # Imported here since scikit-learn takes a second that no other command should wait for.
    from detectors import load_detector
    from detectors.base import Framed
    from detectors.registry import spec_in_service
    from training.learned import learn
    from training.reviewed import FEWEST_SESSIONS

    if not (said.truth or said.round_name or said.export_file):
        raise InputError("name what people said: --round, --file or --truth")
    spec = start_from or spec_in_service(load_settings())
    detector = load_detector(spec)
    if not isinstance(detector, Framed):
        raise InputError(f"{spec} has no frames that rules could be learned for")
    report = Report()
    taught = said.lessons(run, said.sessions(report), report, fewest=FEWEST_SESSIONS)
    with progress("Listening", as_json=as_json, total=len(taught.learned) + len(taught.tested)) as advance:

        def read(session: Reviewed) -> tuple[Samples, int]:
            advance(1)
            return said.read(session)

        scores = learn(detector, taught, read, run, {**said.about, "sessions": len(taught.learned)}, spec)
    if as_json:
        print_json({"run": str(run), "rules_file": str(run / "rules.json"), **figures(scores), **report.as_dict()})
        return
    say(f"Learned from {scores['learned_calls']} calls in {scores['learned_sessions']} sessions. {to_use(run)}")
    say_what_it_saves(scores)
    say_what_is_wrong(report)


def to_use(run: Path) -> str:
    """How the model of a finished run is used."""
    return f"The model is {run}: use it as --detector model:{run}, or put it into the registry by podcast models add {run}"


def figures(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores without what the model made of each recording, which the file holds."""
    from training.compared import ANSWERS

    return {name: value for name, value in scores.items() if name != ANSWERS}


def say_what_it_saves(scores: Mapping[str, Any]) -> None:
    """The edits before and after, on the sessions held out."""
    if scores["before"]:
        before, after = (scores[name]["edits_a_minute"] for name in ("before", "after"))
        say(f"Edits a minute on {scores['tested_sessions']} sessions held out from it: {after:.1f}, and {before:.1f} before")
    else:
        say("warning: no session was left for a test, so nobody knows what this saves", err=True)
