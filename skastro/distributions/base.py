"""What every predicted distribution can be asked."""

from abc import ABC, abstractmethod

import numpy as np

__all__ = ["Distribution"]

# Halvings of a bracket: below the spacing of float64 numbers in it.
HALVINGS = 60
# Levels at which a mean over a distribution is taken where there is no closed form.
LEVELS = (np.arange(400) + 0.5) / 400


class Distribution(ABC):
    """Distributions over `n_targets` real numbers, one a row.

    `cdf`, `pdf` and `quantile` are those of each target alone; `log_prob` and `sample` are of all targets
    together. A child class writes `shape`, `cdf`, `pdf`, `log_prob`, `sample`, `bracket`, `rescaled` and
    `__getitem__`, and whatever else it knows a closed form for.

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
        """The distributions of some rows: a slice or an array of indices."""

    @abstractmethod
    def cdf(self, y):
        """Probability of less than y, for each target alone.

        Parameters
        ----------
        y : ndarray of shape (..., n, n_targets)
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
        y : ndarray of shape (..., n, n_targets)

        Returns
        -------
        pdf : ndarray of shape (..., n, n_targets)
        """

    @abstractmethod
    def log_prob(self, y):
        """Logarithm of the joint density.

        Parameters
        ----------
        y : ndarray of shape (..., n, n_targets)

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
        q = np.asarray(q, dtype=float)[..., None, None]
        low, high = (np.broadcast_to(end, q.shape[:-2] + self.shape) for end in self.bracket())
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < q
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

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

    def mean(self):
        """Mean of each target, (n, n_targets)."""
        return self.quantile(LEVELS).mean(0)

    def std(self):
        """Standard deviation of each target, (n, n_targets)."""
        return self.quantile(LEVELS).std(0)

    def median(self):
        """Median of each target, (n, n_targets)."""
        return self.quantile(0.5)

    def mode(self):
        """Most probable value of each target alone, (n, n_targets)."""
        grid = np.linspace(*self.bracket(), 513)
        best = self.pdf(grid).argmax(0)
        return np.take_along_axis(grid, best[None], 0)[0]
