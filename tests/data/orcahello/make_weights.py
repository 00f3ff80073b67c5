"""Write the deterministic weights that parity.json was computed with.

Not a trained model: every tensor is a fixed function of its name, so any
implementation of the OrcaHello SRKW detector v1 network can be compared with
the reference numbers without the 100 MB of real weights.

    python make_weights.py OUT.safetensors
"""

import json
import math
import sys
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent


def tensor(name: str, shape: list[int], scale: float, offset: float) -> torch.Tensor:
    """The fixed tensor for one state-dict key; scale and offset centre the two logits."""
    rng = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_mean"):
        return torch.zeros(shape)
    if name.endswith("running_var"):
        return torch.ones(shape)
    if len(shape) == 1:
        if shape == [2]:
            return torch.tensor([0.0, -offset])
        if name.endswith("bias"):
            return torch.zeros(shape)
        return torch.full(shape, 0.2 if ".bn3." in name else 1.0)
    fan_in = math.prod(shape[1:])
    weight = torch.randn(shape, generator=rng) * math.sqrt(2.0 / fan_in)
    return weight * scale if shape[0] == 2 else weight


if __name__ == "__main__":
    shapes = json.loads((HERE / "state_dict_shapes.json").read_text())
    parity = json.loads((HERE / "parity.json").read_text())
    centre = parity["logit_scale"], parity["logit_offset"]
    save_file({k: tensor(k, s, *centre) for k, s in shapes.items()}, sys.argv[1])
