"""What every predicted distribution can be asked."""

from abc import ABC, abstractmethod

import numpy as np

from skastro.distributions.rows import check_levels, check_values, even_quantiles, mass_above

__all__ = ["Distribution"]

# Steps of a root search, at the most: each halves the bracket or the step, to below the spacing of float64.
STEPS = 180
# More levels a row than this are searched for from a table of so many points.
MANY, N_START = 16, 129
# Rounds in which the points of a table move to where the probability is.
PASSES = 4
# Values at a time where a function is tabulated: temporaries of some tens of MiB.
BLOCK = 2**20


class Distribution(ABC):
    """Distributions over `n_targets` real numbers, one a row.

    `cdf`, `pdf` and `quantile` are those of each target alone; `log_prob` and `sample` are of all targets
    together. A child class writes `shape`, `cdf`, `pdf`, `log_prob`, `sample`, `bracket`, `rescaled` and
    `__getitem__`, and whatever else it knows a closed form for: the rest is done here by a table of the CDF
    (`tabulated`), to better than 1e-3 of a standard deviation.

    Attributes
    ----------
    shape : tuple (n, n_targets)
    """

    @property
    @abstractmethod
    def shape(self):
        """Rows and targets."""

    @abstractmethod
    def __getitem__(self, rows):
        """The distributions of some rows: a slice, an index, or an array of indices or of bool."""

    @abstractmethod
    def cdf(self, y):
        """Probability of less than y, for each target alone.

        Parameters
        ----------
        y : array-like of shape (..., n, n_targets)
            Broadcast: (n_grid, 1, 1) is one grid for all rows and targets.

        Returns
        -------
        cdf : ndarray of shape (..., n, n_targets)
        """

    @abstractmethod
    def pdf(self, y):
        """Density at y, for each target alone.

        Parameters
        ----------
        y : array-like of shape (..., n, n_targets)

        Returns
        -------
        pdf : ndarray of shape (..., n, n_targets)
        """

    @abstractmethod
    def log_prob(self, y):
        """Logarithm of the joint density.

        Parameters
        ----------
        y : array-like of shape (..., n, n_targets)

        Returns
        -------
        log_prob : ndarray of shape (..., n)
        """

    @abstractmethod
    def sample(self, n_samples, random_state=None):
        """Draw all targets together.

        Parameters
        ----------
        n_samples : int
            For each row.
        random_state : int, RandomState, Generator or None, default=None

        Returns
        -------
        y : ndarray of shape (n_samples, n, n_targets)
        """

    @abstractmethod
    def bracket(self):
        """Ends between which all but a negligible part of each distribution lies.

        Returns
        -------
        low, high : ndarray of shape (n, n_targets)
        """

    @abstractmethod
    def rescaled(self, offset, scale):
        """The distributions of offset + scale * y.

        Parameters
        ----------
        offset, scale : array-like of shape (n_targets,)
            `scale` positive.

        Returns
        -------
        distribution : Distribution
        """

    def __len__(self):
        return self.shape[0]

    def quantile(self, q):
        """Values below which a part q lies, for each target alone.

        Parameters
        ----------
        q : float or array-like of shape (n_q,)
            Between 0 and 1.

        Returns
        -------
        y : ndarray of shape (n, n_targets) or (n_q, n, n_targets)
        """
        return self.inverse_cdf(check_levels(q)[..., None, None])

    def inverse_cdf(self, levels):
        """Values at levels of their own for each row and target.

        Parameters
        ----------
        levels : array-like of shape (..., n, n_targets)
            Between 0 and 1.

        Returns
        -------
        y : ndarray of shape (..., n, n_targets)
        """
        levels = check_values(check_levels(levels, "levels"), self.shape, "levels")
        shape = np.broadcast_shapes(levels.shape, self.shape)
        low, high = ends = [np.broadcast_to(end, shape) for end in self.bracket()]
        small = 1e-14 * (np.maximum(np.abs(low), np.abs(high)) + high - low)
        y, step, done = 0.5 * (low + high), high - low, False
        if levels.size > MANY * np.prod(self.shape):
            y = self.tabulated(N_START).inverse_cdf(levels)
        for _ in range(STEPS):
            excess = self.cdf(y) - levels
            low, high = np.where(excess < 0, y, low), np.where(excess < 0, high, y)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                new = y - excess / self.pdf(y)
            # Newton's step, where it stays between the ends and is at most half of the last
            fast = (new >= low) & (new <= high) & (np.abs(new - y) <= 0.5 * np.abs(step))
            new = np.where(fast, new, 0.5 * (low + high))
            step = new - y
            done |= (np.abs(excess) <= 1e-15 * levels) | (high - low <= small)
            done |= fast & (np.abs(step) <= small)
            if np.all(done):
                break
            y = np.where(done, y, new)
        return np.where(levels <= 0, ends[0], np.where(levels >= 1, ends[1], y))

    def interval(self, level=0.6827):
        """Central intervals.

        Parameters
        ----------
        level : float, default=0.6827
            Probability inside.

        Returns
        -------
        low, high : ndarray of shape (n, n_targets)
        """
        return tuple(self.quantile([0.5 - 0.5 * level, 0.5 + 0.5 * level]))

    def tabulated(self, n_points=513):
        """The same CDF, linear between points that are dense where the probability is.

        Half of the points divide the range evenly, the other half the probability.

        Parameters
        ----------
        n_points : int, default=513
            At least 16.

        Returns
        -------
        distribution : PiecewiseDistribution
            The targets are independent in it.
        """
        from skastro.distributions.piecewise import PiecewiseDistribution

        n, n_targets = self.shape
        edges, cdf = np.empty((2, n, n_targets, n_points))
        rows = max(1, BLOCK // (n_points * n_targets))
        for start in range(0, n, rows):
            block = slice(start, start + rows)
            part = self[block]
            low, high = (end[..., None] for end in part.bracket())
            x, f = np.concatenate([low, high], axis=-1), np.tile([0.0, 1.0], (*low.shape[:-1], 1))
            # a narrow peak in a wide range is found in steps
            for size in (*[n_points // 4] * PASSES, n_points):
                even = low + (high - low) * np.linspace(0, 1, size // 2)
                dense = even_quantiles(x, f, size - size // 2 + 1)
                x = np.sort(np.concatenate([even, dense], axis=-1), axis=-1)
                f = np.moveaxis(part.cdf(np.moveaxis(x, -1, 0)), 0, -1)
                f = np.maximum.accumulate(np.clip(f, 0, 1), axis=-1)
                f[..., 0], f[..., -1] = 0, 1
            edges[block], cdf[block] = x, f
        return PiecewiseDistribution(edges, cdf)

    def mean(self):
        """Mean of each target, (n, n_targets)."""
        return self.tabulated().mean()

    def std(self):
        """Standard deviation of each target, (n, n_targets)."""
        return self.tabulated().std()

    def median(self):
        """Median of each target, (n, n_targets)."""
        return self.quantile(0.5)

    def mode(self):
        """Most probable value of each target alone, (n, n_targets)."""
        grid = np.moveaxis(self.tabulated().edges, -1, 0)
        for _ in range(2):
            best = self.pdf(grid).argmax(0)
            ends = [
                np.take_along_axis(grid, np.clip(best + side, 0, len(grid) - 1)[None], 0)[0]
                for side in (-1, 1)
            ]
            grid = np.linspace(*ends, 33)
        return np.take_along_axis(grid, self.pdf(grid).argmax(0)[None], 0)[0]

    def crps(self, y):
        """Continuous ranked probability score of each target, in its units; smaller is better.

        Parameters
        ----------
        y : array-like of shape (..., n, n_targets)
            Truth.

        Returns
        -------
        crps : ndarray of shape (..., n, n_targets)
        """
        return self.tabulated().crps(y)

    def squared_integral(self):
        """Integral of the squared density of each target alone, (n, n_targets)."""
        _, width, density = self._cells()
        return (width * density**2).sum(-1)

    def hpd(self, y):
        """Probability of the densities above that at y, for each target alone.

        Parameters
        ----------
        y : array-like of shape (..., n, n_targets)

        Returns
        -------
        hpd : ndarray of shape (..., n, n_targets)
        """
        _, width, density = self._cells()
        mass = width * density
        mass /= mass.sum(-1, keepdims=True)
        return mass_above(density, mass, self.pdf(check_values(y, self.shape)))

    def _cells(self):
        """Middles, widths and densities of the cells of a table, (n, n_targets, n_cells)."""
        edges = self.tabulated().edges
        middle, width = 0.5 * (edges[..., 1:] + edges[..., :-1]), np.diff(edges)
        return middle, width, np.moveaxis(self.pdf(np.moveaxis(middle, -1, 0)), 0, -1)
