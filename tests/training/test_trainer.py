"""What becomes of a job: Label Studio is a stand-in here, whose rounds are lists of tasks as it exports them.

With a real one it runs in `podcast demo --check` (tests/test_demo.py), and under SIGKILL in benchmarks/trainer_kills.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.servers import task_audio
from demo.sessions import DemoSession, chirping_plan, write_sessions
from detectors import load_detector
from detectors.registry import GATE, MAINTAINER, Registry, spec_in_service
from labelstudio.labels import LABEL_CONFIG_PATH, LabelConfig
from labelstudio.tasks import to_task
from podcast.errors import UnavailableError
from podcast.jobs import Job, Queue
from podcast.model import Annotation, Certainty, Outcome, Recording, Review, ReviewState, Session
from podcast.settings import Settings, load_settings
from podcast.times import parse_session_name
from tests.conftest import TIMEOUT_S
from training.trainer import Trainer

FOLDER = "lessons"
JUNE, JULY = Job((1,), names=("June",)), Job((2,), names=("July",))


@dataclass
class Studio:
    """Rounds by the numbers of their projects: their names and tasks."""

    projects: dict[int, tuple[str, list[dict[str, Any]]]] = field(default_factory=dict)
    away: bool = False
    told: list[str] = field(default_factory=list)

    def rounds(self) -> list[dict[str, Any]]:
        if self.away:
            raise UnavailableError("Label Studio at http://127.0.0.1:9 does not answer")
        config = LABEL_CONFIG_PATH.read_text()
        return [{"id": number, "title": title, "label_config": config} for number, (title, _) in self.projects.items()]

    def export(self, project: int, **_: bool) -> Iterator[dict[str, Any]]:
        return iter(json.loads(json.dumps(self.projects[project][1])))

    def users(self) -> dict[int, str]:
        return {}

    def version(self) -> str:
        return "1.23.2"

    def tell_at_ml_backends(self, project: int, words: str, *_: str) -> None:
        self.told.append(f"{project}: {words}")

    def ml_backends(self, _: int) -> list[dict[str, Any]]:
        return []


def reviewed(number: int, made: DemoSession) -> dict[str, Any]:
    """The task of a session in which somebody marked what is in it."""
    boxes = tuple(Annotation(event, "Call", Certainty.CERTAIN, "a", Outcome.ADDED) for event in made.truth)
    recording = Recording(f"{made.id}.wav", "rpi_orcasound_lab", parse_session_name(made.id).parent_start, made.duration_s)
    review = Review("a", ReviewState.CALLS if boxes else ReviewState.NO_CALLS, boxes)
    session = Session(made.id, recording, made.id, "lessons", (), (), (review,))
    task = to_task(session, f"/data/local-files/?d={FOLDER}/{made.id}.wav", LabelConfig.load())
    return {**task, "id": number, "annotations": [{"id": number, "completed_by": 1, **item} for item in task["annotations"]]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label Studio's document root, with the WAVs of 30 sessions."""
    root = tmp_path_factory.mktemp("root")
    write_sessions(str(root / FOLDER), chirping_plan(30))
    return root


@pytest.fixture(scope="module")
def tasks() -> list[dict[str, Any]]:
    return [reviewed(number + 1, made) for number, made in enumerate(chirping_plan(30))]


@pytest.fixture
def settings(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Those of a trainer with a queue and a registry of its own."""
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", str(root))
    monkeypatch.setenv("ML_REGISTRY", str(tmp_path / "models"))
    monkeypatch.setenv("ML_QUEUE", str(tmp_path / "queue.db"))
    return load_settings()


def worked(studio: Any, settings: Settings, job: Job) -> str | None:
    """The outcome of a job, in a sentence."""
    with Queue(settings.ml_queue) as queue, queue.alone(print):
        queue.ask(job)
        begun = queue.take()
        assert begun
        return Trainer(settings, studio, task_audio(settings), queue).work(begun)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_round_becomes_a_model_that_passes_the_gate_and_serves(settings: Settings, tasks: list[dict[str, Any]]) -> None:
    studio = Studio({1: ("June", tasks[:24])})
    outcome = worked(studio, settings, JUNE)
    registry = Registry(settings.ml_registry)
    [model] = registry.models()
    assert studio.told == ["1: begun; `podcast models` shows how far it is", f"1: {outcome}"]
    assert outcome and outcome.startswith("promoted: edits a minute fall to ") and model.name in outcome
    assert "June keeps its predictions: project 1 has no ML backend" in outcome
    assert [(one.model, one.by) for one in registry.history()] == [(model.name, GATE)]
    assert (model.rounds, model.parent) == (("June",), str(load_detector("energy").model_run))
    splits = json.loads(Path(settings.ml_registry, "splits.json").read_text())
    assert sorted(splits) == json.loads(model.read("rules.json"))["about"]["sessions"]
    assert len(splits) == 24 == model.counts["sessions"] + model.counts["tested"]
    assert list(splits.values()).count("test") == model.counts["tested"] > 0
    assert spec_in_service(settings).endswith(model.name)
    with Queue(settings.ml_queue) as queue:
        assert queue.running() is None
        assert [(found.job, found.said) for found in queue.outcomes()] == [(JUNE, outcome)]
    # Nothing new was said: nothing new is learned, and what serves stays.
    assert worked(studio, settings, JUNE) == f"nothing new was learned: {load_detector(model.spec).model_run} serves already"
    assert registry.models() == [model]
    # The next round is learned together with the one before, and what was a test is one for ever.
    studio.projects[2] = ("July", tasks[24:])
    worked(studio, settings, JULY)
    [second] = (found for found in registry.models() if found != model)
    assert (second.rounds, second.parent) == (("July", "June"), model.name)
    assert second.counts["sessions"] + second.counts["tested"] == 30
    later = json.loads(Path(settings.ml_registry, "splits.json").read_text())
    assert {name: later[name] for name in splits} == splits


def test_too_few_sessions_are_an_outcome_that_says_how_many_are_missing(settings: Settings, tasks: list[dict[str, Any]]) -> None:
    outcome = worked(Studio({1: ("June", tasks[:13])}), settings, JUNE)
    assert outcome and outcome.startswith("not trained: 13 sessions are reviewed") and "7 are missing" in outcome
    assert not Path(settings.ml_registry).exists()


def test_a_project_that_is_gone_is_an_outcome(settings: Settings) -> None:
    assert worked(Studio(), settings, JUNE) == "not trained: Label Studio has no project 1 (round June)"


def test_what_cannot_be_heard_is_left_out_and_named(settings: Settings, tasks: list[dict[str, Any]]) -> None:
    gone, other = (json.loads(json.dumps(task)) for task in tasks[19:21])
    gone["data"]["audio"] = f"/data/local-files/?d={FOLDER}/nowhere.wav"
    other["data"]["sha256"] = "0" * 64
    outcome = worked(Studio({1: ("June", [*tasks[:19], gone, other])}), settings, JUNE)
    assert outcome and outcome.startswith("not trained: 19 sessions are reviewed")
    assert "left out, since it cannot be heard: session " in outcome and ", and 1 more" in outcome


def test_a_label_studio_that_is_away_is_waited_for(settings: Settings, tasks: list[dict[str, Any]]) -> None:
    studio = Studio({1: ("June", tasks[:13])}, away=True)
    assert worked(studio, settings, JUNE) is None
    with Queue(settings.ml_queue) as queue:
        running = queue.running()
        assert running and running.doing.startswith("waits: Label Studio at http://127.0.0.1:9 does not answer")
        assert queue.outcomes() == []
    studio.away = False
    outcome = worked(studio, settings, JUNE)
    assert outcome and outcome.startswith("not trained: 13 sessions")


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing is cleaned up."""


class Deadly(Queue):
    """A queue whose trainer dies after it has told so many things."""

    left = 0

    def note(self, *told: Any, **more: Any) -> None:
        super().note(*told, **more)
        self.left -= 1
        if not self.left:
            raise KilledError


def test_a_trainer_that_dies_again_and_again_leaves_what_an_undisturbed_one_does(
    settings: Settings, tasks: list[dict[str, Any]], tmp_path: Path
) -> None:
    studio: Any = Studio({1: ("June", tasks[:24])})
    quiet = settings.model_copy(update={"ml_registry": str(tmp_path / "quiet"), "ml_queue": str(tmp_path / "other" / "queue.db")})
    assert (outcome := worked(studio, quiet, JUNE))
    with Queue(settings.ml_queue) as queue:
        queue.ask(JUNE)
    told = 2 + 24 + 24 + 1  # begun, reading, what is heard, what is compared, promoted
    for left in (1, 2, 20, 2 + 24, 2 + 24 + 3, told - 1, told):
        with Deadly(settings.ml_queue) as queue, pytest.raises(KilledError):
            queue.left = left
            begun = queue.take()
            assert begun
            Trainer(settings, studio, task_audio(settings), queue).work(begun)
    assert Registry(settings.ml_registry).in_service()  # it died after its own promotion, too
    assert worked(studio, settings, JUNE) == outcome
    assert tree(Path(settings.ml_registry)) == tree(tmp_path / "quiet")
    assert list((tmp_path / "training").iterdir()) == []


def test_a_promotion_by_hand_meanwhile_is_not_undone(settings: Settings, tasks: list[dict[str, Any]]) -> None:
    studio: Any = Studio({1: ("June", tasks[:24])})
    registry = Registry(settings.ml_registry)
    assert worked(studio, settings, JUNE)
    [model] = registry.models()
    studio.projects[2] = ("July", tasks[24:])
    with Deadly(settings.ml_queue) as queue, pytest.raises(KilledError):
        queue.ask(JULY)
        queue.left = 3
        begun = queue.take()
        assert begun
        Trainer(settings, studio, task_audio(settings), queue).work(begun)
    registry.rollback("by hand")
    outcome = worked(studio, settings, JULY)
    assert outcome and not outcome.startswith("promoted")
    assert registry.in_service() is None
    registry.promote(model.name, MAINTAINER, "back again")
    assert registry.in_service() == model.name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_the_job_stays(tmp_path: Path, number: int) -> None:
    with Queue(str(tmp_path / "queue.db")) as queue:
        queue.ask(JUNE)
        settings = {"ML_QUEUE": queue.place, "LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_API_KEY": "a" * 40}
        command = [sys.executable, "-u", "-m", "cli.main", "trainer"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **settings}, **pipes) as trainer:
            assert trainer.stdout
            said = [next(trainer.stdout) for _ in range(3)]
            assert said[1:] == ["round June: begins\n", "round June: Label Studio is away, tried again in a while\n"]
            trainer.send_signal(number)
            assert trainer.stdout.read() == "Ended; what was begun is done again by the next start.\n"
            assert trainer.wait(TIMEOUT_S) == 0
        running = queue.running()
        assert running and running.job == JUNE and "does not answer" in running.doing
