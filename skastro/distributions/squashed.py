"""Distributions between two ends, by a map of unbounded ones."""

import math

import numpy as np
from scipy.special import expit, ndtr, ndtri

from skastro.distributions.base import Distribution
from skastro.distributions.rows import as_generator, check_rescaling, check_values

__all__ = ["SquashedDistribution"]


class SquashedDistribution(Distribution):
    r"""Distributions of targets between ends a and b.

    .. math:: y = a + (b - a)\, s(z)

    with z distributed as in the base; s is the logistic function, for a Gaussian base the logit-normal [1]_,
    or the CDF of the normal distribution, with which a standard normal base becomes uniform. `mean`, `std`
    and scores are those of a table of the CDF.

    Parameters
    ----------
    base : Distribution
        Of z, without bounds.
    low, high : float or array-like of shape (n_targets,)
        a and b, in the units of the targets.
    link : {"logistic", "normal"}, default="logistic"
        s.

    Attributes
    ----------
    shape : tuple (n, n_targets)

    Raises
    ------
    ValueError
        Ends that are not finite, low not below high, or another link.

    References
    ----------
    .. [1] Atchison & Shen, "Logistic-normal distributions: some properties and uses", Biometrika 67, 261
       (1980).

    Examples
    --------
    >>> from skastro.distributions import GaussianMixtureDistribution, SquashedDistribution
    >>> base = GaussianMixtureDistribution([[1.0]], [[[0.0]]], [[[[1.0]]]])
    >>> one = SquashedDistribution(base, low=0.0, high=2.0)
    >>> one.median().item(), round(one.quantile(0.99).item(), 3), one.cdf([[2.5]]).item()
    (1.0, 1.822, 1.0)
    """

    def __init__(self, base, low, high, link="logistic"):
        ends = []
        for name, end in (("low", low), ("high", high)):
            value = np.asarray(end, dtype=float)
            if value.shape not in ((), (1,), base.shape[1:]) or not np.isfinite(value).all():
                raise ValueError(f"{name}={end!r}; expected {base.shape[1]} finite numbers.")
            ends.append(np.broadcast_to(value, base.shape[1:]))
        if not (ends[0] < ends[1]).all():
            raise ValueError(f"low={low!r}, high={high!r}; expected low below high.")
        if link not in ("logistic", "normal"):
            raise ValueError(f"link={link!r}; expected 'logistic' or 'normal'.")
        self.base, (self.low, self.high), self.link = base, ends, link

    def _unsquashed(self, y):
        """z, and the logarithm of dz/dy; both of the ends beyond them."""
        y = check_values(y, self.shape)
        inside = np.clip(y, self.low, self.high)
        below, above = inside - self.low, self.high - inside
        if self.link == "normal":
            # from the nearer end, for the digits of a small part
            part = np.minimum(below, above) / (self.high - self.low)
            z = np.where(below <= above, 1.0, -1.0) * ndtri(part)
            return z, 0.5 * np.log(2 * math.pi) + 0.5 * z * z - np.log(self.high - self.low)
        with np.errstate(divide="ignore"):
            log_below, log_above = np.log(below), np.log(above)
        return log_below - log_above, np.log(self.high - self.low) - log_below - log_above

    def _outside(self, y):
        y = check_values(y, self.shape)
        return (y <= self.low) | (y >= self.high)

    def _squashed(self, z):
        part = ndtr(z) if self.link == "normal" else expit(z)
        return self.low + (self.high - self.low) * part

    @property
    def shape(self):
        """Rows and targets."""
        return self.base.shape

    def __getitem__(self, rows):
        return SquashedDistribution(self.base[rows], self.low, self.high, self.link)

    def cdf(self, y):
        """Probability of less than y, for each target alone: as in `Distribution`."""
        return self.base.cdf(self._unsquashed(y)[0])

    def pdf(self, y):
        """Density at y, 0 at the ends and beyond, for each target alone: as in `Distribution`."""
        z, log_slope = self._unsquashed(y)
        outside = self._outside(y)
        z, log_slope = np.where(outside, 0, z), np.where(outside, 0, log_slope)
        return np.where(outside, 0, self.base.pdf(z) * np.exp(log_slope))

    def log_prob(self, y):
        """Logarithm of the joint density: as in `Distribution`."""
        z, log_slope = self._unsquashed(y)
        outside = self._outside(y)
        z, log_slope = np.where(outside, 0, z), np.where(outside, 0, log_slope)
        found = self.base.log_prob(z) + np.broadcast_to(
            log_slope, np.broadcast_shapes(log_slope.shape, self.shape)
        ).sum(-1)
        return np.where(np.broadcast_to(outside.any(-1), found.shape), -np.inf, found)

    def inverse_cdf(self, levels):
        """Values at levels of their own: as in `Distribution`."""
        return self._squashed(self.base.inverse_cdf(levels))

    def sample(self, n_samples, random_state=None):
        """Draw all targets together: as in `Distribution`."""
        return self._squashed(self.base.sample(n_samples, as_generator(random_state)))

    def bracket(self):
        """Where the ends of the base are, (n, n_targets) each."""
        return tuple(self._squashed(end) for end in self.base.bracket())

    def rescaled(self, offset, scale):
        """The distributions of offset + scale * y: as in `Distribution`."""
        offset, scale = check_rescaling(offset, scale, self.shape[1])
        return SquashedDistribution(
            self.base, offset + scale * self.low, offset + scale * self.high, self.link
        )
