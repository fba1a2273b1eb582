"""The patch network as it left the simulated clouds: weights that come with the package."""

from functools import cache
from importlib.resources import files

import numpy as np
import torch

from skastro.denoising.patches import Patches

__all__ = ["HIDDEN", "SHAPE", "has_pretrained", "load_pretrained"]

SHAPE = Patches(tile=(2, 2, 4), halo=(3, 3, 4))
HIDDEN = (256, 256, 256, 256)
FILE = "patch_network.npz"


@cache
def _weights():
    with (
        (files("skastro.datasets") / "data" / FILE).open("rb") as stored,
        np.load(stored) as arrays,
    ):
        return dict(arrays)


def has_pretrained(patches, hidden):
    """Whether there are weights for a patch network of this shape.

    Parameters
    ----------
    patches : Patches
    hidden : tuple of int or "auto"

    Examples
    --------
    >>> from skastro.denoising.patches import Patches
    >>> from skastro.denoising.pretrained import has_pretrained
    >>> has_pretrained(Patches(tile=(1, 1, 4), halo=(0, 0, 4)), "auto")
    False
    """
    return patches == SHAPE and (hidden == "auto" or tuple(hidden) == HIDDEN)


def load_pretrained(module):
    """Put the weights into a module whose `network` is a `PatchNetwork` of that shape.

    They were learnt by ``benchmarks/train_patch_network.py`` on simulated cubes with truth.
    """
    weights = {key: torch.from_numpy(value.astype(np.float32)) for key, value in _weights().items()}
    module.network.load_state_dict(weights)
