"""What answers Label Studio's requests: the detector, the cache and the audio source, in one `Service` a process."""

from __future__ import annotations

import itertools
import logging
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from detectors.base import Detector
from labelstudio.audio import TaskAudio
from labelstudio.blind import waits
from labelstudio.client import Server
from labelstudio.labels import LabelConfig
from labelstudio.signed import is_signed, signing_key
from labelstudio.tasks import to_prediction
from ml_backend.cache import DetectionCache, Heard
from ml_backend.metrics import CACHE_HITS, SESSIONS
from ml_backend.room import Room
from podcast import audio
from podcast.audio import Samples
from podcast.errors import InputError, PodcastError
from podcast.model import CALL, Certainty, Detection, Recording, Session
from podcast.redact import redact
from podcast.settings import Settings

logger = logging.getLogger(__name__)

Json = dict[str, Any]
Numbered = tuple[int, Mapping[str, Any]]

BATCH = 8
"""Recordings that a detector gets at once: enough for a network to be busy, few enough to stop in time."""
NOT_REACHED = "not reached in time; retrieve predictions again"
BLIND = "people hear this session without boxes; it gets some once they have answered"
LONGEST_CONFIG = 2**20
"""Letters: configurations are kept, and whoever may edit one decides how long it is."""


@dataclass(frozen=True, slots=True)
class Service:
    """What one process needs to answer, used from many threads; another detector is another service (see `serving`)."""

    detector: Detector
    cache: DetectionCache
    audio: TaskAudio
    budget_s: float
    room: Room
    key: bytes = b""

    @classmethod
    def load(cls, settings: Settings, detector: Detector) -> Service:
        """What serves `detector`, with cache and limits as the settings say."""
        return cls(
            detector,
            DetectionCache(settings.ml_cache_dir, settings.ml_cache_max_entries),
            TaskAudio(
                settings.label_studio_local_files_document_root,
                settings.label_studio_url,
                partial(Server, settings.label_studio_url, settings.label_studio_api_key),
                settings.ml_audio_max_bytes,
                settings.ml_audio_timeout_s,
                prefixes=settings.prefixes,
            ),
            settings.ml_predict_budget_s,
            Room(settings.ml_audio_max_samples),
            signing_key(settings.audio_signing_key or settings.label_studio_api_key),
        )

    def predict(self, tasks: Sequence[Mapping[str, Any]], config: LabelConfig, project: int | None = None) -> list[Json]:
        """One answer a task of `project`, in order.

        An answer without `result` says why there is none: Label Studio then stores nothing, and asks again at the next
        "Retrieve predictions". An empty `result` would say that the detector heard nothing. Work stops after `budget_s` seconds;
        what was found by then is in the cache, and the next request goes on from there. Raises InputError if the configuration
        has no label for calls.
        """
        config.label_value(CALL, Certainty.CERTAIN)
        deadline = time.monotonic() + self.budget_s
        answers: list[Json] = [{"error": NOT_REACHED} for _ in tasks]

        def work(batch: list[Numbered]) -> list[tuple[int, Json]]:
            return list(_Batch(self, config, project, deadline).answers(batch)) if time.monotonic() <= deadline else []

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for number, answer in itertools.chain.from_iterable(pool.map(work, _batches(enumerate(tasks), BATCH))):
                answers[number] = answer
        for answer in answers:
            SESSIONS.labels("answered" if "result" in answer else "blind" if answer["error"] == BLIND else "failed").inc()
        return answers

    def detect(self, recordings: list[tuple[Samples, int]]) -> Sequence[list[Detection] | InputError]:
        """Detections of all at once; if one cannot be listened to, of each alone."""
        try:
            return self.detector.detect(recordings) if recordings else []
        except InputError as error:
            return [error] if len(recordings) == 1 else [self.detect([recording])[0] for recording in recordings]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A recording that waits for the detector. `room` is what it takes of the worker's memory, in samples."""

    number: int
    task: Mapping[str, Any]
    sha256: str
    samples: Samples
    sample_rate: int
    room: int


@dataclass(slots=True)
class _Batch:
    """Some tasks of one request. Their recordings go to the detector together, or in several parts where room is short."""

    service: Service
    config: LabelConfig
    project: int | None
    deadline: float

    def answers(self, tasks: list[Numbered]) -> Iterator[tuple[int, Json]]:
        """Each task's number with its answer; a task that is wrong in itself gets an error, and disturbs no other."""
        loaded: list[_Loaded] = []
        try:
            for number, task in tasks:
                try:
                    if waits({**task, "data": _data(task)}, self.config.audio_field, self.service.key):
                        yield number, {"error": BLIND}
                        continue
                    found = self._known(task) or self._load(number, task, wait=not loaded)
                    if found is None:  # no room beside what is held: that must go first
                        yield from self._listen(loaded)
                        found = self._load(number, task, wait=True)
                except PodcastError as error:
                    yield number, _failed(task, error)
                    continue
                if isinstance(found, _Loaded):
                    loaded.append(found)
                else:
                    yield number, {"error": NOT_REACHED} if found is None else self._answer(task, found)
            yield from self._listen(loaded)
        finally:
            self._drop(loaded)

    def _known(self, task: Mapping[str, Any]) -> Heard | None:
        """What the cache holds by the hash in the task, which is believed where an import of this set-up signed it."""
        data = task["data"]
        if not is_signed(data, self.config.audio_field, self.service.key):
            return None
        heard = self.service.cache.get(str(data["sha256"]), self.service.detector.model_run)
        if heard:
            CACHE_HITS.inc()
        return heard

    def _load(self, number: int, task: Mapping[str, Any], *, wait: bool) -> _Loaded | Heard | None:
        """The audio of a task, decoded, or what the cache holds of it; None if there is no room, after waiting if `wait`."""
        service, data = self.service, task["data"]
        field, name, stored = self.config.recording_field(data), f"task {task.get('id')}", data.get("sha256") or ""
        if not isinstance(address := data.get(field), str):
            raise InputError(f"data.{field}: expected the address of the audio, not {type(address).__name__}")
        with service.audio.open(address, self.project) as file:
            digest = audio.sha256(file)
            if stored and digest != stored:
                raise InputError("the audio is not what the round was made with (sha256 differs)")
            if heard := service.cache.get(digest, service.detector.model_run):
                CACHE_HITS.inc()
                return heard
            room = audio.samples_of(file, name, service.room.size)
            if not service.room.take(room, self.deadline - time.monotonic() if wait else 0.0):
                return None
            try:
                samples, sample_rate = audio.decode(file, name, service.room.size)
            except BaseException:
                service.room.give(room)
                raise
        return _Loaded(number, task, digest, samples, sample_rate, room)

    def _listen(self, loaded: list[_Loaded]) -> Iterator[tuple[int, Json]]:
        """Answers for what is loaded; afterwards nothing is."""
        found = self.service.detect([(item.samples, item.sample_rate) for item in loaded])
        for item, detections in zip(loaded, found, strict=True):
            try:
                if isinstance(detections, InputError):
                    raise detections
                heard = Heard(round(len(item.samples) / item.sample_rate, 3), tuple(detections))
                if not all(math.isfinite(detection.confidence) for detection in detections):
                    raise InputError("the detector gives confidences that are no numbers")
            except InputError as error:
                yield item.number, _failed(item.task, error)
            else:
                self.service.cache.put(item.sha256, self.service.detector.model_run, heard)
                yield item.number, self._answer(item.task, heard)
        self._drop(loaded)

    def _drop(self, loaded: list[_Loaded]) -> None:
        while loaded:
            self.service.room.give(loaded.pop().room)

    def _answer(self, task: Mapping[str, Any], heard: Heard) -> Json:
        session_id = str(task["data"].get("session_id") or task.get("id"))
        session = Session(session_id, Recording(uri="", duration_s=heard.duration_s), detections=heard.detections)
        return to_prediction(session, self.service.detector.model_run, self.config)


def parse_config(xml: str) -> LabelConfig:
    """A project's labeling configuration. Raises InputError naming the control that is missing."""
    if len(xml) > LONGEST_CONFIG:
        raise InputError(f"label_config: longer than {LONGEST_CONFIG} letters")
    return _parse_config(xml)


@lru_cache(maxsize=16)
def _parse_config(xml: str) -> LabelConfig:
    return LabelConfig.parse(xml, "label_config, the project's labeling configuration")


def _data(task: Mapping[str, Any]) -> Mapping[str, Any]:
    data = task.get("data")
    if not isinstance(data, Mapping):
        raise InputError(f"data: expected an object, not {type(data).__name__}")
    return data


def _failed(task: Mapping[str, Any], error: PodcastError) -> Json:
    logger.warning("task %s: %s", task.get("id"), error)
    return {"error": redact(str(error))}


def _batches(items: Iterable[Numbered], size: int) -> Iterator[list[Numbered]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
