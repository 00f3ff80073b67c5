"""The project's detectors as a model of label-studio-ml, for those who serve it with that library's own tools.

The ML backend of this project does without the library (docs/adr/0002). The class fits the base class of 1.0.9, the newest on the
package index, and that of the 2.x line. Under 1.0.9 `/setup` says "INITIAL" whatever the model says; the predictions are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from label_studio_ml.model import LabelStudioMLBase

from ml_backend.service import Json, parse_config
from ml_backend.serving import load_service


class OrcaCallModel(LabelStudioMLBase):  # type: ignore[misc]
    """Pre-labels sessions with the configured detector, which `load_service` holds: both lines make many of these objects."""

    def setup(self) -> None:
        """Called by the constructor of 2.x, whose `/setup` gives the version from its own store."""
        if self.get("model_version") != self.model_version:
            self.set("model_version", self.model_version)

    @property
    def model_version(self) -> str:
        """The one version that predictions and the importers give."""
        return str(load_service().detector.model_run)

    def predict(self, tasks: Sequence[Mapping[str, Any]], context: Any = None, **kwargs: Any) -> list[Json]:  # noqa: ARG002
        """One answer a task; see `Service.predict`. Raises InputError if the labeling configuration lacks a control."""
        return load_service().predict(tasks, parse_config(self.label_config or ""))

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is learned inside a request of Label Studio's: it waits for the answer."""
