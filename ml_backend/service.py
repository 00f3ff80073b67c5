"""What answers Label Studio's requests: the detector, the cache and the audio source, in one `Service` a process."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from detectors import load_detector, use_threads
from detectors.base import Detector
from labelstudio.audio import TaskAudio
from labelstudio.client import Server
from labelstudio.labels import LabelConfig
from labelstudio.tasks import to_prediction
from ml_backend.cache import DetectionCache
from ml_backend.metrics import CACHE_HITS, SESSIONS
from podcast import audio
from podcast.audio import Samples
from podcast.errors import InputError, PodcastError
from podcast.model import Detection, Recording, Session
from podcast.settings import Settings, load_settings

logger = logging.getLogger(__name__)

Json = dict[str, Any]
Numbered = tuple[int, Mapping[str, Any]]

BATCH = 8
"""Recordings that a detector gets at once: enough for a network to be busy, few enough to stop in time."""


@dataclass(frozen=True, slots=True)
class Service:
    """What one process needs to answer: loaded once, used from many threads."""

    detector: Detector
    cache: DetectionCache
    audio: TaskAudio
    budget_s: float

    @classmethod
    def load(cls, settings: Settings) -> Service:
        """Load detector and cache as the settings say, one thread a recording. Raises InputError for an unknown detector."""
        use_threads(1)  # the cores work on several recordings at a time (docs/adr/0035)
        return cls(
            load_detector(settings.ml_detector),
            DetectionCache(settings.ml_cache_dir, settings.ml_cache_max_entries),
            TaskAudio(
                settings.label_studio_local_files_document_root,
                settings.label_studio_url,
                partial(Server, settings.label_studio_url, settings.label_studio_api_key),
                settings.ml_audio_max_bytes,
                settings.ml_audio_timeout_s,
            ),
            settings.ml_predict_budget_s,
        )

    def predict(self, tasks: Sequence[Mapping[str, Any]], config: LabelConfig) -> list[Json]:
        """One answer a task, in order.

        An answer without `result` says why there is none: Label Studio then stores nothing, and asks again at the next
        "Retrieve predictions". An empty `result` would say that the detector heard nothing. Work stops after `budget_s` seconds;
        what was found by then is in the cache, and the next request goes on from there.
        """
        deadline = time.monotonic() + self.budget_s
        answers: list[Json] = [{"error": "not reached in time; retrieve predictions again"} for _ in tasks]

        def work(batch: list[Numbered]) -> list[tuple[int, Json]]:
            return [] if time.monotonic() > deadline else list(self._batch(batch, config))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for number, answer in itertools.chain.from_iterable(pool.map(work, _batches(enumerate(tasks), BATCH))):
                answers[number] = answer
        for answer in answers:
            SESSIONS.labels("answered" if "result" in answer else "failed").inc()
        return answers

    def _batch(self, batch: list[Numbered], config: LabelConfig) -> Iterator[tuple[int, Json]]:
        run, loaded = self.detector.model_run, []
        for number, task in batch:
            data = task.get("data") or {}
            stored = str(data.get("sha256") or "")
            found = self.cache.get(stored, run) if stored else None
            if found is not None and data.get("duration_s"):
                CACHE_HITS.inc()
                yield number, self._answer(task, found, float(data["duration_s"]), config)
                continue
            try:
                with self.audio.open(str(data.get(config.audio_field, ""))) as file:
                    digest = audio.sha256(file)
                    if stored and digest != stored:
                        raise InputError("the audio is not what the round was made with (sha256 differs)")
                    samples, sample_rate = audio.decode(file, f"task {task.get('id')}")
            except PodcastError as error:
                yield number, _failed(task, error)
                continue
            found = self.cache.get(digest, run)
            if found is not None:
                CACHE_HITS.inc()
                yield number, self._answer(task, found, len(samples) / sample_rate, config)
            else:
                loaded.append((number, task, digest, samples, sample_rate))
        answers = self._detect([(samples, sample_rate) for *_, samples, sample_rate in loaded])
        for (number, task, digest, samples, sample_rate), answer in zip(loaded, answers, strict=True):
            if isinstance(answer, InputError):
                yield number, _failed(task, answer)
            else:
                self.cache.put(digest, run, answer)
                yield number, self._answer(task, answer, len(samples) / sample_rate, config)

    def _detect(self, recordings: list[tuple[Samples, int]]) -> Sequence[list[Detection] | InputError]:
        """Detections of all at once; if one cannot be listened to, of each alone."""
        try:
            return self.detector.detect(recordings) if recordings else []
        except InputError as error:
            return [error] if len(recordings) == 1 else [self._detect([recording])[0] for recording in recordings]

    def _answer(self, task: Mapping[str, Any], detections: Sequence[Detection], duration_s: float, config: LabelConfig) -> Json:
        session_id = str(task["data"].get("session_id") or task.get("id"))
        recording = Recording(uri="", duration_s=round(duration_s, 3))
        session = Session(session_id, recording, detections=tuple(detections))
        return to_prediction(session, self.detector.model_run, config)


@lru_cache(maxsize=1)
def load_service() -> Service:
    """This process's service, loaded at the first call, from the environment."""
    return Service.load(load_settings())


@lru_cache(maxsize=64)
def parse_config(xml: str) -> LabelConfig:
    """A project's labeling configuration. Raises InputError naming the control that is missing."""
    return LabelConfig.parse(xml, "the project's labeling configuration")


def _failed(task: Mapping[str, Any], error: PodcastError) -> Json:
    logger.warning("task %s: %s", task.get("id"), error)
    return {"error": str(error)}


def _batches(items: Iterable[Numbered], size: int) -> Iterator[list[Numbered]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
