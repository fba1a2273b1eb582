"""Mixtures of Gaussians, in closed form."""

import math

import numpy as np
from scipy.special import logsumexp, ndtr

from skastro.distributions.base import Distribution
from skastro.distributions.rows import as_generator, as_rows, check_rescaling, check_values

__all__ = ["GaussianMixtureDistribution"]

# Standard deviations from a mean, beyond which float64 has nothing of a Gaussian's mass left to tell.
REACH = 8.5
ROOT_2_PI = math.sqrt(2 * math.pi)


def _absolute_mean(mean, std):
    """Mean of the absolute value of a Gaussian."""
    t = mean / std
    return mean * (2 * ndtr(t) - 1) + 2 * std * np.exp(-0.5 * t * t) / ROOT_2_PI


class GaussianMixtureDistribution(Distribution):
    r"""A mixture of Gaussians with full covariances for each row; one component is the Gaussian.

    .. math:: p(y) = \sum_k w_k\, \mathcal N(y;\, \mu_k,\, \Sigma_k)

    Parameters
    ----------
    weights : array-like of shape (n, n_mixtures)
        Not negative; divided by their sum.
    means : array-like of shape (n, n_mixtures, n_targets)
        In the units of the targets.
    covariances : array-like of shape (n, n_mixtures, n_targets, n_targets)

    Attributes
    ----------
    shape : tuple (n, n_targets)

    Raises
    ------
    ValueError
        Shapes that don't agree, numbers that are not finite, weights that are negative or all 0, a
        covariance that is not positive definite.

    References
    ----------
    .. [1] Grimit, Gneiting, Berrocal & Johnson, "The continuous ranked probability score for circular
       variables and its application to mesoscale forecast ensemble verification", QJRMS 132, 2925 (2006):
       the CRPS of a mixture of Gaussians.

    Examples
    --------
    >>> from skastro.distributions import GaussianMixtureDistribution
    >>> one = GaussianMixtureDistribution([[0.5, 0.5]], [[[-1.0], [1.0]]], [[[[0.25]], [[0.25]]]])
    >>> one.mean().item(), round(one.std().item(), 4)
    (0.0, 1.118)
    >>> one.interval(0.9)[1].round(3)
    array([[1.641]])
    """

    def __init__(self, weights, means, covariances):
        weights, means, covariances = (
            np.asarray(x, dtype=float) for x in (weights, means, covariances)
        )
        if means.ndim != 3 or 0 in means.shape:
            raise ValueError(
                f"means has shape {means.shape}; expected (n, n_mixtures, n_targets), none of them 0."
            )
        for name, value, expected in (
            ("weights", weights, means.shape[:2]),
            ("covariances", covariances, means.shape + means.shape[-1:]),
        ):
            if value.shape != expected:
                raise ValueError(
                    f"{name} has shape {value.shape}; expected {expected}, as of means."
                )
        for name, value in (("weights", weights), ("means", means), ("covariances", covariances)):
            if not np.isfinite(value).all():
                raise ValueError(f"{name} has NaN or infinity; expected finite numbers.")
        total = weights.sum(1, keepdims=True)
        if (weights < 0).any() or not (total > 0).all():
            raise ValueError("weights has a negative entry or a row of 0; expected a positive sum.")
        try:
            factors = np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:
            raise ValueError("covariances has a matrix that is not positive definite.") from None
        self._set(weights / total, means, factors)

    def _set(self, weights, means, factors):
        self.weights, self.means, self._factors = weights, means, factors
        self._stds = np.sqrt(np.square(factors).sum(-1))

    @classmethod
    def _of_factors(cls, weights, means, factors):
        new = cls.__new__(cls)
        new._set(weights, means, factors)
        return new

    @classmethod
    def from_torch(cls, mixtures):
        """Of the mixtures that a network gives.

        Parameters
        ----------
        mixtures : skastro.density.GaussianMixtures

        Returns
        -------
        distribution : GaussianMixtureDistribution
        """
        logits, means, lower = (
            x.detach().double().cpu().numpy()
            for x in (mixtures.logits, mixtures.means, mixtures.precision_cholesky)
        )
        inverse = np.linalg.inv(lower)
        weights = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
        return cls(weights, means, np.swapaxes(inverse, -1, -2) @ inverse)

    @property
    def shape(self):
        """Rows and targets."""
        return self.means.shape[0], self.means.shape[2]

    @property
    def covariances(self):
        """Covariance of each component, (n, n_mixtures, n_targets, n_targets)."""
        return self._factors @ np.swapaxes(self._factors, -1, -2)

    def __getitem__(self, rows):
        rows = as_rows(rows)
        return self._of_factors(self.weights[rows], self.means[rows], self._factors[rows])

    def _mix(self, y, function):
        """Weighted sum over the components of a function of the standardised y."""
        y = check_values(y, self.shape)
        total = 0.0
        for k in range(self.weights.shape[1]):
            t = (y - self.means[:, k]) / self._stds[:, k]
            total = total + self.weights[:, k, None] * function(t, self._stds[:, k])
        return total

    def cdf(self, y):
        """Probability of less than y, for each target alone: as in `Distribution`."""
        return self._mix(y, lambda t, std: ndtr(t))

    def pdf(self, y):
        """Density at y, for each target alone: as in `Distribution`."""
        return self._mix(y, lambda t, std: np.exp(-0.5 * t * t) / (ROOT_2_PI * std))

    def log_prob(self, y):
        """Logarithm of the joint density: as in `Distribution`."""
        y = check_values(y, self.shape)
        n_targets = self.shape[1]
        inverse = np.linalg.inv(self._factors)
        scaled = np.einsum("nkij,...nkj->...nki", inverse, y[..., None, :] - self.means)
        diagonal = np.diagonal(self._factors, axis1=-2, axis2=-1)
        with np.errstate(divide="ignore"):
            log = np.log(self.weights) - np.log(diagonal).sum(-1)
        log = log - 0.5 * np.square(scaled).sum(-1)
        return logsumexp(log, axis=-1) - 0.5 * n_targets * math.log(2 * math.pi)

    def sample(self, n_samples, random_state=None):
        """Draw all targets together: as in `Distribution`."""
        rng = as_generator(random_state)
        n, n_targets = self.shape
        below = np.cumsum(self.weights, axis=1)[:, :-1]
        which = (rng.random((n_samples, n, 1)) > below).sum(-1)
        rows = np.arange(n)
        white = rng.standard_normal((n_samples, n, n_targets, 1))
        return self.means[rows, which] + (self._factors[rows, which] @ white)[..., 0]

    def bracket(self):
        """Ends that are 8.5 standard deviations from the outermost means, (n, n_targets) each."""
        used = self.weights[..., None] > 0
        low = np.where(used, self.means - REACH * self._stds, np.inf).min(1)
        return low, np.where(used, self.means + REACH * self._stds, -np.inf).max(1)

    def rescaled(self, offset, scale):
        """The distributions of offset + scale * y: as in `Distribution`."""
        offset, scale = check_rescaling(offset, scale, self.shape[1])
        return self._of_factors(
            self.weights, offset + scale * self.means, scale[:, None] * self._factors
        )

    def mean(self):
        """Mean of each target, (n, n_targets)."""
        return (self.weights[..., None] * self.means).sum(1)

    def covariance(self):
        """Covariance of the targets, (n, n_targets, n_targets)."""
        apart = self.means - self.mean()[:, None]
        parts = self.covariances + apart[..., :, None] * apart[..., None, :]
        return (self.weights[..., None, None] * parts).sum(1)

    def std(self):
        """Standard deviation of each target, (n, n_targets)."""
        apart = self.means - self.mean()[:, None]
        return np.sqrt((self.weights[..., None] * (self._stds**2 + apart**2)).sum(1))

    def mode(self):
        """Most probable value of each target alone, (n, n_targets)."""
        return self.means[:, 0].copy() if self.weights.shape[1] == 1 else super().mode()

    def median(self):
        """Median of each target, (n, n_targets)."""
        return self.means[:, 0].copy() if self.weights.shape[1] == 1 else super().median()

    def _pairs(self, function):
        """Weighted sum over pairs of components of a function of their distance and joint spread."""
        total = 0.0
        for i in range(self.weights.shape[1]):
            for j in range(i + 1):
                weight = self.weights[:, i] * self.weights[:, j] * (1 if i == j else 2)
                spread = np.hypot(self._stds[:, i], self._stds[:, j])
                total = total + weight[:, None] * function(
                    self.means[:, i] - self.means[:, j], spread
                )
        return total

    def crps(self, y):
        """Continuous ranked probability score of each target, exact: as in `Distribution`."""
        to_truth = self._mix(y, lambda t, std: _absolute_mean(std * t, std))
        return to_truth - 0.5 * self._pairs(_absolute_mean)

    def squared_integral(self):
        """Integral of the squared density of each target alone, exact, (n, n_targets)."""
        return self._pairs(lambda gap, std: np.exp(-0.5 * (gap / std) ** 2) / (ROOT_2_PI * std))

    def hpd(self, y):
        """Probability of the densities above that at y; exact for one component: as in `Distribution`."""
        if self.weights.shape[1] > 1:
            return super().hpd(y)
        return self._mix(y, lambda t, std: 2 * ndtr(np.abs(t)) - 1)
