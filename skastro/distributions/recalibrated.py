"""Distributions whose levels are mapped to those that hold on held-out rows."""

import numpy as np

from skastro.distributions.base import Distribution
from skastro.distributions.level_maps import check_map
from skastro.distributions.piecewise import PiecewiseDistribution
from skastro.distributions.rows import as_generator, check_levels, check_values

__all__ = ["RecalibratedDistribution"]


class RecalibratedDistribution(Distribution):
    r"""Distributions whose CDFs go through an increasing map of each target [1]_.

    .. math:: F'_t = g_t(F_t), \qquad p'(y) = p(y) \prod_t g'_t(F_t(y_t))

    The joint density is that of the base times the corrections of all targets. For one target this is exact.
    For several, `sample` maps each target's level on its own and so keeps the copula of the base; the product
    agrees with it where the targets are independent, and is an approximation elsewhere.

    Parameters
    ----------
    base : Distribution
    maps : list of LevelMap
        One for each target, as `isotonic_map` and `conformal_map` make them; or pairs of knots (x, y).

    Attributes
    ----------
    shape : tuple (n, n_targets)

    Raises
    ------
    ValueError
        Another number of maps than targets, knots that don't increase from 0 to 1.

    References
    ----------
    .. [1] Kuleshov, Fenner & Ermon, "Accurate uncertainties for deep learning using calibrated regression",
       ICML (2018).

    Examples
    --------
    >>> from skastro.distributions import LevelMap, PiecewiseDistribution, RecalibratedDistribution
    >>> base = PiecewiseDistribution([0.0, 1.0], [[[0, 1]]])
    >>> RecalibratedDistribution(base, [LevelMap([0, 0.5, 1], [0, 0.8, 1])]).median()
    array([[0.3125]])
    """

    def __init__(self, base, maps):
        self.base, self.maps = base, [check_map(one) for one in maps]
        if len(self.maps) != base.shape[1]:
            raise ValueError(
                f"maps has {len(self.maps)}; expected {base.shape[1]}, one for each target."
            )

    def _each(self, name, levels):
        """A method of every target's map."""
        parts = [getattr(one, name)(levels[..., t]) for t, one in enumerate(self.maps)]
        return np.stack(parts, axis=-1)

    @property
    def shape(self):
        """Rows and targets."""
        return self.base.shape

    def __getitem__(self, rows):
        return RecalibratedDistribution(self.base[rows], self.maps)

    def cdf(self, y):
        """Probability of less than y, for each target alone: as in `Distribution`."""
        return self._each("__call__", self.base.cdf(y))

    def pdf(self, y):
        """Density at y, for each target alone: as in `Distribution`."""
        return self._each("slope", self.base.cdf(y)) * self.base.pdf(y)

    def log_prob(self, y):
        """Logarithm of the joint density, corrected target by target: as in `Distribution`."""
        slopes = self._each("slope", self.base.cdf(y))
        return self.base.log_prob(y) + np.log(slopes).sum(-1)

    def inverse_cdf(self, levels):
        """Values at levels of their own: as in `Distribution`."""
        levels = check_values(check_levels(levels, "levels"), self.shape, "levels")
        levels = np.broadcast_to(levels, np.broadcast_shapes(levels.shape, self.shape))
        return self.base.inverse_cdf(self._each("inverse", levels))

    def sample(self, n_samples, random_state=None):
        """Draw all targets together, each at its mapped level: as in `Distribution`."""
        drawn = self.base.sample(n_samples, as_generator(random_state))
        return self.inverse_cdf(self.base.cdf(drawn))

    def bracket(self):
        """Ends of the base, (n, n_targets) each."""
        return self.base.bracket()

    def rescaled(self, offset, scale):
        """The distributions of offset + scale * y: as in `Distribution`."""
        return RecalibratedDistribution(self.base.rescaled(offset, scale), self.maps)

    def tabulated(self, n_points=513):
        """The table of the base and the knots of the maps; exact where the base is piecewise linear."""
        table = self.base.tabulated(n_points)
        knots = np.unique(np.concatenate([one.x for one in self.maps]))
        shape = table._cdf.shape[:2] + knots.shape
        edges = np.broadcast_to(table.edges, table._cdf.shape)
        edges = np.concatenate([edges, np.moveaxis(table.quantile(knots), 0, -1)], axis=-1)
        levels = np.concatenate([table._cdf, np.broadcast_to(knots, shape)], axis=-1)
        order = np.lexsort((levels, edges), axis=-1)
        edges, levels = (np.take_along_axis(part, order, -1) for part in (edges, levels))
        levels = np.moveaxis(self._each("__call__", np.moveaxis(levels, -1, 0)), 0, -1)
        return PiecewiseDistribution(edges, np.maximum.accumulate(levels, axis=-1))

    def squared_integral(self):
        """Integral of the squared density of each target alone, (n, n_targets)."""
        if isinstance(self.base, PiecewiseDistribution):
            return self.tabulated(2).squared_integral()
        return super().squared_integral()

    def hpd(self, y):
        """Probability of the densities above that at y, for each target alone: as in `Distribution`."""
        if isinstance(self.base, PiecewiseDistribution):
            return self.tabulated(2).hpd(y)
        return super().hpd(y)
