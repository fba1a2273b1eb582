"""What the "auto" settings of an emulator become, and the network that follows."""

import math
import os

import numpy as np
import torch

from skastro.emulation.networks import (
    DenseNetwork,
    EmulatorNetwork,
    OutputHead,
    PlainNetwork,
    PolynomialExpansion,
    Stacked,
    check_sizes,
    n_monomials,
)
from skastro.emulation.outputs import principal_basis

__all__ = ["Design", "build_network", "start_network"]

# Measured on the bundled grid, on maps of PDR models and on the synthetic grid (see benchmarks/).
SMALL_GRID = 3000
FEWEST_TO_KRIGE = 100
TRAINING_STEPS = 12_000
EPOCHS_RANGE = (20, 300)
MAX_TERMS = 100


class Design:
    """The settings in use, each "auto" replaced by a number.

    Parameters
    ----------
    emulator : ModelEmulator
    n_samples, n_features : int

    Attributes
    ----------
    kriging : bool
    n_members, degree, batch_size, max_epochs : int
    hidden : tuple of int
    output_rank : int, "auto" or None
    """

    def __init__(self, emulator, n_samples, n_features):
        network = emulator.network
        own = network is None or isinstance(network, DenseNetwork | PlainNetwork)
        small = n_samples <= SMALL_GRID
        self.kriging = emulator.kriging
        if emulator.kriging == "auto":
            self.kriging = own and small and n_samples >= FEWEST_TO_KRIGE
        elif self.kriging and not own:
            raise ValueError(
                f"kriging=True with network={network!r}; expected a network of skastro.emulation, whose "
                "last hidden layer is known."
            )
        many = self.kriging or n_samples >= FEWEST_TO_KRIGE
        members = 1 if not many else 4 if small else 3
        self.n_members = _auto(emulator.n_members, members)
        if self.kriging:
            _check_kriging_memory(n_samples, self.n_members)
        self.output_rank = emulator.output_rank
        if self.kriging and self.output_rank == "auto":
            self.output_rank = None
        hidden = (128,) * 4 if small else (192,) * 5 if self.n_members == 1 else (80,) * 5
        self.hidden = _auto(emulator.hidden, hidden)
        if network is None:
            self.hidden = check_sizes(self.hidden, 1 if emulator.growth is None else 0)
        allowed = [d for d in (2, 3) if not small and n_monomials(n_features, d) <= MAX_TERMS]
        self.degree = _auto(emulator.polynomial_degree, max(allowed, default=1))
        _check_memory(n_samples, n_features, self.degree)
        batch_size = n_samples if n_samples <= 64 else 32 if small else 64
        self.batch_size = _auto(emulator.batch_size, batch_size)
        steps = math.ceil(n_samples / self.batch_size)
        epochs = int(np.clip(TRAINING_STEPS // steps, *EPOCHS_RANGE))
        self.max_epochs = _auto(emulator.max_epochs, epochs)

    def __repr__(self):
        settings = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"Design({settings})"


def _auto(value, automatic):
    return automatic if isinstance(value, str) and value == "auto" else value


def _check_memory(n_samples, n_features, degree):
    n_terms = n_monomials(n_features, degree)
    needed, memory = 8 * n_terms * n_samples, _memory()
    if needed > memory:
        raise ValueError(
            f"polynomial_degree={degree} of {n_features} inputs makes {n_terms:.3g} terms, "
            f"{needed / 2**30:.3g} GiB for {n_samples} rows; expected at most the memory, "
            f"{memory / 2**30:.3g} GiB: take a lower degree."
        )


def _check_kriging_memory(n_samples, n_members):
    needed, memory = 8 * (2 * n_members + 2) * n_samples**2, _memory()
    if needed > memory:
        raise ValueError(
            f"kriging=True of {n_samples} rows takes {needed / 2**30:.3g} GiB; expected at most the "
            f"memory, {memory / 2**30:.3g} GiB: set kriging=False."
        )


def _memory():
    """Bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system: a modest machine
        return 8 * 2**30


def build_network(emulator):
    """Build the untrained network of an emulator from its parameters and fitted attributes."""
    design = emulator.design_
    expansion = PolynomialExpansion(emulator.n_features_in_, design.degree)
    head = OutputHead(emulator.clusters_, design.n_members, emulator.rank_)
    n_groups = design.n_members * len(emulator.clusters_)
    sizes = {"n_features": expansion.n_terms, "n_outputs": head.n_inputs}
    recipe = emulator.network
    if recipe is None and emulator.architecture == "dense":
        recipe = DenseNetwork(design.hidden, emulator.growth, emulator.activation)
    elif recipe is None:
        recipe = PlainNetwork(design.hidden, emulator.activation)
    if isinstance(recipe, DenseNetwork | PlainNetwork):
        body = recipe(**sizes, n_groups=n_groups)
    elif n_groups == 1:
        body = recipe(**sizes)
    else:
        body = Stacked(lambda: recipe(**sizes), n_groups)
    return EmulatorNetwork(expansion, body, head)


def start_network(module, x, z, weight, clusters):
    """Standardise the monomials; start the low-rank layer from the principal directions of the outputs.

    Parameters
    ----------
    module : EmulatorNetwork
    x : Tensor of shape (n_samples, n_features)
    z : ndarray of shape (n_samples, n_outputs)
        Standardised targets, NaN where unknown.
    weight : ndarray of shape (n_samples, 1) or (n_samples, n_outputs) or None
    clusters : list of ndarray of int
    """
    expansion, head = module.expansion, module.head
    with torch.no_grad():
        if expansion.degree > 1:
            terms = expansion.monomials(x.to(expansion.shift.dtype))
            expansion.shift.copy_(terms.mean(0))
            expansion.scale.copy_(terms.std(0).clamp_min(1e-6))
        if head.rank is None:
            return
        head.expand.bias.zero_()
        if weight is not None and weight.shape[1] > 1:
            z = np.where(weight > 0.1, z, np.nan)
        bases = [principal_basis(z[:, cluster], head.rank) for cluster in clusters]
        if head.expand.n_groups == 1:
            head.expand.weight.copy_(bases[0].T)
            return
        head.expand.weight.zero_()
        for group, basis in enumerate(bases):
            head.expand.weight[group, :, : basis.shape[1]] = basis
