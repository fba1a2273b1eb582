"""A few directions in which statistics vary, and a prior in them that can be cut to a box."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

__all__ = ["BoxedPrior", "ReducedSpace"]

# scatter that every direction has at least, in standard deviations of a coefficient
LEAST = 1.0
# of how much of a posterior the box may lose on either side, and what it is made wider by
TAIL, MARGIN = 1e-3, 1.25


@dataclass
class ReducedSpace:
    """Principal components of statistics, in units of their scatter.

    Attributes
    ----------
    center, scale : ndarray of shape (n_coefficients,)
        Mean and standard deviation of the coefficients; 1 where they don't vary.
    axes : ndarray of shape (n_components, n_coefficients)
        Orthonormal, of the scaled coefficients.
    spread : ndarray of shape (n_components,)
        Standard deviation along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation.prior import ReducedSpace
    >>> values = np.random.default_rng(0).normal(size=(50, 4))
    >>> space = ReducedSpace.of(values, n_components=4)
    >>> bool(np.allclose(space.expand(space.reduce(values)), values))
    True
    """

    center: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, values, n_components, least=LEAST):
        """The space of a sample of statistics.

        Parameters
        ----------
        values : ndarray of shape (n, n_coefficients)
        n_components : int
            Fewer where there are fewer directions.
        least : float
            Added in quadrature to the scatter along each axis, in units of the coefficients' own.
        """
        center, scale = values.mean(0), values.std(0)
        scale = np.where(scale > 1e-6 * np.abs(center).max(), scale, 1.0)
        _, singular, axes = np.linalg.svd((values - center) / scale, full_matrices=False)
        k = min(n_components, len(values) - 1, values.shape[1])
        spread = np.sqrt(singular[:k] ** 2 / len(values) + least**2)
        return cls(center, scale, axes[:k], spread)

    def reduce(self, values):
        """Positions (n, n_components) of coefficients (n, n_coefficients)."""
        return (values - self.center) / self.scale @ self.axes.T / self.spread

    def expand(self, positions):
        """Coefficients (n, n_coefficients) at positions (n, n_components)."""
        return (positions * self.spread) @ self.axes * self.scale + self.center


@dataclass
class BoxedPrior:
    """Independent Gaussians of mean 0, cut to a box.

    Attributes
    ----------
    width : float
        Their standard deviation.
    low, high : ndarray of shape (n_components,)
        Sides of the box.

    References
    ----------
    .. [1] Deistler, Gonçalves & Macke, "Truncated proposals for scalable and hassle-free simulation-based
       inference", NeurIPS 35 (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation.prior import BoxedPrior
    >>> rng = np.random.default_rng(0)
    >>> prior = BoxedPrior.whole(2.0, n_components=3)
    >>> prior.draw(4, rng).shape
    (4, 3)
    >>> cut = prior.cut(rng.uniform(1, 2, size=(1000, 3)))
    >>> bool((cut.draw(100, rng) > 0.8).all())
    True
    """

    width: float
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def whole(cls, width, n_components):
        """The prior that nothing is cut off."""
        return cls(width, np.full(n_components, -np.inf), np.full(n_components, np.inf))

    def draw(self, n, rng):
        """Draw positions (n, n_components)."""
        low, high = ndtr(self.low / self.width), ndtr(self.high / self.width)
        share = rng.uniform(size=(n, len(low)))
        found = self.width * ndtri(low + share * (high - low))
        return np.clip(found, self.low, self.high)

    def holds(self, positions):
        """Whether each of the positions (n, n_components) is in the box."""
        return ((positions >= self.low) & (positions <= self.high)).all(1)

    def cut(self, posterior):
        """The prior where a posterior has mass, of which there are draws (n, n_components)."""
        low, high = np.quantile(posterior, [TAIL, 1 - TAIL], axis=0)
        middle, half = (low + high) / 2, MARGIN * (high - low) / 2
        # of a box far out in the tail there would be nothing left to draw
        edge = 6 * self.width
        low = np.clip(middle - half, np.maximum(self.low, -edge), edge)
        high = np.clip(middle + half, -edge, np.minimum(self.high, edge))
        thin = high <= low
        return BoxedPrior(
            self.width, np.where(thin, self.low, low), np.where(thin, self.high, high)
        )
