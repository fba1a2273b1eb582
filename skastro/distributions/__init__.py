"""Predicted distributions of one or more targets: what heads give, and metrics and displays read."""

from skastro.distributions.base import Distribution
from skastro.distributions.gaussians import GaussianMixtureDistribution
from skastro.distributions.level_maps import LevelMap, conformal_map, isotonic_map
from skastro.distributions.piecewise import PiecewiseDistribution
from skastro.distributions.pooled import PooledDistribution, pool
from skastro.distributions.recalibrated import RecalibratedDistribution
from skastro.distributions.reweighted import reweighted
from skastro.distributions.samples import SampleDistribution
from skastro.distributions.squashed import SquashedDistribution

__all__ = [
    "Distribution",
    "GaussianMixtureDistribution",
    "LevelMap",
    "PiecewiseDistribution",
    "PooledDistribution",
    "RecalibratedDistribution",
    "SampleDistribution",
    "SquashedDistribution",
    "conformal_map",
    "isotonic_map",
    "pool",
    "reweighted",
]
