"""Heads whose distributions are piecewise: quantiles and histograms, of each target alone."""

import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skastro.distributions import PiecewiseDistribution
from skastro.regression.head_base import (
    UNIFORM_PART,
    Head,
    check_targets,
    near_zero_linear,
    to_numpy,
)
from skastro.regression.losses import (
    HistogramCRPSLoss,
    HistogramLogLoss,
    Histograms,
    PinballLoss,
    check_levels,
    from_unit,
)

__all__ = ["HistogramHead", "QuantileHead"]

# every twentieth, and the tails
LEVELS = (0.005, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.995)
# of the logarithm of a width beside that of the start: beyond it is a collapse
LARGEST_LOG = 8.0
# of the range, beyond each bound, where the start is taken to the line
MARGIN = 1e-3
# of the probability beyond the outermost quantiles, before the rest goes evenly to the bounds
HALVINGS = 8
# least step between two quantiles at the start
LEAST_STEP = 1e-2


def _tail(levels, values):
    """Edges below the lowest quantile, and the CDF there: an exponential, within the bound at 0."""
    halvings = torch.arange(HALVINGS, 0, -1, dtype=values.dtype, device=values.device)
    lowest = values[..., :1]
    scale = (values[..., 1:2] - lowest) / (levels[1] / levels[0]).log()
    # as lowest - away far from the bound, and never beyond it
    away = math.log(2) * halvings * scale
    edges = lowest * (-away / lowest.clamp_min(1e-6)).exp()
    pad = nn.functional.pad
    return pad(edges, (1, 0)), pad(levels[0] * 0.5**halvings, (1, 0))


class _Quantiles(nn.Module):
    """Increasing numbers between 0 and 1 for each target: a median, a width, steps away to both sides."""

    def __init__(self, n_features, n_targets, levels):
        super().__init__()
        self.n_targets = n_targets
        self.middle = int(np.abs(levels - 0.5).argmin())
        self.sizes = [1, len(levels) - 1]
        self.linear = near_zero_linear(n_features, n_targets * (len(levels) + 1))
        self.start(torch.as_tensor(levels).expand(n_targets, -1))

    @torch.no_grad()
    def start(self, quantiles):
        """Begin at quantiles (n_targets, n_levels) whatever the features."""
        z = from_unit(quantiles, MARGIN)
        steps = z.diff(dim=-1).clamp_min(LEAST_STEP).log()
        steps = LARGEST_LOG * torch.atanh(steps / LARGEST_LOG)
        width = torch.zeros_like(z[:, :1])
        start = torch.cat([z[:, self.middle, None], width, steps], -1)
        self.linear.bias.copy_(start.flatten())

    def forward(self, x):
        numbers = self.linear(x).unflatten(-1, (self.n_targets, -1))
        place, logs = numbers[..., :1], numbers[..., 1:]
        width, steps = (LARGEST_LOG * torch.tanh(logs / LARGEST_LOG)).exp().split(self.sizes, -1)
        away = nn.functional.pad(steps.cumsum(-1), (1, 0))
        away = away - away[..., self.middle, None]
        return torch.special.ndtr(place + width * away)


class QuantileHead(Head):
    """Quantiles of each target, which never cross: sums of positive steps, squeezed between the bounds.

    Its loss is the pinball loss. Between two quantiles the CDF is linear. Beyond the outermost it goes on as
    an exponential through the last two; of that tail, the last part in 256 is even to the bound.

    Parameters
    ----------
    levels : tuple of float, default=(0.005, 0.025, 0.05, 0.1, ..., 0.95, 0.975, 0.995)
        Increasing, between 0 and 1.
    weighting : {"crps", None}, default="crps"
        The sum of the pinball losses is the continuous ranked probability score; None: all levels alike.

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import QuantileHead
    >>> head = QuantileHead(levels=(0.1, 0.5, 0.9))
    >>> output = head.make_module(n_features=8, n_targets=2)(torch.zeros(5, 8))
    >>> output.shape, bool((output.diff(dim=-1) > 0).all())
    (torch.Size([5, 2, 3]), True)
    """

    def __init__(self, levels=LEVELS, weighting="crps"):
        self.levels = levels
        self.weighting = weighting

    def _levels(self):
        levels = check_levels(self.levels)
        if len(levels) < 2:
            raise ValueError(
                f"levels={self.levels!r}; expected two or more: one is no distribution."
            )
        return levels

    def make_module(self, n_features, n_targets, targets=None):
        levels = self._levels()
        module = _Quantiles(n_features, n_targets, levels)
        if targets is not None:
            targets = check_targets(targets, n_targets).clamp(0.0, 1.0)
            module.start(targets.quantile(torch.as_tensor(levels), dim=0).T)
        return module

    def make_loss(self):
        return PinballLoss(self._levels(), self.weighting)

    def _table(self, output):
        """Edges and the CDF at them, from bound to bound."""
        levels = torch.as_tensor(self._levels(), dtype=output.dtype, device=output.device)
        low, low_levels = _tail(levels, output)
        # the upper tail is the lower one of 1 - y
        high, high_levels = _tail(1 - levels.flip(-1), 1 - output.flip(-1))
        edges = torch.cat([low, output, 1 - high.flip(-1)], -1)
        return edges, torch.cat([low_levels, levels, 1 - high_levels.flip(-1)])

    def distribution(self, output):
        edges, cdf = (to_numpy(one) for one in self._table(output.double()))
        # 1 - (1 - y) may be a rounding less than y
        edges = np.maximum.accumulate(edges, axis=-1)
        return PiecewiseDistribution(edges, np.broadcast_to(cdf, edges.shape))

    def point(self, output):
        edges, cdf = self._table(output)
        # the area under the quantiles
        return torch.trapezoid(edges, cdf, dim=-1)

    def average(self, outputs):
        # quantiles are averaged, not probabilities: the mean of shifted distributions is no wider
        return sum(outputs) / len(outputs)


class _HistogramLayer(nn.Module):
    """Logits of bins whose edges are kept with the weights."""

    def __init__(self, n_features, n_targets, n_bins):
        super().__init__()
        self.linear = near_zero_linear(n_features, n_targets * n_bins)
        self.register_buffer("edges", torch.linspace(0, 1, n_bins + 1).repeat(n_targets, 1))

    def forward(self, x):
        logits = self.linear(x).unflatten(-1, (len(self.edges), -1))
        return Histograms(logits, self.edges.expand(len(x), -1, -1))


class HistogramHead(Head):
    """Probabilities of the bins of each target, its density constant within a bin [1]_.

    Parameters
    ----------
    n_bins : int, default=64
    spacing : {"uniform", "quantile"}, default="uniform"
        Bins of one width, or nearly of one count of training targets: of these and of the width, nine parts
        to one.
    loss : {"log", "crps"}, default="log"
        Minus the log density (the cross-entropy), or the continuous ranked probability score, which knows
        how far the bins are from each other.
    smoothing : float, default=0.0
        With the log loss: targets are spread as Gaussians of this many bins.

    References
    ----------
    .. [1] Pasquet et al., "Photometric redshifts from SDSS images using a convolutional neural network",
       A&A 621, A26 (2019).

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import HistogramHead
    >>> head = HistogramHead(n_bins=20)
    >>> output = head.make_module(n_features=8, n_targets=2)(torch.zeros(5, 8))
    >>> output.logits.shape
    torch.Size([5, 2, 20])
    >>> head.distribution(output).median().round(1)[0]
    array([0.5, 0.5])
    """

    def __init__(self, n_bins=64, spacing="uniform", loss="log", smoothing=0.0):
        self.n_bins = n_bins
        self.spacing = spacing
        self.loss = loss
        self.smoothing = smoothing

    _parameter_constraints = {
        "n_bins": [Interval(Integral, 2, None, closed="left")],
        "spacing": [StrOptions({"uniform", "quantile"})],
        "loss": [StrOptions({"log", "crps"})],
        "smoothing": [Interval(Real, 0, None, closed="left")],
    }

    def make_module(self, n_features, n_targets, targets=None):
        self._validate_params()
        module = _HistogramLayer(n_features, n_targets, self.n_bins)
        if targets is not None:
            targets = check_targets(targets, n_targets).clamp(0.0, 1.0)
            self._start(module, targets)
        return module

    @torch.no_grad()
    def _start(self, module, targets):
        n_targets, n_bins = targets.shape[1], self.n_bins
        edges = torch.linspace(0, 1, n_bins + 1, dtype=targets.dtype).repeat(n_targets, 1)
        if self.spacing == "quantile":
            counted = targets.quantile(edges[0], dim=0).T
            counted[:, 0], counted[:, -1] = 0.0, 1.0
            edges = UNIFORM_PART * edges + (1 - UNIFORM_PART) * counted
        module.edges.copy_(edges)
        which = torch.searchsorted(edges[:, 1:-1].contiguous(), targets.T.contiguous(), right=True)
        counts = torch.zeros(n_targets, n_bins, dtype=targets.dtype)
        counts.scatter_add_(1, which, torch.ones_like(which, dtype=targets.dtype))
        # an empty bin is not impossible
        module.linear.bias.copy_((counts + 0.5).log().flatten())

    def make_loss(self):
        self._validate_params()
        if self.loss == "log":
            return HistogramLogLoss(self.smoothing)
        return HistogramCRPSLoss()

    def distribution(self, output):
        masses = to_numpy(output.logits.double().softmax(-1))
        return PiecewiseDistribution.from_masses(to_numpy(output.edges), masses)

    def point(self, output):
        middles = 0.5 * (output.edges[..., 1:] + output.edges[..., :-1])
        return (output.logits.softmax(-1) * middles).sum(-1)

    def average(self, outputs):
        # members may have bins of their own
        if any(not torch.equal(one.edges, outputs[0].edges) for one in outputs[1:]):
            return None
        masses = sum(one.logits.double().softmax(-1) for one in outputs) / len(outputs)
        return outputs[0]._replace(logits=masses.log())
