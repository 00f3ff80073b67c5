"""What is done for a job of the queue: sessions of rounds, a candidate, the gate, a promotion, and the new predictions after it.

All of it follows from what the rounds say, and from the number of promotions that there were when the job was begun, which the
queue keeps. So a job that is done again after its trainer was killed leaves the same files in the registry (docs/adr/0117).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors import load_detector
from detectors.base import Detector, Framed
from detectors.model_folder import RULES, Model
from detectors.registry import GATE, SPLITS, Registry, Verdict
from detectors.rules import parse_rules, version
from labelstudio.audio import TaskAudio
from labelstudio.client import Server
from labelstudio.promoted import bring_up_to_date
from podcast import storage
from podcast.audio import Samples
from podcast.errors import InputError, NotFoundError, PodcastError, UnavailableError
from podcast.jobs import REDIS, Job, Queue, Running
from podcast.reading import parse_json
from podcast.settings import Settings
from podcast.splits import LEFT_OUT
from podcast.splits import SPLITS as NAMES
from training.gate import judge
from training.learned import learn
from training.reviewed import Lessons, Reviewed, lessons
from training.rounds import Rounds, UnheardError
from training.scratch import Read

WORK = "training"
"""The folder beside the queue in which models are made before the registry takes them over; below .podcast with Redis."""
PROMOTIONS = "promotions"

Json = dict[str, Any]


@dataclass(frozen=True)
class Trainer:
    """What a trainer works with; one for a process."""

    settings: Settings
    server: Server
    audio: TaskAudio
    queue: Queue

    def work(self, begun: Running) -> str | None:
        """Do the job that was taken and give its outcome in a sentence, or None where Label Studio is away: try again later."""
        try:
            outcome = self._train(begun)
        except UnavailableError as error:
            self.queue.note(begun.job, f"waits: {error}")
            return None
        except PodcastError as error:
            outcome = f"not trained: {error}"
        self._tell(begun.job, outcome)
        self.queue.end(begun.job, outcome)
        return outcome

    def _tell(self, job: Job, words: str) -> None:
        """Have Label Studio show it, where it can: that must not fail a training."""
        for project in job.projects:
            with suppress(PodcastError):
                login = self.settings.ml_basic_auth_user, self.settings.ml_basic_auth_password
                self.server.tell_at_ml_backends(project, words, *login)

    def _train(self, begun: Running) -> str:
        registry = Registry(self.settings.ml_registry)
        history = registry.history()
        number = int(begun.kept.get(PROMOTIONS, len(history)))
        self.queue.note(begun.job, "reading what people said", {PROMOTIONS: number})
        self._tell(begun.job, "begun; `podcast models` shows how far it is")
        served = history[number - 1].model if number else None
        run = self._folder(f"{begun.job.key} {number}")
        training = _Training(self, registry, begun.job, number, registry.get(served) if served else None, run)
        outcome = training.outcome()
        shutil.rmtree(run)
        return outcome

    def _folder(self, key: str) -> Path:
        """A folder for what `key` names: what was made for it before stays there, what was made for anything else goes."""
        place = self.settings.ml_queue
        work = Path(".podcast" if place.startswith(REDIS) else Path(place).parent, WORK)
        run = work / hashlib.sha256(key.encode()).hexdigest()[:12]
        for other in work.glob("*"):
            if other != run:
                shutil.rmtree(other)
        run.mkdir(parents=True, exist_ok=True)
        return run


@dataclass(frozen=True)
class _Training:
    """One job, begun when there were `number` promotions and `served` was in service (None: what ML_DETECTOR says)."""

    trainer: Trainer
    registry: Registry
    job: Job
    number: int
    served: Model | None
    run: Path

    def outcome(self) -> str:
        """In a sentence. Raises InputError for a job that cannot be done, UnavailableError if Label Studio is away."""
        spec = self.served.spec if self.served else self.trainer.settings.ml_detector
        detector = load_detector(spec)
        if not isinstance(detector, Framed):
            raise InputError(f"{detector.model_run} has no frames that rules could be learned for")
        projects, rounds = self._rounds()
        taught = self._learn(detector, spec, rounds)
        rules = parse_rules((self.run / RULES).read_bytes(), str(self.run / RULES))
        if version(detector.strengths, rules) == detector.model_run.version:
            return f"nothing new was learned: {detector.model_run} serves already"
        self._remember(taught.splits)
        model = self.registry.add(self.run)
        candidate = load_detector(model.spec)
        verdict = self._judged(candidate, detector, taught, rounds)
        self.registry.record_verdict(model.name, verdict)
        if not verdict.promoted:
            return f"not promoted: {verdict.reason} ({model.name}){rounds.unheard}"
        self.registry.promote(model.name, GATE, verdict.reason, after=self.number)
        behind = [why for project in projects if (why := self._bring_up_to_date(project, str(candidate.model_run)))]
        return "; ".join([f"promoted: {verdict.reason} ({model.name}){rounds.unheard}", *behind])

    def _rounds(self) -> tuple[list[Json], Rounds]:
        """The projects of the job, and what people said: in these and in the rounds of the model in service, which are learned
        from, and in all others."""
        server = self.trainer.server
        projects = {int(project["id"]): project for project in server.rounds()}
        wanted = set(self.job.projects or projects)
        if gone := wanted - projects.keys():
            raise InputError(f"Label Studio has no project {', '.join(map(str, sorted(gone)))} ({self.job})")
        before = self.served.rounds if self.served else ()
        rounds = Rounds(server, self.trainer.audio)
        for number, project in sorted(projects.items()):
            try:
                rounds.read(project, learn=number in wanted or project["title"] in before)
            except InputError:  # a project that is no round
                if number in self.job.projects:
                    raise
        return [projects[number] for number in sorted(wanted)], rounds

    def _learn(self, detector: Framed, spec: str, rounds: Rounds) -> Lessons:
        """Learn, in the run's folder, from what can be heard of the rounds; gives what that was."""
        while True:
            try:
                taught = lessons(rounds.learned.values(), self._splits())
            except InputError as error:
                raise InputError(f"{error}{rounds.unheard}") from error
            read = self._told("{done} of {total} sessions heard", len(taught.learned) + len(taught.tested), rounds)
            try:
                dealt = sorted(item.name for item in (*taught.learned, *taught.tested))
                learn(detector, taught, read, self.run, {"rounds": sorted(rounds.names), "sessions": dealt}, spec)
                return taught
            except UnheardError as error:
                rounds.leave_out(error)

    def _judged(self, candidate: Detector, detector: Detector, taught: Lessons, rounds: Rounds) -> Verdict:
        """The gate's word, by the sessions for the test of all rounds so far, and by what is new to the model in service."""
        about = parse_rules(self.served.read(RULES), RULES).about if self.served and RULES in self.served.files else None
        known = (about or {}).get("sessions", ())
        new = [session for name, session in rounds.learned.items() if name not in known]
        while True:
            tests = (item for name, item in rounds.others.items() if taught.splits.get(name) == "test")
            held_out = list({item.name: item for item in (*tests, *taught.tested)}.values())
            total = len({item.name for item in (*held_out, *new)})
            try:
                return judge(
                    candidate, detector, held_out, self._told("compared on {done} of {total} sessions", total, rounds), new
                )
            except UnheardError as error:
                if error.session not in rounds.others:
                    raise
                rounds.leave_out(error)

    def _bring_up_to_date(self, project: Json, model_version: str) -> str:
        """Have new predictions made for a round, as far as it waits for people; gives what went wrong, in words."""
        self._note(f"promoted; new predictions for {project['title']}")
        try:
            report = bring_up_to_date(self.trainer.server, int(project["id"]), model_version)
        except UnavailableError:
            raise
        except PodcastError as error:
            return f"{project['title']} keeps its predictions: {error}"
        return f"{project['title']}: {len(report.refusals)} sessions without new ones" if report.refusals else ""

    def _told(self, words: str, total: int, rounds: Rounds) -> Read:
        """What reads the audio of sessions, and tells each time how far it is."""
        heard: set[str] = set()

        def read(session: Reviewed) -> tuple[Samples, int]:
            samples = rounds.samples(session)
            heard.add(session.name)
            self._note(words.format(done=len(heard), total=total))
            return samples

        return read

    def _note(self, doing: str) -> None:
        self.trainer.queue.note(self.job, doing)

    def _splits(self) -> dict[str, str]:
        """The split of every session that was ever dealt."""
        place = storage.join(self.registry.uri, SPLITS)
        try:
            found = parse_json(storage.read(place), place)
        except NotFoundError:
            return {}
        if not isinstance(found, dict) or not all(split in (*NAMES, LEFT_OUT) for split in found.values()):
            raise InputError(f"{place}: expected the split of each session, one of {', '.join((*NAMES, LEFT_OUT))}")
        return found

    def _remember(self, splits: Mapping[str, str]) -> None:
        content = json.dumps(dict(sorted(splits.items())), indent=0) + "\n"
        storage.write(storage.join(self.registry.uri, SPLITS), content.encode())
