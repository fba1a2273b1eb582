"""What public codes give for some fields, ours beside it, and noise to try things on."""

import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "tests" / "data" / "scattering" / "peers"


def reference():
    """The script benchmarks/scattering_reference.py: its fields and cases."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import scattering_reference
    finally:
        sys.path.pop(0)
    return scattering_reference


def read_case(peer, case):
    """Arrays that a public code gave for a case, or the versions that gave them."""
    with np.load(TABLES / f"{peer}.npz") as file:
        if case == "versions":
            return file[case]
        return {
            key.removeprefix(f"{case}/"): file[key] for key in file if key.startswith(f"{case}/")
        }


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
