"""Predicted distributions of one or more targets: what heads give, and metrics and displays read."""

from skastro.distributions.base import Distribution
from skastro.distributions.gaussians import GaussianMixtureDistribution
from skastro.distributions.piecewise import PiecewiseDistribution

__all__ = [
    "Distribution",
    "GaussianMixtureDistribution",
    "PiecewiseDistribution",
]
