"""Which detector a process serves, and how it comes to serve another one without a restart (docs/adr/0118)."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from dataclasses import replace
from functools import lru_cache

from detectors import load_detector, use_threads
from detectors.base import Detector
from detectors.registry import spec_in_service
from ml_backend.metrics import MODEL, PROMOTED_SERVED
from ml_backend.service import Service
from podcast.errors import PodcastError
from podcast.redact import redact
from podcast.settings import Settings, load_settings

logger = logging.getLogger(__name__)

LOOK_S = 1.5
"""How often a process looks what is promoted: with the time that loading takes, it serves that within five seconds."""
BEGIN_S = 5.0
"""How long a new process waits for its first look, lest it serves what was promoted before."""
AGAIN_S = 30.0
"""How long a model that could not be loaded is left alone: it may be large, and far away."""
FAILURES = (PodcastError, ImportError, OSError, RuntimeError, MemoryError)
"""How loading fails; the last four are what libraries raise that are installed in part, and torch without memory."""


class Serving:
    """One process's service. Whoever answers a request takes `service` once, and answers all of it with that.

    What is promoted is loaded beside it, in a thread, and takes its place when it is ready. What cannot be loaded leaves the one
    in service; `problem` then says so in a few words, and the log says why. Raises InputError if nothing can be served at all.
    """

    def __init__(self, settings: Settings) -> None:
        use_threads(1)  # the cores work on several recordings at a time (docs/adr/0035)
        self.problem = ""
        self._settings, self._spec, self._failed = settings, "", ("", -AGAIN_S)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        detector = self._promoted()
        if detector is None:
            self._spec = settings.ml_detector
            detector = load_detector(self._spec)
        self.service = Service.load(settings, detector)

    def watch(self, wait_s: float = 0.0) -> None:
        """Look what is promoted from now on, in a thread of this process: a process that was forked needs its own.

        Waits for the first look, for `wait_s` seconds at most. Doing it again changes nothing.
        """
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._tell()
                looked = threading.Event()
                watched = weakref.ref(self)
                self._thread = threading.Thread(target=_keep_looking, args=(watched, looked), daemon=True, name="promotions")
                self._thread.start()
                looked.wait(wait_s)

    def look(self) -> None:
        """Serve what is promoted now, if that is another model than before and can be loaded."""
        before = self.service.detector.model_run
        if detector := self._promoted():
            self.service = replace(self.service, detector=detector)
            logger.warning("serving %s in place of %s", detector.model_run, before)
            MODEL.labels(str(before)).set(0)
            del detector
            gc.collect()  # a network's parts point at each other
        self._tell()

    def _promoted(self) -> Detector | None:
        """The promoted detector; None if it is served already, or cannot be had."""
        spec = ""
        try:
            spec = spec_in_service(self._settings)
            if spec == self._spec:
                self.problem = ""
                return None
            if self._failed[0] == spec and time.monotonic() - self._failed[1] < AGAIN_S:
                return None
            detector = load_detector(spec)
        except FAILURES as error:
            self._failed = (spec, time.monotonic()) if spec else self._failed
            self._complain(spec, error)
            return None
        self._spec, self.problem = spec, ""
        return detector

    def _complain(self, spec: str, error: BaseException) -> None:
        name = spec.rpartition("/")[2]
        problem = f"{name} is promoted and cannot be loaded" if spec else "the registry of models cannot be read"
        if problem != self.problem:
            logger.error("%s, so what is in service stays: %s", problem, redact(str(error)))
        self.problem = problem

    def _tell(self) -> None:
        MODEL.labels(str(self.service.detector.model_run)).set(1)
        PROMOTED_SERVED.set(not self.problem)


def _keep_looking(watched: weakref.ref[Serving], looked: threading.Event) -> None:
    """As long as anybody serves with it."""
    while (serving := watched()) is not None:
        serving.look()
        del serving
        looked.set()
        time.sleep(LOOK_S)


@lru_cache(maxsize=1)
def serving() -> Serving:
    """This process's service as the environment has it, made at the first call."""
    return Serving(load_settings())


def load_service() -> Service:
    """What this process serves now; from the first call on it keeps up with what is promoted."""
    serving().watch()
    return serving().service
