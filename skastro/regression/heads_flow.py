"""Head whose distributions are normalising flows, joint over the targets; needs zuko, an extra."""

import copy
import math
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import qmc
from sklearn.utils._param_validation import Interval
from torch import nn

from skastro.base import row_blocks
from skastro.distributions import SampleDistribution
from skastro.distributions.rows import as_generator, check_rescaling, check_values
from skastro.regression.head_base import Head, check_sizes, check_targets

__all__ = ["FlowDistribution", "FlowHead", "FlowLoss", "Flows"]

# of the range, beyond each bound: what lies at a bound is inside the spline
MARGIN = 1e-4
# least slope of a spline, and with it how far the softened logarithms of its parts go
SLOPE = 1e-3
# of the edges that a flow starts from: many equal targets would make bins without a width
UNIFORM_PART = 0.02
# standard deviations from the middle to the outermost inner edges of that start
TAIL = 2.5
# rows and draws that are taken through the flow at once
BLOCK = 2**16


def require_zuko():
    """Import zuko, an extra.

    Returns
    -------
    zuko : module

    Raises
    ------
    ImportError
        It is not installed; the message says how to.
    """
    try:
        import zuko
    except ImportError as error:
        raise ImportError(
            "Flows need zuko, which is not installed: pip install 'skastro[flow]'"
        ) from error
    return zuko


def _spline(widths, heights, derivatives):
    """Rational-quadratic spline from the unit interval to itself, with slopes of its own at the ends."""
    from zuko.transforms import MonotonicRQSTransform

    spline = MonotonicRQSTransform(
        widths, heights, derivatives[..., 1:-1], bound=0.5 + MARGIN, slope=SLOPE
    )
    spline.derivatives = (derivatives / (1 + abs(derivatives / math.log(SLOPE)))).exp()
    return spline


def _unsoftened(logs, most):
    """What zuko softens to `logs`: x with x / (1 + abs(x) / most) = logs."""
    logs = logs.clamp(-0.9 * most, 0.9 * most)
    return logs / (1 - logs.abs() / most)


class Flows(NamedTuple):
    """Densities on the unit cube, one a row, by maps that make them uniform.

    Attributes
    ----------
    context : Tensor of shape (n, n_features)
        What the maps depend on.
    transform : Module
        From a context to the map, from y - 1/2 to a uniform variable.
    """

    context: torch.Tensor
    transform: nn.Module

    def log_prob(self, y):
        """Logarithm of the density.

        Parameters
        ----------
        y : Tensor of shape (..., n, n_targets)
            Taken for 0 or 1 where it is outside.

        Returns
        -------
        log_prob : Tensor of shape (..., n)
        """
        inside = y.clamp(0.0, 1.0) - 0.5
        _, log_slope = self.transform(self.context).call_and_ladj(inside)
        return log_slope - y.shape[-1] * math.log1p(2 * MARGIN)

    def at(self, u):
        """The point that the map takes to a uniform variable.

        Parameters
        ----------
        u : Tensor of shape (..., n, n_targets)
            Between 0 and 1.

        Returns
        -------
        y : Tensor of shape (..., n, n_targets)
        """
        return self.transform(self.context).inv((1 + 2 * MARGIN) * (u - 0.5)) + 0.5


class FlowLoss(nn.Module):
    """Minus the log density of flows at the target, one number a row.

    Parameters
    ----------
    reduction : {"none"}
    """

    def __init__(self, reduction="none"):
        super().__init__()
        if reduction != "none":
            raise ValueError(f"reduction={reduction!r}; expected 'none'.")
        self.reduction = reduction

    def forward(self, flows, target):
        """Loss of each row.

        Parameters
        ----------
        flows : Flows
        target : Tensor of shape (n, n_targets)

        Returns
        -------
        loss : Tensor of shape (n,)
        """
        return -flows.log_prob(target)


def _in_float64(flows):
    """A copy: the inverse of a spline is the root of a parabola, which float32 may not find."""
    context = flows.context.double()
    return Flows(context, copy.deepcopy(flows.transform).to(context).eval())


def _even_draws(n_targets, n_draws):
    """Quasi-random points of the unit cube, (n_draws, 1, n_targets)."""
    return qmc.Sobol(n_targets, rng=0).random(n_draws)[:, None]


class FlowDistribution(SampleDistribution):
    """Distributions of flows.

    The joint density is exact. Of each target alone they are those of quasi-random draws [1]_, as in
    `SampleDistribution`.

    Parameters
    ----------
    flows : Flows
        On the scale [0, 1].
    n_draws : int
        For each row; best a power of 2.

    Attributes
    ----------
    shape : tuple (n, n_targets)

    References
    ----------
    .. [1] Owen, "Scrambled net variance for integrals of smooth functions", Ann. Stat. 25, 1541 (1997).
    """

    def __init__(self, flows, n_draws):
        self.flows = _in_float64(Flows(flows.context.detach().cpu(), flows.transform))
        self.offset, self.scale = 0.0, 1.0
        n_targets = flows.transform.n_targets
        u = _even_draws(n_targets, n_draws)
        super().__init__(self._at(np.broadcast_to(u, (n_draws, len(flows.context), n_targets))))

    @torch.inference_mode()
    def _at(self, u):
        """Draws (m, n, n_targets) of uniform variables, a block of rows at a time."""
        y = np.empty(u.shape)
        for rows in row_blocks(u.shape[1], len(u), BLOCK):
            flows = self.flows._replace(context=self.flows.context[rows])
            y[:, rows] = flows.at(torch.tensor(u[:, rows])).numpy()
        return y

    def __getitem__(self, rows):
        new = copy.copy(self)
        one = super().__getitem__(rows)
        new._set(one.values, None)
        new.flows = self.flows._replace(context=self.flows.context[rows])
        return new

    def rescaled(self, offset, scale):
        """The distributions of offset + scale * y: as in `Distribution`."""
        offset, scale = check_rescaling(offset, scale, self.shape[1])
        new = copy.copy(self)
        new._set(offset + scale * self.values, None)
        new.offset, new.scale = offset + scale * self.offset, scale * self.scale
        return new

    @torch.inference_mode()
    def log_prob(self, y):
        """Logarithm of the joint density, minus infinity outside the bounds: as in `Distribution`."""
        y = check_values(y, self.shape)
        y = np.broadcast_to(y, np.broadcast_shapes(y.shape, self.shape))
        unit = (y - self.offset) / self.scale
        found = np.empty(y.shape[:-1])
        for rows in row_blocks(y.shape[-2], max(1, found.size // found.shape[-1]), BLOCK):
            flows = self.flows._replace(context=self.flows.context[rows])
            found[..., rows] = flows.log_prob(torch.tensor(unit[..., rows, :])).numpy()
        found -= np.log(np.broadcast_to(self.scale, y.shape[-1:])).sum()
        return np.where(((unit < 0) | (unit > 1)).any(-1), -np.inf, found)

    def sample(self, n_samples, random_state=None):
        """Draw all targets together: as in `Distribution`."""
        u = as_generator(random_state).uniform(size=(n_samples, *self.shape))
        return self.offset + self.scale * self._at(u)


class _FlowLayer(nn.Module):
    """The splines, whose networks see the features."""

    def __init__(self, n_features, n_targets, n_transforms, n_bins, hidden):
        super().__init__()
        self.transform = _Transform(n_features, n_targets, n_transforms, n_bins, hidden)

    def forward(self, x):
        return Flows(x, self.transform)


class _Transform(nn.Module):
    """Autoregressive splines one after another, near the identity at first."""

    def __init__(self, n_features, n_targets, n_transforms, n_bins, hidden):
        super().__init__()
        flow = require_zuko().flows.MAF(
            n_targets,
            n_features,
            n_transforms,
            univariate=_spline,
            shapes=[(n_bins,), (n_bins,), (n_bins + 1,)],
            hidden_features=hidden,
            activation=nn.SiLU,
        )
        self.n_targets, self.n_bins = n_targets, n_bins
        self.splines = flow.transform
        with torch.no_grad():
            for one in self.splines.transforms:
                one.hyper[-1].weight *= 0.01
                one.hyper[-1].bias.zero_()

    def forward(self, context):
        return self.splines(context)

    @torch.no_grad()
    def start(self, targets):
        """Begin at the distribution of each target alone, whatever the features."""
        # tails of their own, as of a normal distribution between its quantiles
        inner = torch.linspace(-TAIL, TAIL, self.n_bins - 1, dtype=targets.dtype)
        levels = nn.functional.pad(torch.special.ndtr(inner), (1, 1))
        levels[-1] = 1.0
        even = torch.linspace(0, 1, self.n_bins + 1, dtype=targets.dtype)
        edges = UNIFORM_PART * even + (1 - UNIFORM_PART) * targets.quantile(levels, dim=0).T
        edges[:, 0], edges[:, -1] = 0.0, 1.0
        widths, heights = edges.diff(dim=-1).log(), levels.diff().log().expand(len(edges), -1)
        # at an edge, the slope between those of its two bins
        steep = heights - widths
        slopes = 0.5 * (steep[:, 1:] + steep[:, :-1])
        slopes = torch.cat([steep[:, :1], slopes, steep[:, -1:]], -1)
        numbers = [
            _unsoftened(widths - widths.mean(-1, keepdim=True), -0.5 * math.log(SLOPE)),
            _unsoftened(heights - heights.mean(-1, keepdim=True), -0.5 * math.log(SLOPE)),
            _unsoftened(slopes, -math.log(SLOPE)),
        ]
        self.splines.transforms[0].hyper[-1].bias.copy_(torch.cat(numbers, -1).flatten())


class FlowHead(Head):
    """A conditional normalising flow over all targets: autoregressive rational-quadratic splines [1]_.

    Between the bounds of the targets, and free there: a density that is cut off by a bound is no harder than
    another. Its loss is minus the log density. Needs zuko: ``pip install 'skastro[flow]'``.

    Parameters
    ----------
    n_transforms : int, default=2
        Each after the other, through the targets in one order and then in the other.
    n_bins : int, default=8
        Of each spline.
    hidden : tuple of int, default=(64, 64)
        Widths of the layers from the features to the splines.
    n_draws : int, default=256
        Quasi-random draws from which the distribution of each target alone is known; the joint density
        needs none. Best a power of 2.

    References
    ----------
    .. [1] Durkan, Bekasov, Murray & Papamakarios, "Neural spline flows", NeurIPS (2019), arXiv:1906.04032.

    Examples
    --------
    >>> from skastro.regression import FlowHead
    >>> FlowHead(n_transforms=1).get_params()["n_bins"]
    8
    """

    def __init__(self, n_transforms=2, n_bins=8, hidden=(64, 64), n_draws=256):
        self.n_transforms = n_transforms
        self.n_bins = n_bins
        self.hidden = hidden
        self.n_draws = n_draws

    _parameter_constraints = {
        "n_transforms": [Interval(Integral, 1, None, closed="left")],
        "n_bins": [Interval(Integral, 3, None, closed="left")],
        "hidden": [tuple, list],
        "n_draws": [Interval(Integral, 2, None, closed="left")],
    }

    def make_module(self, n_features, n_targets, targets=None):
        self._validate_params()
        check_sizes(n_features=n_features, n_targets=n_targets)
        hidden = tuple(self.hidden)
        if not all(isinstance(size, Integral) and size >= 1 for size in hidden):
            raise ValueError(f"hidden={self.hidden!r}; expected a tuple of positive integers.")
        layer = _FlowLayer(n_features, n_targets, self.n_transforms, self.n_bins, hidden)
        if targets is not None:
            layer.transform.start(check_targets(targets, n_targets).clamp(0.0, 1.0))
        return layer

    def make_loss(self):
        return FlowLoss()

    def distribution(self, output):
        return FlowDistribution(output, self.n_draws)

    def point(self, output):
        flows = _in_float64(output)
        u = torch.tensor(_even_draws(flows.transform.n_targets, self.n_draws)).to(flows.context)
        blocks = row_blocks(len(flows.context), self.n_draws, BLOCK)
        means = [flows._replace(context=flows.context[rows]).at(u).mean(0) for rows in blocks]
        return torch.cat(means).to(output.context.dtype)

    def concatenate(self, outputs):
        return Flows(torch.cat([one.context for one in outputs]), outputs[0].transform)
