"""Heads whose distributions are Gaussians and mixtures of them, joint over the targets."""

from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.density import GaussianMixtures, MixtureDensityLoss, MixtureDensityNetwork
from skastro.distributions import GaussianMixtureDistribution, SquashedDistribution
from skastro.regression.head_base import Head, check_targets
from skastro.regression.losses import BoundedDensityLoss, from_unit, to_unit

__all__ = ["GaussianHead", "MixtureHead"]

# of a line seen through the normal CDF, beyond each bound: targets at a bound are 3.1 deviations away
MARGIN = 1e-3


class MixtureHead(Head):
    r"""A mixture of Gaussians over all targets: a mixture density network [1]_.

    Its loss is minus the log density.

    Parameters
    ----------
    n_components : int, default=3
        Gaussians.
    covariance : {"full", "diagonal"}, default="full"
        Of each Gaussian, between the targets.
    bounded : bool, default=True
        Mixtures of :math:`z = \Phi^{-1}(y)`, y the target scaled to its bounds, which the distributions then
        end at: a target that may lie at the edge of its range keeps calibrated intervals. False: of y itself.

    References
    ----------
    .. [1] Bishop, "Mixture density networks", Aston University NCRG/94/004 (1994).

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import MixtureHead
    >>> head = MixtureHead(n_components=2)
    >>> output = head.make_module(n_features=8, n_targets=3)(torch.zeros(5, 8))
    >>> head.make_loss()(output, torch.full((5, 3), 0.5)).shape
    torch.Size([5])
    >>> head.distribution(output).shape
    (5, 3)
    """

    def __init__(self, n_components=3, covariance="full", bounded=True):
        self.n_components = n_components
        self.covariance = covariance
        self.bounded = bounded

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance": [StrOptions({"full", "diagonal"})],
        "bounded": ["boolean"],
    }

    def _n_components(self):
        return self.n_components

    def make_module(self, n_features, n_targets, targets=None):
        self._validate_params()
        module = MixtureDensityNetwork(
            n_features, n_targets, self._n_components(), hidden=(), covariance=self.covariance
        )
        if targets is not None:
            targets = check_targets(targets, n_targets)
            module.start_at_marginal(from_unit(targets, MARGIN) if self.bounded else targets)
        return module

    def make_loss(self):
        self._validate_params()
        return BoundedDensityLoss(MARGIN) if self.bounded else MixtureDensityLoss()

    def distribution(self, output):
        mixture = GaussianMixtureDistribution.from_torch(output)
        if not self.bounded:
            return mixture
        end = MARGIN / (1 - 2 * MARGIN)
        return SquashedDistribution(mixture, -end, 1 + end, link="normal")

    def point(self, output):
        if not self.bounded:
            return output.moments()[0]
        variance = output.covariances().diagonal(dim1=-2, dim2=-1)
        # the mean of a normal CDF over a Gaussian is another normal CDF
        means = to_unit(output.means / (1 + variance).sqrt(), MARGIN)
        return (output.logits.softmax(-1)[..., None] * means).sum(1)

    def average(self, outputs):
        weights = [one.logits.log_softmax(-1) for one in outputs]
        parts = zip(*outputs, strict=True)
        _, means, factors = (torch.cat(part, 1) for part in parts)
        return GaussianMixtures(torch.cat(weights, 1), means, factors)


class GaussianHead(MixtureHead):
    r"""A Gaussian over all targets, whose mean and covariance depend on the image [1]_.

    Its loss is minus the log density.

    Parameters
    ----------
    covariance : {"full", "diagonal"}, default="full"
        Between the targets.
    bounded : bool, default=True
        A Gaussian of :math:`z = \Phi^{-1}(y)`, y the target scaled to its bounds, which the distributions
        then end at. False: of y itself.

    References
    ----------
    .. [1] Nix & Weigend, "Estimating the mean and variance of the target probability distribution",
       Proc. IEEE Int. Conf. Neural Networks 1, 55 (1994).

    Examples
    --------
    >>> import torch
    >>> from skastro.regression import GaussianHead
    >>> head = GaussianHead(covariance="diagonal")
    >>> output = head.make_module(n_features=8, n_targets=3)(torch.zeros(5, 8))
    >>> head.distribution(output).mean().shape
    (5, 3)
    """

    def __init__(self, covariance="full", bounded=True):
        self.covariance = covariance
        self.bounded = bounded

    _parameter_constraints = {
        name: rule
        for name, rule in MixtureHead._parameter_constraints.items()
        if name != "n_components"
    }

    def _n_components(self):
        return 1
