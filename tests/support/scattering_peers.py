"""What public codes gave for two fields, and noise to try things on."""

from pathlib import Path

import numpy as np
import torch

PEERS = Path(__file__).parents[1] / "data" / "scattering" / "peers"


def read_fields():
    """The two fields, each a Tensor (1, 64, 64) of float64."""
    with np.load(PEERS / "fields.npz") as file:
        return [torch.from_numpy(file[name])[None] for name in "xy"]


def read_peer(name):
    """Arrays of a public code."""
    with np.load(PEERS / f"{name}.npz") as file:
        return dict(file)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
