"""Targets: what anybody may send to the ML backend, and audio that anybody may hand over."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from flask import Flask

from demo.sessions import SAMPLE_RATE, plan, render
from detectors import load_detector
from labelstudio.labels import LABEL_CONFIG_PATH
from ml_backend.app import create_app
from ml_backend.serving import serving
from podcast import audio
from tests.fuzz.counts import damaged
from tests.fuzz.harness import BrokenRuleError, Case, Outcome, Target, strict_json
from tests.fuzz.mutators import SIGNED, TEXTS, damage_bytes, damage_header, damage_json, to_json
from tests.fuzz.seeds import Seeds

Json = dict[str, Any]
LOCAL = "/data/local-files/?d=audio/"


def targets(seeds: Seeds) -> Iterator[Target]:
    """All of them. The settings must be those of `Seeds`, and the document root its `work`."""
    backend, sound = _Backend(seeds), partial(_sound, seeds)
    yield Target("predict", backend.request, backend.predict, 2)
    yield Target("predict, labeling configuration", backend.configured, backend.predict, 0.5)
    yield Target("predict, audio", sound, backend.predict_damaged, 0.5)
    yield Target("setup", partial(_body, backend.setup_body), partial(backend.ask, "/setup"))
    yield Target("webhook", partial(_body, WEBHOOK), partial(backend.ask, "/webhook"))
    yield Target("audio", sound, _hear, 2)


def _body(seed: Any, chance: Random) -> Case:
    return damaged(chance, seed, bytes_share=0.2)


def _sound(seeds: Seeds, chance: Random) -> Case:
    sound = chance.choice((*seeds.sounds, seeds.raw_sounds))
    return Case(damage_header(chance, sound) if chance.random() < 0.4 else damage_bytes(chance, sound))


def _hear(case: Case, _: Path, outcome: Outcome) -> None:
    """What opens is decoded and listened to; neither header nor samples nor boxes hold what is no number."""
    outcome.answers.append(audio.probe_file(io.BytesIO(case.content), "a.wav").duration_s)
    samples, rate = audio.decode(io.BytesIO(case.content), "a.wav")
    if not np.isfinite(samples).all():
        raise BrokenRuleError("samples that are no numbers")
    outcome.answers.append(load_detector("energy").detect([(samples, rate)]))


class _Backend:
    """The application in this process, with a minute of calls and one of noise below its document root."""

    def __init__(self, seeds: Seeds) -> None:
        self._config = LABEL_CONFIG_PATH.read_text(encoding="utf-8")
        self._folder = seeds.work / "audio"
        calls = render(plan()[0], 0).astype(np.float32)[:, None]
        noise = np.random.default_rng(1).normal(0, 0.01, (10 * SAMPLE_RATE, 1)).astype(np.float32)
        for name, samples in (("calls", calls), ("noise", noise)):
            audio.write_wav(str(self._folder / f"{name}.wav"), samples, SAMPLE_RATE)
        serving.cache_clear()
        self._app: Flask = create_app()
        self._app.config["PROPAGATE_EXCEPTIONS"] = True  # with their places, in place of a bare 500
        self._tasks: list[Json] = []
        for number, name in enumerate(("calls", "noise"), 1):
            with (self._folder / f"{name}.wav").open("rb") as file:
                data = {"sha256": audio.sha256(file), "duration_s": audio.probe(str(self._folder / f"{name}.wav")).duration_s}
            heads = {"session_id": name, "round": "fuzz", "uri": SIGNED[0], "absolute_time": "", "source_guid": "", "start": ""}
            self._tasks += ({"id": number, "data": {"audio": f"{LOCAL}{name}.wav", **heads, **data}, "predictions": []},)
        self._tasks.append({"id": 3, "data": {"audio": f"{LOCAL}gone.wav"}})
        answers = self._post("/predict", json.dumps(self._whole(self._tasks)).encode(), Outcome())["results"]
        self._known = {task["data"]["audio"]: _times(answer) for task, answer in zip(self._tasks[:2], answers, strict=False)}
        assert list(map(bool, self._known.values())) == [True, False], "calls are heard in the one and not in the other"

    def _whole(self, tasks: list[Json]) -> Json:
        params = {"context": None, "login": None, "password": None}
        return {"tasks": tasks, "model_version": None, "project": "1.1795360795", "label_config": self._config, "params": params}

    @property
    def setup_body(self) -> Json:
        """As Label Studio sends it."""
        extra = {"hostname": "http://127.0.0.1:8080", "access_token": "0" * 40, "extra_params": None}
        return {"project": "1.1795360795", "schema": self._config, **extra}

    def request(self, chance: Random) -> Case:
        """Damage in one of the tasks, or anywhere in the request."""
        tasks = chance.sample(self._tasks, chance.choice((1, 3)))
        if chance.random() < 0.3:
            return _body(self._whole(tasks), chance)
        number = chance.randrange(len(tasks))
        tasks = [*tasks[:number], damage_json(chance, tasks[number]), *tasks[number + 1 :]]
        if chance.random() < 0.3 and isinstance(tasks[number], dict) and isinstance(tasks[number].get("data"), dict):
            tasks[number]["data"]["audio"] = chance.choice((f"{LOCAL}{chance.choice(TEXTS)}", chance.choice(TEXTS), *SIGNED))
        value = self._whole(tasks)
        return Case(to_json(chance, value), value)

    def configured(self, chance: Random) -> Case:
        """A damaged labeling configuration."""
        config = damage_bytes(chance, self._config.encode()).decode(errors="replace")
        words = (
            "value",
            "name",
            "toName",
            "perRegion",
            "certainty",
            "reviewState",
            "Labels",
            "Audio",
            "Choices",
            "TextArea",
            "Call",
        )
        if chance.random() < 0.6:
            # No signed addresses: a label is the project's own word, and its boxes must carry it as it is.
            texts = [text for text in TEXTS if text not in SIGNED]
            word = chance.choice(words)
            config = self._config.replace(word, chance.choice(("", f"{word}x", chance.choice(texts))), chance.choice((1, -1)))
        value = {**self._whole(self._tasks), "label_config": config}
        return Case(to_json(chance, value), value)

    def predict(self, case: Case, _: Path, outcome: Outcome) -> None:
        """One answer a task, each with boxes or the reason why there are none; for known audio the known boxes."""
        answer = self._post("/predict", case.content, outcome)
        tasks = case.value.get("tasks") if isinstance(case.value, dict) else None
        if "results" not in answer or not isinstance(tasks, list):
            return
        if len(answer["results"]) != len(tasks):
            raise BrokenRuleError(f"answers: {len(answer['results'])} for {len(tasks)} tasks")
        for task, result in zip(tasks, answer["results"], strict=True):
            if ("result" in result) == ("error" in result):
                raise BrokenRuleError(f"answers: neither boxes nor a reason in {result}")
            data = task.get("data") if isinstance(task, dict) else None
            address = data.get("audio") if isinstance(data, Mapping) else None
            known = self._known.get(address) if isinstance(address, str) else None
            if known is not None and "result" in result and _times(result) != known:
                raise BrokenRuleError(f"boxes of other audio: {_times(result)} for {address}")

    def predict_damaged(self, case: Case, _: Path, outcome: Outcome) -> None:
        """The same for damaged audio between two good ones."""
        name = "damaged.wav"
        (self._folder / name).write_bytes(case.content)
        tasks = [self._tasks[0], {"id": 9, "data": {"audio": f"{LOCAL}{name}"}}, self._tasks[1]]
        value = self._whole(tasks)
        self.predict(Case(json.dumps(value).encode(), value), Path(), outcome)

    def ask(self, view: str, case: Case, _: Path, outcome: Outcome) -> None:
        """Any other view."""
        self._post(view, case.content, outcome)

    def _post(self, view: str, content: bytes, outcome: Outcome) -> Json:
        answer = self._app.test_client().post(view, data=content, content_type="application/json")
        outcome.said.append(answer.text)
        if answer.status_code >= 500:
            raise BrokenRuleError(f"{view}: answered {answer.status_code}")
        value = strict_json(answer.text)
        if not isinstance(value, dict):
            raise BrokenRuleError(f"{view}: answered {answer.text[:200]}")
        return value


def _times(answer: Json) -> list[tuple[float, float]]:
    return [(region["value"]["start"], region["value"]["end"]) for region in answer["result"]]


WEBHOOK = {
    "action": "ANNOTATION_CREATED",
    "project": {"id": 1, "title": "round1"},
    "task": {"id": 5, "data": {"audio": f"{LOCAL}calls.wav"}},
    "annotation": {"id": 3, "result": [], "completed_by": {"id": 1, "email": "a@example.org"}},
}
