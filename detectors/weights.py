"""Weights from a file or from the Hugging Face hub, without ever running a pickle."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from podcast import storage
from podcast.errors import InputError, ServiceError

State = dict[str, Tensor]


def read_weights(source: str) -> tuple[State, str]:
    """The state dict at a URI and the SHA-256 of its file, hexadecimal.

    Raises InputError for a file that holds no weights, StorageError if it cannot be had.
    """
    content = storage.read(source)
    return parse_weights(content, source), hashlib.sha256(content).hexdigest()


def parse_weights(content: bytes, name: str) -> State:
    """A safetensors file or a state dict that torch saved; `weights_only` refuses anything else. Raises InputError."""
    try:
        if not name.endswith((".pt", ".pth")):
            return load_safetensors(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{name}: holds no weights that can be read safely ({words})") from error
    if not (isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())):
        raise InputError(f"{name}: expected a state dict, names with tensors")
    return state


def fill(network: nn.Module, state: State, name: str) -> None:
    """Put the weights into the network. Raises InputError naming what is missing, not expected or of another shape."""
    expected = {key: value.shape for key, value in network.state_dict().items()}
    problems = [f"{key} is missing" for key in expected if key not in state]
    problems += [f"{key} is not expected" for key in state if key not in expected]
    problems += [
        f"{key} has shape {tuple(state[key].shape)}, expected {tuple(shape)}"
        for key, shape in expected.items()
        if key in state and state[key].shape != shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(f"{name}: these weights belong to another network: {'; '.join(problems[:3])}{more}")
    network.load_state_dict(state)


def from_hub(repository: str, file: str, commit: str | None = None) -> tuple[str, str]:
    """The path of `file` of a repository on the Hugging Face hub, and the commit that it is of, 40 hexadecimal digits.

    Without a commit it is the hub's current one when this machine first asked; from then on the cache answers, so that all
    programs here agree, also without a network. Raises InputError for what is no commit, ServiceError if it cannot be had.
    """
    if commit is not None and not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise InputError(f"hub@{commit}: expected the 40 hexadecimal digits of a commit, since a branch may move")
    try:
        cached = try_to_load_from_cache(repository, file, revision=commit)
        path = Path(cached if isinstance(cached, str) else hf_hub_download(repository, file, revision=commit))
    except (EntryNotFoundError, LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        at = f" at {commit}" if commit else ""
        command = f"hf download {repository} {file}" + (f" --revision {commit}" if commit else "")
        raise ServiceError(
            f"the weights {file} of {repository}{at} are neither in the cache nor to be had from the hub; "
            f"on a machine with a network run: {command} ({str(error).splitlines()[0]})"
        ) from error
    return str(path), path.parent.name  # the cache keeps each file as snapshots/COMMIT/FILE
