"""What a detector is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from podcast.audio import Samples
from podcast.model import Detection, ModelRun


class Detector(Protocol):
    """Finds orca calls in recordings. Has no HTTP and no files in it, and may be called from several threads."""

    @property
    def model_run(self) -> ModelRun:
        """Name and version; the version changes whenever the same samples could give other detections."""

    def detect(self, recordings: Sequence[tuple[Samples, int]]) -> list[list[Detection]]:
        """The detections of each recording, in time order.

        A recording is float32 samples of shape (frames, channels), full scale at 1.0, and its sample rate in Hz. Recordings are
        independent: the answer for one does not depend on those beside it. Event times are seconds from the first frame.
        """


Load = Callable[..., Detector]
"""Takes the weights (a URI, or "" for its own) and options as keyword arguments, all text; raises InputError."""
