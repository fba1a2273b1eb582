"""Heads of `ParamRegressor`: their names, and the plainest of them."""

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skastro.recipes import copy_recipe
from skastro.regression.head_base import Head, check_targets, near_zero_linear
from skastro.regression.heads_binned import HistogramHead, QuantileHead
from skastro.regression.heads_density import GaussianHead, MixtureHead
from skastro.regression.heads_flow import FlowHead

__all__ = [
    "HEADS",
    "FlowHead",
    "GaussianHead",
    "Head",
    "HistogramHead",
    "MixtureHead",
    "PointHead",
    "QuantileHead",
    "resolve_head",
]


class PointHead(Head):
    """One number a target.

    Parameters
    ----------
    loss : {"mse", "mae", "huber"}, default="mse"
        The squared error, of which the best is the mean; the absolute error, the median; or half the first
        for small errors and as the second for large.
    delta : float, default=0.05
        Error at which "huber" passes from one to the other, as a part of the target's range.

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import PointHead
    >>> head = PointHead(loss="mae")
    >>> output = head.make_module(n_features=8, n_targets=2)(torch.zeros(5, 8))
    >>> head.make_loss()(output, torch.ones(5, 2)).shape, head.distribution(output)
    (torch.Size([5, 2]), None)
    """

    def __init__(self, loss="mse", delta=0.05):
        self.loss = loss
        self.delta = delta

    _parameter_constraints = {
        "loss": [StrOptions({"mse", "mae", "huber"})],
        "delta": [Interval(Real, 0, None, closed="neither")],
    }

    def make_module(self, n_features, n_targets, targets=None):
        self._validate_params()
        layer = near_zero_linear(n_features, n_targets)
        if targets is not None:
            targets = check_targets(targets, n_targets)
            start = targets.mean(0) if self.loss == "mse" else targets.quantile(0.5, dim=0)
            with torch.no_grad():
                layer.bias.copy_(start)
        return layer

    def make_loss(self):
        self._validate_params()
        if self.loss == "mse":
            return nn.MSELoss(reduction="none")
        if self.loss == "mae":
            return nn.L1Loss(reduction="none")
        return nn.HuberLoss(reduction="none", delta=self.delta)

    def distribution(self, output):
        return None

    def point(self, output):
        return output

    def average(self, outputs):
        return sum(outputs) / len(outputs)


HEADS = {
    "point": PointHead,
    "gaussian": GaussianHead,
    "quantile": QuantileHead,
    "histogram": HistogramHead,
    "mixture": MixtureHead,
    "flow": FlowHead,
}


def resolve_head(head):
    """A head from its name, or the head given.

    Parameters
    ----------
    head : {"point", "gaussian", "quantile", "histogram", "mixture", "flow"} or Head

    Returns
    -------
    head : Head
        A copy, with its own parameters.

    Raises
    ------
    ValueError
        Neither.

    Examples
    --------
    >>> from skastro.regression import resolve_head
    >>> resolve_head("gaussian")
    GaussianHead()
    """
    if isinstance(head, str) and head in HEADS:
        return HEADS[head]()
    if isinstance(head, Head):
        return copy_recipe(head)
    raise ValueError(
        f"head={head!r}; expected one of {sorted(HEADS)} or a head such as HistogramHead()."
    )
