"""Losses of the heads: minus log densities and proper scores, one number a row or a target, never reduced.

Targets are scaled to [0, 1]. Each loss needs nothing beyond what a network gives.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from skastro.density import GaussianMixtures

__all__ = [
    "BoundedDensityLoss",
    "HistogramCRPSLoss",
    "HistogramLogLoss",
    "Histograms",
    "PinballLoss",
    "from_unit",
    "to_unit",
]


class Histograms(NamedTuple):
    """Histograms of each row and target.

    Attributes
    ----------
    logits : Tensor of shape (n, n_targets, n_bins)
        Logarithms of the masses of the bins, but for a constant.
    edges : Tensor of shape (n, n_targets, n_bins + 1)
        Increasing.

    Examples
    --------
    >>> import torch
    >>> from skastro.regression.losses import Histograms
    >>> flat = Histograms(torch.zeros(1, 1, 4), torch.linspace(0, 1, 5).expand(1, 1, 5))
    >>> flat.logits.softmax(-1)
    tensor([[[0.2500, 0.2500, 0.2500, 0.2500]]])
    """

    logits: torch.Tensor
    edges: torch.Tensor


def to_unit(z, margin):
    r"""From the real line to the unit interval, :math:`y = (\Phi(z) - m) / (1 - 2m)`.

    Parameters
    ----------
    z : Tensor
    margin : float
        m: the part of the line beyond 0, and beyond 1.

    Returns
    -------
    y : Tensor

    Examples
    --------
    >>> import torch
    >>> from skastro.regression.losses import from_unit, to_unit
    >>> to_unit(from_unit(torch.tensor([0.0, 0.5, 1.0]), 1e-3), 1e-3).round(decimals=4).abs()
    tensor([0.0000, 0.5000, 1.0000])
    """
    return (torch.special.ndtr(z) - margin) / (1 - 2 * margin)


def from_unit(y, margin):
    """The inverse of `to_unit`.

    Parameters
    ----------
    y : Tensor
        Taken for 0 or 1 where it is outside.
    margin : float

    Returns
    -------
    z : Tensor
    """
    return torch.special.ndtri(margin + (1 - 2 * margin) * y.clamp(0.0, 1.0))


def check_levels(levels):
    """Levels of quantiles in float64.

    Parameters
    ----------
    levels : array-like of shape (n_levels,)

    Returns
    -------
    levels : ndarray of shape (n_levels,)

    Raises
    ------
    ValueError
        None, or not increasing, or not between 0 and 1.
    """
    found = np.asarray(levels, dtype=float)
    if found.ndim != 1 or not (
        (np.diff(found, prepend=0.0) > 0).all() and len(found) and found[-1] < 1
    ):
        raise ValueError(f"levels={levels!r}; expected increasing numbers between 0 and 1.")
    return found


class _Loss(nn.Module):
    def __init__(self, reduction="none"):
        super().__init__()
        if reduction != "none":
            raise ValueError(f"reduction={reduction!r}; expected 'none'.")
        self.reduction = reduction


class BoundedDensityLoss(_Loss):
    r"""Minus the log density at targets in [0, 1] of mixtures on the real line, seen through :math:`\Phi`.

    Parameters
    ----------
    margin : float, default=1e-3
        As in `to_unit`.
    reduction : {"none"}

    Examples
    --------
    A normal distribution on the line is a uniform one between the bounds.

    >>> import torch
    >>> from skastro.density import GaussianMixtures
    >>> from skastro.regression.losses import BoundedDensityLoss
    >>> normal = GaussianMixtures(torch.zeros(1, 1), torch.zeros(1, 1, 1), torch.ones(1, 1, 1, 1))
    >>> BoundedDensityLoss(margin=1e-3)(normal, torch.tensor([[0.3]])).round(decimals=4)
    tensor([0.0020])
    """

    def __init__(self, margin=1e-3, reduction="none"):
        super().__init__(reduction)
        if not 0 < margin < 0.5:
            raise ValueError(f"margin={margin!r}; expected a number between 0 and 0.5.")
        self.margin = float(margin)

    def forward(self, mixture: GaussianMixtures, target):
        """Loss of each row.

        Parameters
        ----------
        mixture : GaussianMixtures
            Of ``from_unit(y, margin)``.
        target : Tensor of shape (n, n_targets)

        Returns
        -------
        loss : Tensor of shape (n,)
        """
        z = from_unit(target, self.margin)
        # dz / dy of all targets
        log_slope = 0.5 * z.square() + 0.5 * math.log(2 * math.pi) + math.log1p(-2 * self.margin)
        return -mixture.log_prob(z) - log_slope.sum(-1)


class PinballLoss(_Loss):
    r"""Mean of the pinball losses of several quantiles [1]_.

    .. math:: \sum_l w_l\, (y - q_l)\, (\tau_l - 1[y < q_l])

    Parameters
    ----------
    levels : array-like of shape (n_levels,)
        :math:`\tau_l`, increasing, between 0 and 1.
    weighting : {None, "crps"}, default=None
        None weighs all levels alike, and so the tails by how many there are; "crps" makes the loss the
        trapezoidal sum of the continuous ranked probability score.
    reduction : {"none"}

    References
    ----------
    .. [1] Koenker & Bassett, "Regression quantiles", Econometrica 46, 33 (1978).

    Examples
    --------
    >>> import torch
    >>> from skastro.regression.losses import PinballLoss
    >>> PinballLoss([0.1, 0.5])(torch.tensor([[[0.2, 0.4]]]), torch.tensor([[0.3]])).round(decimals=4)
    tensor([[0.0300]])
    """

    def __init__(self, levels, weighting=None, reduction="none"):
        super().__init__(reduction)
        levels = check_levels(levels)
        if weighting == "crps":
            ends = np.concatenate([[0.0], levels, [1.0]])
            weights = ends[2:] - ends[:-2]
        elif weighting is None:
            weights = np.full(len(levels), 1 / len(levels))
        else:
            raise ValueError(f"weighting={weighting!r}; expected None or 'crps'.")
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32))
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32))

    def forward(self, quantiles, target):
        """Loss of each target.

        Parameters
        ----------
        quantiles : Tensor of shape (n, n_targets, n_levels)
        target : Tensor of shape (n, n_targets)

        Returns
        -------
        loss : Tensor of shape (n, n_targets)
        """
        above = target[..., None] - quantiles
        levels = self.levels.to(above.dtype)
        loss = torch.maximum(levels * above, (levels - 1) * above)
        return (loss * self.weights.to(loss.dtype)).sum(-1)


class HistogramLogLoss(_Loss):
    """Minus the log density of histograms at the target: the cross-entropy over the bins.

    A target outside the bins counts as one in the nearest.

    Parameters
    ----------
    smoothing : float, default=0.0
        The target is spread as a Gaussian of this many bins: its neighbours in value are not as wrong as
        others. The densities become wider by as much.
    reduction : {"none"}

    Examples
    --------
    >>> import torch
    >>> from skastro.regression.losses import HistogramLogLoss, Histograms
    >>> flat = Histograms(torch.zeros(1, 1, 4), torch.linspace(0, 1, 5).expand(1, 1, 5))
    >>> HistogramLogLoss()(flat, torch.tensor([[0.3]])).abs()
    tensor([[0.]])
    """

    def __init__(self, smoothing=0.0, reduction="none"):
        super().__init__(reduction)
        if not 0 <= smoothing < math.inf:
            raise ValueError(f"smoothing={smoothing!r}; expected a number of bins, at least 0.")
        self.smoothing = float(smoothing)

    def forward(self, histograms, target):
        """Loss of each target.

        Parameters
        ----------
        histograms : Histograms
        target : Tensor of shape (n, n_targets)

        Returns
        -------
        loss : Tensor of shape (n, n_targets)
        """
        logits, edges = histograms
        widths = edges.diff(dim=-1)
        log_density = logits.log_softmax(-1) - widths.log()
        inner = edges[..., 1:-1].contiguous()
        which = torch.searchsorted(inner, target[..., None].contiguous(), right=True)
        if not self.smoothing:
            return -log_density.gather(-1, which)[..., 0]
        spread = self.smoothing * widths.gather(-1, which)
        inside = target[..., None].clamp(edges[..., :1], edges[..., -1:])
        part = torch.special.ndtr((edges - inside) / spread).diff(dim=-1)
        return -(part / part.sum(-1, keepdim=True) * log_density).sum(-1)


class HistogramCRPSLoss(_Loss):
    r"""Continuous ranked probability score of histograms, whose CDF is linear within a bin [1]_.

    .. math:: \int (F(t) - 1[t \ge y])^2\, \mathrm dt

    Exact; in units of the target. It knows how far the bins are from each other, which the cross-entropy
    doesn't.

    Parameters
    ----------
    reduction : {"none"}

    References
    ----------
    .. [1] Gneiting & Raftery, "Strictly proper scoring rules, prediction, and estimation",
       J. Am. Stat. Assoc. 102, 359 (2007).

    Examples
    --------
    >>> import torch
    >>> from skastro.regression.losses import HistogramCRPSLoss, Histograms
    >>> flat = Histograms(torch.zeros(1, 1, 4), torch.linspace(0, 1, 5).expand(1, 1, 5))
    >>> HistogramCRPSLoss()(flat, torch.tensor([[0.0]])).round(decimals=4)
    tensor([[0.3333]])
    """

    def forward(self, histograms, target):
        """Loss of each target.

        Parameters
        ----------
        histograms : Histograms
        target : Tensor of shape (n, n_targets)

        Returns
        -------
        loss : Tensor of shape (n, n_targets)
        """
        logits, edges = histograms
        mass = logits.softmax(-1)
        right = mass.cumsum(-1)
        left = right - mass
        low, high = edges[..., :-1], edges[..., 1:]
        y = target[..., None]
        # each bin in two, below and above the target; one of them is empty but in the bin that holds it
        split = torch.minimum(torch.maximum(y, low), high)
        at_split = left + mass * (split - low) / (high - low)
        below = (split - low) * _mean_square(left, at_split)
        above = (high - split) * _mean_square(1 - at_split, 1 - right)
        beyond = torch.relu(edges[..., 0] - target) + torch.relu(target - edges[..., -1])
        return (below + above).sum(-1) + beyond


def _mean_square(a, b):
    """Of numbers from a to b."""
    return (a * a + a * b + b * b) / 3
