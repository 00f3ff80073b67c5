"""What a detector is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, runtime_checkable

from detectors.frames import Frames
from detectors.rules import BoxRules, Cut
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


@runtime_checkable
class Framed(Detector, Protocol):
    """A detector whose boxes are cut from frames, so that rules for these can be learned (detectors/rules.py)."""

    rules: BoxRules | None
    strengths: str
    """The version of its frames: whatever changes them changes it."""
    fixed_cut: ClassVar[Cut]
    """How it cuts boxes while it has no learned rules."""

    def frames(self, samples: Samples, sample_rate: int) -> Frames:
        """What it heard, moment by moment, in one recording; see `Detector.detect`."""


Load = Callable[..., Detector]
"""Takes the weights (a URI, or "" for its own) and options as keyword arguments, all text; raises InputError."""
