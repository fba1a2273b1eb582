"""Linear pools: what the members of an ensemble predict together."""

import numpy as np
from scipy.special import logsumexp

from skastro.distributions.base import Distribution
from skastro.distributions.gaussians import GaussianMixtureDistribution
from skastro.distributions.piecewise import PiecewiseDistribution
from skastro.distributions.rows import as_generator, check_values

__all__ = ["PooledDistribution", "pool"]


class PooledDistribution(Distribution):
    r"""Weighted mean of the densities of several distributions of the same rows and targets [1]_.

    .. math:: p(y) = \sum_j w_j\, p_j(y)

    Parameters
    ----------
    distributions : list of Distribution
        Of one shape.
    weights : array-like of shape (n_distributions,), optional
        Not negative; divided by their sum. None: equal.

    Attributes
    ----------
    shape : tuple (n, n_targets)

    Raises
    ------
    ValueError
        No distribution, shapes that differ, weights that are negative, not finite or all 0.

    References
    ----------
    .. [1] Stone, "The opinion pool", Annals of Mathematical Statistics 32, 1339 (1961).

    Examples
    --------
    >>> from skastro.distributions import PiecewiseDistribution, PooledDistribution
    >>> parts = [PiecewiseDistribution([low, low + 1.0], [[[0, 1]]]) for low in (0.0, 3.0)]
    >>> PooledDistribution(parts, weights=[1, 3]).cdf([[2.0]])
    array([[0.25]])
    """

    def __init__(self, distributions, weights=None):
        self.distributions = list(distributions)
        if not self.distributions:
            raise ValueError("distributions is empty; expected at least one.")
        shapes = sorted({one.shape for one in self.distributions})
        if len(shapes) > 1:
            raise ValueError(f"distributions have shapes {shapes}; expected one shape.")
        self.weights = _check_weights(weights, len(self.distributions))

    def _of(self, distributions):
        return PooledDistribution(distributions, self.weights)

    def _mix(self, parts):
        return sum(weight * part for weight, part in zip(self.weights, parts, strict=True))

    @property
    def shape(self):
        """Rows and targets."""
        return self.distributions[0].shape

    def __getitem__(self, rows):
        return self._of([one[rows] for one in self.distributions])

    def cdf(self, y):
        """Probability of less than y, for each target alone: as in `Distribution`."""
        return self._mix(one.cdf(y) for one in self.distributions)

    def pdf(self, y):
        """Density at y, for each target alone: as in `Distribution`."""
        return self._mix(one.pdf(y) for one in self.distributions)

    def log_prob(self, y):
        """Logarithm of the joint density: as in `Distribution`."""
        y = check_values(y, self.shape)
        with np.errstate(divide="ignore"):
            logs = [
                np.log(weight) + one.log_prob(y)
                for weight, one in zip(self.weights, self.distributions, strict=True)
            ]
        return logsumexp(logs, axis=0)

    def sample(self, n_samples, random_state=None):
        """Draw all targets together, from a part at random: as in `Distribution`."""
        rng = as_generator(random_state)
        level = rng.random((n_samples, self.shape[0], 1))
        which = np.searchsorted(np.cumsum(self.weights)[:-1], level, side="right")
        drawn = np.empty((n_samples, *self.shape))
        for j, one in enumerate(self.distributions):
            np.copyto(drawn, one.sample(n_samples, rng), where=which == j)
        return drawn

    def bracket(self):
        """Outermost ends of the parts, (n, n_targets) each."""
        used = [one for one, weight in zip(self.distributions, self.weights, strict=True) if weight]
        lows, highs = zip(*(one.bracket() for one in used), strict=True)
        return np.min(lows, axis=0), np.max(highs, axis=0)

    def rescaled(self, offset, scale):
        """The distributions of offset + scale * y: as in `Distribution`."""
        return self._of([one.rescaled(offset, scale) for one in self.distributions])

    def mean(self):
        """Mean of each target, (n, n_targets)."""
        return self._mix(one.mean() for one in self.distributions)

    def std(self):
        """Standard deviation of each target, (n, n_targets)."""
        mean = self.mean()
        return np.sqrt(
            self._mix(one.std() ** 2 + (one.mean() - mean) ** 2 for one in self.distributions)
        )


def _check_weights(weights, n):
    weights = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
    if weights.shape != (n,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"weights={weights!r}; expected {n} finite numbers, not negative.")
    if not weights.sum() > 0:
        raise ValueError("weights are all 0; expected a positive sum.")
    return weights / weights.sum()


def pool(distributions, weights=None):
    """The linear pool of several distributions, in closed form where there is one.

    Mixtures of Gaussians become one mixture; single targets over the same edges one CDF.

    Parameters
    ----------
    distributions : list of Distribution
        Of one shape.
    weights : array-like of shape (n_distributions,), optional

    Returns
    -------
    distribution : Distribution
        A `PooledDistribution` where there is no closed form.

    Raises
    ------
    ValueError
        As of `PooledDistribution`.

    Examples
    --------
    >>> from skastro.distributions import PiecewiseDistribution, pool
    >>> parts = [PiecewiseDistribution([0.0, 1.0, 2.0], [[[0, f, 1]]]) for f in (0.2, 0.6)]
    >>> pool(parts).masses
    array([[[0.4, 0.6]]])
    """
    pooled = PooledDistribution(distributions, weights)
    parts, weights = pooled.distributions, pooled.weights
    if all(isinstance(one, GaussianMixtureDistribution) for one in parts):
        return GaussianMixtureDistribution._of_factors(
            np.concatenate(
                [w * one.weights for w, one in zip(weights, parts, strict=True)], axis=1
            ),
            np.concatenate([one.means for one in parts], axis=1),
            np.concatenate([one._factors for one in parts], axis=1),
        )
    if pooled.shape[1] == 1 and all(
        isinstance(one, PiecewiseDistribution) and np.array_equal(one.edges, parts[0].edges)
        for one in parts
    ):
        return PiecewiseDistribution._of(parts[0].edges, pooled._mix(one._cdf for one in parts))
    return pooled
