"""Distributions known by draws from them, of equal or of other weights."""

import math

import numpy as np
from scipy.special import logsumexp

from skastro.distributions.base import Distribution
from skastro.distributions.piecewise import PiecewiseDistribution
from skastro.distributions.rows import (
    as_generator,
    as_rows,
    check_rescaling,
    check_values,
    gather,
    row_search,
)

__all__ = ["SampleDistribution"]

# Of the spread of the draws: least bandwidth, for draws that are all the same.
LEAST = 1e-9


class SampleDistribution(Distribution):
    r"""Distributions known by draws, with weights or without.

    The CDF of a target is linear between its sorted draws, each half below and half above its value; it ends
    half a gap beyond the outermost. `pdf` is the slope of that CDF over :math:`y \pm \sqrt 3\, h`, with
    :math:`h = 0.9 \min(\sigma, \mathrm{IQR} / 1.34)\, n_e^{-1/5}` [1]_. `log_prob` is approximate: a Gaussian
    kernel density of all targets, with the covariance of the draws times
    :math:`[n_e (d + 2) / 4]^{-2 / (d + 4)}` for d targets. :math:`n_e = 1 / \sum_i w_i^2` is the effective
    number of draws. `mean`, `std` and `crps` are those of the draws as they are.

    Parameters
    ----------
    values : array-like of shape (m, n, n_targets)
        Draws, at least two, in the units of the targets.
    weights : array-like of shape (m, n), optional
        Not negative; divided by their sum over the draws.

    Attributes
    ----------
    shape : tuple (n, n_targets)
    effective_size : ndarray of shape (n,)
        Effective number of draws.

    Raises
    ------
    ValueError
        Shapes that don't agree, numbers that are not finite, weights that are negative or all 0.

    References
    ----------
    .. [1] Silverman, "Density estimation for statistics and data analysis", Chapman & Hall (1986),
       sections 3.4 and 4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.distributions import SampleDistribution
    >>> one = SampleDistribution(np.random.default_rng(0).normal(size=(2000, 1, 1)))
    >>> one.quantile([0.16, 0.84]).ravel().round(1)
    array([-1.,  1.])
    >>> one.effective_size
    array([2000.])
    """

    def __init__(self, values, weights=None):
        values = np.asarray(values, dtype=float)
        if values.ndim != 3 or 0 in values.shape or len(values) < 2:
            raise ValueError(
                f"values has shape {values.shape}; expected (m, n, n_targets), m at least 2."
            )
        if not np.isfinite(values).all():
            raise ValueError("values has NaN or infinity; expected finite numbers.")
        if weights is not None:
            weights = np.asarray(weights, dtype=float)
            if weights.shape != values.shape[:2]:
                raise ValueError(
                    f"weights has shape {weights.shape}; expected {values.shape[:2]}, as of values."
                )
            if not np.isfinite(weights).all() or (weights < 0).any():
                raise ValueError(
                    "weights has NaN, infinity or a negative number; expected 0 or more."
                )
            total = weights.sum(0)
            if not (total > 0).all():
                raise ValueError("weights has a row of 0; expected a positive sum.")
            weights = weights / total
        self._set(values, weights)

    def _set(self, values, weights):
        self.values, self.weights, self._known = values, weights, None

    @classmethod
    def _of(cls, values, weights):
        new = cls.__new__(cls)
        new._set(values, weights)
        return new

    def __getstate__(self):
        return self.__dict__ | {"_known": None}

    @property
    def shape(self):
        """Rows and targets."""
        return self.values.shape[1:]

    @property
    def effective_size(self):
        """Effective number of draws of each row, (n,)."""
        if self.weights is None:
            return np.full(self.shape[0], float(len(self.values)))
        return 1 / np.square(self.weights).sum(0)

    def __getitem__(self, rows):
        rows = as_rows(rows)
        weights = None if self.weights is None else self.weights[:, rows]
        return self._of(self.values[:, rows], weights)

    def _sorted(self):
        """Sorted draws and the probability up to and with each, (n, n_targets, m)."""
        values = np.moveaxis(self.values, 0, -1)
        m = len(self.values)
        if self.weights is None:
            return np.sort(values, axis=-1), np.broadcast_to(np.arange(1, m + 1) / m, values.shape)
        order = np.argsort(values, axis=-1)
        weights = np.broadcast_to(self.weights.T[:, None], values.shape)
        up_to = np.cumsum(np.take_along_axis(weights, order, -1), axis=-1)
        return np.take_along_axis(values, order, -1), up_to / up_to[..., -1:]

    @property
    def _marginal(self):
        if self._known is None:
            x, up_to = self._sorted()
            before = np.concatenate([np.zeros_like(up_to[..., :1]), up_to[..., :-1]], axis=-1)
            ends = x[..., :1] - 0.5 * (x[..., 1:2] - x[..., :1])
            last = x[..., -1:] + 0.5 * (x[..., -1:] - x[..., -2:-1])
            zero = np.zeros_like(ends)
            self._known = PiecewiseDistribution._of(
                np.concatenate([ends, x, last], axis=-1),
                np.concatenate([zero, 0.5 * (before + up_to), zero + 1], axis=-1),
            )
        return self._known

    def _half_width(self):
        """Half of the window over which the slope of the CDF is the density, (n, n_targets)."""
        low, high = self._marginal.quantile([0.25, 0.75])
        std = self.std()
        spread = np.where(high > low, np.minimum(std, (high - low) / 1.34), std)
        h = math.sqrt(3) * 0.9 * spread * self.effective_size[:, None] ** -0.2
        return np.maximum(h, LEAST * np.maximum(np.abs(self.values).max(0), LEAST))

    def cdf(self, y):
        """Probability of less than y, for each target alone: as in `Distribution`."""
        return self._marginal.cdf(y)

    def pdf(self, y):
        """Density at y, for each target alone: as in `Distribution`."""
        y, h = check_values(y, self.shape), self._half_width()
        return (self._marginal.cdf(y + h) - self._marginal.cdf(y - h)) / (2 * h)

    def inverse_cdf(self, levels):
        """Values at levels of their own: as in `Distribution`."""
        return self._marginal.inverse_cdf(levels)

    def log_prob(self, y):
        """Logarithm of the joint density, by Gaussian kernels: as in `Distribution`, approximate."""
        y = check_values(y, self.shape)
        y = np.broadcast_to(y, np.broadcast_shapes(y.shape, self.shape))
        m, n, d = self.values.shape
        size = self.effective_size
        apart = self.values - self.mean()
        weights = np.full((m, n), 1 / m) if self.weights is None else self.weights
        covariance = np.einsum("mn,mni,mnj->nij", weights, apart, apart)
        scale = np.diagonal(covariance, axis1=1, axis2=2)
        # draws that lie on a line, or all at one place
        least = (
            1e-8 * scale.mean(1) + (LEAST * np.maximum(np.abs(self.values).max((0, 2)), LEAST)) ** 2
        )
        covariance = covariance + least[:, None, None] * np.eye(d)
        factor = np.linalg.cholesky(covariance) * (size * (d + 2) / 4)[:, None, None] ** (
            -1 / (d + 4)
        )
        inverse = np.linalg.inv(factor)
        norm = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(1) + 0.5 * d * math.log(
            2 * math.pi
        )
        draws = np.einsum("nij,mnj->mni", inverse, apart)
        at = np.einsum("nij,...nj->...ni", inverse, y - self.mean())
        found = np.empty(y.shape[:-1])
        for i in np.ndindex(y.shape[:-2]):
            squares = np.square(draws - at[i]).sum(-1)
            found[i] = logsumexp(-0.5 * squares, axis=0, b=weights) - norm
        return found

    def sample(self, n_samples, random_state=None):
        """Draw from the draws, all targets of one together: as in `Distribution`."""
        rng = as_generator(random_state)
        m, n, _ = self.values.shape
        level = rng.random((n_samples, n))
        if self.weights is None:
            which = (level * m).astype(np.intp)
        else:
            up_to = np.cumsum(self.weights, axis=0).T
            up_to /= up_to[:, -1:]
            which = row_search(up_to, level, "right")
        return self.values[np.minimum(which, m - 1), np.arange(n)]

    def bracket(self):
        """Half a gap and the width of the kernel beyond the outermost draws, (n, n_targets) each."""
        (low, high), h = self._marginal.bracket(), self._half_width()
        return low - h, high + h

    def rescaled(self, offset, scale):
        """The distributions of offset + scale * y: as in `Distribution`."""
        offset, scale = check_rescaling(offset, scale, self.shape[1])
        return self._of(offset + scale * self.values, self.weights)

    def mean(self):
        """Mean of each target, (n, n_targets)."""
        if self.weights is None:
            return self.values.mean(0)
        return (self.weights[..., None] * self.values).sum(0)

    def std(self):
        """Standard deviation of each target, (n, n_targets)."""
        if self.weights is None:
            return self.values.std(0)
        return np.sqrt((self.weights[..., None] * (self.values - self.mean()) ** 2).sum(0))

    def crps(self, y):
        """Continuous ranked probability score of the step function of the draws, exact.

        The mean of abs(X - y) less half of that of abs(X - X') over draws X, X'.

        Parameters
        ----------
        y : array-like of shape (..., n, n_targets)

        Returns
        -------
        crps : ndarray of shape (..., n, n_targets)
        """
        y = check_values(y, self.shape)
        x, up_to = self._sorted()
        # about the mean, so that large numbers don't cancel
        mean = self.mean()
        x, y = x - mean[..., None], y - mean
        spread = (np.diff(x) * (up_to * (1 - up_to))[..., :-1]).sum(-1)
        zero = np.zeros_like(x[..., :1])
        up_to = np.concatenate([zero, up_to], axis=-1)
        moment = np.concatenate([zero, np.cumsum(x * np.diff(up_to), axis=-1)], axis=-1)
        index = row_search(x, y, "right")
        below, part = gather(up_to, index), gather(moment, index)
        return y * (2 * below - 1) + moment[..., -1] - 2 * part - spread
