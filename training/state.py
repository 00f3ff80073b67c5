"""Where a run stands, in one file: tensors as safetensors, the rest as JSON in its header. Equal states are equal bytes, and no
pickle is run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from detectors.weights import State, fill
from podcast import storage
from podcast.errors import InputError
from podcast.reading import parse_json

NAME, EARLIER = "state.safetensors", "state.pt"
Curves = list[dict[str, float]]
"""Of each epoch: its number, the mean loss, and the average precision of the check."""


def write_state(
    run: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    curves: Curves,
) -> None:
    """Replace the state in the folder `run`."""
    learned = optimizer.state_dict()
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for number, held in learned["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in held.items()}
    rest = {"groups": learned["param_groups"], "schedule": schedule.state_dict(), "curves": curves}
    storage.write(str(run / NAME), save(tensors, {"rest": json.dumps(rest, sort_keys=True)}))


def read_state(
    run: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> Curves:
    """Put the state in the folder `run`, if there is one, into network, optimizer and schedule; gives the curves so far.

    Raises InputError for a state that cannot be read, or one that an earlier version wrote as a pickle.
    """
    path = run / NAME
    if not path.exists():
        if (run / EARLIER).exists():
            raise InputError(f"{run / EARLIER}: an earlier version began this run, which cannot go on; name another folder")
        return []
    try:
        with safe_open(path, "pt") as file:
            tensors, rest = {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {})["rest"]  # noqa: SIM118
    except (SafetensorError, KeyError) as error:
        raise InputError(f"{path}: holds no state of a training run ({error}); name another folder") from error
    whole = parse_json(rest.encode(), str(path))
    fill(network, _below("network.", tensors), str(path))
    learned: dict[int, State] = defaultdict(dict)
    for key, tensor in _below("optimizer.", tensors).items():
        number, _, name = key.partition(".")
        learned[int(number)][name] = tensor
    optimizer.load_state_dict({"state": dict(learned), "param_groups": whole["groups"]})
    schedule.load_state_dict(whole["schedule"])
    curves: Curves = whole["curves"]
    return curves


def _below(prefix: str, tensors: State) -> State:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
