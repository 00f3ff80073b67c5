"""Detectors: samples in, detections out. `DETECTORS` maps a name to the function that loads it; `energy` alone needs no torch."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from detectors.base import Detector, Load
from podcast import storage
from podcast.errors import InputError


def _energy(weights: str, **options: str) -> Detector:
    from detectors.energy import load

    return load(weights, **options)


def _orcahello_v1(weights: str, **options: str) -> Detector:
    from detectors.orcahello_v1 import load

    return load(weights, **options)


def _starter(weights: str, **options: str) -> Detector:
    from detectors.starter import load

    return load(weights, **options)


def _model(weights: str, **options: str) -> Detector:
    from detectors.model_folder import fetched, read_model

    model = read_model(weights)
    if model.detector not in TRAINED:
        raise InputError(f"{weights}: a model of {model.detector!r}; this version has {', '.join(sorted(TRAINED))}")
    with fetched(model) as (own_weights, rules):
        loaded = TRAINED[model.detector](own_weights, **({"rules": rules} if rules else {}) | options)
    if (made := getattr(loaded, "strengths", "")) != model.strengths:
        raise InputError(
            f"{weights}: made for {model.detector}:{model.strengths} by version {model.code}, "
            f"and this version makes {model.detector}:{made}; train it again"
        )
    return loaded


# Each function imports its own module, so that nothing pays for torch, or has to have it, until such a detector is loaded.
TRAINED: dict[str, Load] = {"energy": _energy, "orcahello-v1": _orcahello_v1, "starter": _starter}
DETECTORS: dict[str, Load] = {**TRAINED, "model": _model}
NEED_TORCH = frozenset({"orcahello-v1", "starter"})


def load_detector(spec: str) -> Detector:
    """Load a detector by name, with weights and options where it takes them: `NAME[:WEIGHTS][,OPTION=VALUE...]`.

    For example `energy`, `orcahello-v1:model.safetensors,precision=fp32`, or `model:URI`, a model's folder with all that belongs
    to it (detectors/model_folder.py), whose files are checked. Raises InputError for an unknown name or option.
    """
    head, *pairs = known_detector(spec).split(",")
    name, _, weights = head.partition(":")
    options = dict(pair.partition("=")[::2] for pair in pairs)
    try:
        return DETECTORS[name](weights, **options)
    except TypeError as error:
        raise InputError(f"{spec}: {name} does not take these options ({error})") from error


def weights_of(spec: str) -> str:
    """Where the weights lie that a detector is loaded with, a URI; empty for one that has none. See `load_detector`."""
    name, _, weights = known_detector(spec).split(",")[0].partition(":")
    if name == "model":
        from detectors.model_folder import WEIGHTS, read_model

        model = read_model(weights)
        return storage.join(model.uri, WEIGHTS) if WEIGHTS in model.files else weights_of(model.detector)
    if name == "starter":
        from detectors.starter import SHIPPED

        return weights or str(SHIPPED)
    if name == "orcahello-v1":
        from detectors.orcahello_v1 import place_of

        return place_of(weights)[0]
    return ""


def known_detector(spec: str) -> str:
    """`spec` itself, without loading anything. Raises InputError if there is no detector of that name, or no torch for it."""
    name, _, weights = spec.split(",")[0].partition(":")
    if name == "model":
        from detectors.model_folder import read_model

        name = read_model(weights).detector
    if name not in DETECTORS:
        raise InputError(f"there is no detector {name!r}; expected one of {', '.join(sorted(DETECTORS))}")
    if name in NEED_TORCH:
        require_torch(name)
    return spec


def require_torch(what: str) -> None:
    """Raises InputError, saying how to install it, if the extra [detectors] that `what` needs is not there."""
    if not all(map(find_spec, ("torch", "torchaudio", "safetensors"))):
        raise InputError(f"{what} needs torch: pip install 'orcasound-podcast[detectors]'")


def use_threads(count: int) -> None:
    """How many threads one recording may use; 1 where several recordings are worked on at a time. Call it before loading."""
    os.environ["OMP_NUM_THREADS"] = str(count)  # what torch goes by, should a detector import it
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)
