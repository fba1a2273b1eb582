"""Distributions whose CDF is linear between edges: bins, quantiles and tables."""

import numpy as np

from skastro.distributions.base import Distribution
from skastro.distributions.rows import (
    as_generator,
    as_rows,
    check_levels,
    check_rescaling,
    check_values,
    gather,
    row_search,
)

__all__ = ["PiecewiseDistribution"]

# Tails of quantiles: halvings of the probability beyond, and how far from 0 and 1 a CDF may begin and end.
HALVINGS = 10
ROUNDING = 1e-5


def _check_edges(edges):
    edges = np.asarray(edges, dtype=float)
    if edges.ndim not in (1, 2, 3) or edges.shape[-1] < 2 or edges.size == 0:
        raise ValueError(
            f"edges has shape {edges.shape}; expected (b + 1,), (n_targets, b + 1) or (n, n_targets, b + 1), "
            "b at least 1."
        )
    if not np.isfinite(edges).all():
        raise ValueError("edges has NaN or infinity; expected finite numbers.")
    if (np.diff(edges) < 0).any() or (edges[..., -1] <= edges[..., 0]).any():
        raise ValueError("edges does not increase along its last axis; expected sorted edges.")
    return edges


class PiecewiseDistribution(Distribution):
    """Distributions whose CDF is linear between edges; the targets are independent.

    Bins may be empty. Repeated edges are a step of the CDF: a mass at one value.

    Parameters
    ----------
    edges : array-like of shape (b + 1,), (n_targets, b + 1) or (n, n_targets, b + 1)
        Sorted, in the units of the targets.
    cdf : array-like of shape (n, n_targets, b + 1)
        At the edges, from 0 to 1.

    Attributes
    ----------
    shape : tuple (n, n_targets)

    Raises
    ------
    ValueError
        Shapes that don't agree, numbers that are not finite, edges that are not sorted or all equal, a
        CDF that decreases or does not go from 0 to 1.

    References
    ----------
    .. [1] Matheson & Winkler, "Scoring rules for continuous probability distributions", Management
       Science 22, 1087 (1976): the CRPS, exact here.

    Examples
    --------
    >>> from skastro.distributions import PiecewiseDistribution
    >>> one = PiecewiseDistribution.from_masses([0.0, 1.0, 2.0, 4.0], [[[0.25, 0.5, 0.25]]])
    >>> one.mean().item(), one.median().item()
    (1.625, 1.5)
    >>> one.pdf([[[0.5]], [[3.0]]]).ravel().tolist()
    [0.25, 0.125]
    """

    def __init__(self, edges, cdf):
        edges, cdf = _check_edges(edges), np.asarray(cdf, dtype=float)
        if cdf.ndim != 3 or cdf.size == 0 or cdf.shape[-1] != edges.shape[-1]:
            raise ValueError(
                f"cdf has shape {cdf.shape}; expected (n, n_targets, {edges.shape[-1]}), as edges has."
            )
        if edges.shape[:-1] != cdf.shape[:2][3 - edges.ndim :]:
            raise ValueError(
                f"edges has shape {edges.shape}; expected one that agrees with cdf, {cdf.shape}."
            )
        if not (np.abs(cdf - np.clip(cdf, 0, 1)) <= ROUNDING).all():
            raise ValueError("cdf has NaN or numbers outside 0 to 1; expected probabilities.")
        if (np.diff(cdf) < 0).any():
            raise ValueError("cdf decreases along its last axis; expected sorted numbers.")
        ends = cdf[..., 0].max(), cdf[..., -1].min()
        if ends[0] > ROUNDING or ends[1] < 1 - ROUNDING:
            raise ValueError(f"cdf goes from {ends[0]:.4g} to {ends[1]:.4g}; expected from 0 to 1.")
        cdf = np.clip(cdf, 0, 1)
        cdf[..., 0], cdf[..., -1] = 0, 1
        self.edges, self._cdf = edges, cdf

    @classmethod
    def _of(cls, edges, cdf):
        new = cls.__new__(cls)
        new.edges, new._cdf = edges, cdf
        return new

    @classmethod
    def from_masses(cls, edges, masses):
        """Of the probability of each bin.

        Parameters
        ----------
        edges : array-like of shape (b + 1,), (n_targets, b + 1) or (n, n_targets, b + 1)
        masses : array-like of shape (n, n_targets, b)
            Not negative; divided by their sum.

        Returns
        -------
        distribution : PiecewiseDistribution
        """
        masses = np.asarray(masses, dtype=float)
        if masses.ndim != 3 or masses.size == 0:
            raise ValueError(f"masses has shape {masses.shape}; expected (n, n_targets, b).")
        if not np.isfinite(masses).all() or (masses < 0).any():
            raise ValueError("masses has NaN, infinity or a negative number; expected 0 or more.")
        cdf = np.zeros(masses.shape[:2] + (masses.shape[2] + 1,))
        np.cumsum(masses, axis=-1, out=cdf[..., 1:])
        if not (cdf[..., -1] > 0).all():
            raise ValueError("masses has a row of 0; expected a positive sum.")
        return cls(edges, cdf / cdf[..., -1:])

    @classmethod
    def from_quantiles(cls, levels, values, low=None, high=None):
        """Of quantiles, the CDF linear between them.

        A tail without an end is exponential, with the density of the outermost interval, up to where 1/1024
        of its probability is left. Quantiles that cross are sorted [1]_.

        Parameters
        ----------
        levels : array-like of shape (n_levels,)
            Probabilities, increasing, at least two.
        values : array-like of shape (n, n_targets, n_levels)
            Their quantiles, in the units of the targets.
        low, high : float or array-like of shape (n_targets,), optional
            Ends: the tails go linearly to them, and quantiles beyond are moved there.

        Returns
        -------
        distribution : PiecewiseDistribution

        References
        ----------
        .. [1] Chernozhukov, Fernandez-Val & Galichon, "Quantile and probability curves without crossing",
           Econometrica 78, 1093 (2010).
        """
        levels, values = check_levels(levels, "levels"), np.asarray(values, dtype=float)
        if levels.ndim != 1 or len(levels) < 2 or (np.diff(levels) <= 0).any():
            raise ValueError(f"levels has shape {levels.shape}; expected two or more, increasing.")
        if values.ndim != 3 or values.size == 0 or values.shape[-1] != len(levels):
            raise ValueError(
                f"values has shape {values.shape}; expected (n, n_targets, {len(levels)}), as levels."
            )
        if not np.isfinite(values).all():
            raise ValueError("values has NaN or infinity; expected finite numbers.")
        values = np.sort(values, axis=-1)
        ends = [
            None if end is None else np.broadcast_to(np.asarray(end, float), values.shape[1:2])
            for end in (low, high)
        ]
        if None not in (low, high) and not (ends[0] < ends[1]).all():
            raise ValueError(f"low={low!r}, high={high!r}; expected low below high.")
        values = np.clip(values, *(None if end is None else end[:, None] for end in ends))
        left = _tail(levels, values, ends[0])
        # the right tail is the left one of -y
        right = _tail((1 - levels)[::-1], -values[..., ::-1], None if high is None else -ends[1])
        edges = np.concatenate([left[1], values, -right[1][..., ::-1]], axis=-1)
        cdf = np.concatenate([left[0], levels, 1 - right[0][::-1]])
        return cls(edges, np.broadcast_to(cdf, edges.shape))

    @property
    def shape(self):
        """Rows and targets."""
        return self._cdf.shape[:2]

    @property
    def masses(self):
        """Probability of each bin, (n, n_targets, b)."""
        return np.diff(self._cdf)

    def __getitem__(self, rows):
        rows = as_rows(rows)
        return self._of(self.edges[rows] if self.edges.ndim == 3 else self.edges, self._cdf[rows])

    def _bins(self, y):
        """The bin of each y, the outermost beyond the ends."""
        index = row_search(self.edges, y, "right") - 1
        # the upper end belongs to the last bin that is not empty of width
        top = y >= self.edges[..., -1]
        if np.any(top):
            index = np.where(top, row_search(self.edges, self.edges[..., -1]) - 1, index)
        index = np.clip(index, 0, self.edges.shape[-1] - 2)
        return np.broadcast_to(index, np.broadcast_shapes(y.shape, self.shape))

    def _at(self, y):
        """Bin, its lower edge and width, and the part of it that is below y."""
        bins = self._bins(y)
        low = gather(self.edges, bins)
        width = gather(self.edges, bins + 1) - low
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(width > 0, (y - low) / width, 0.0)
        return bins, low, width, np.clip(part, 0, 1)

    def cdf(self, y):
        """Probability of at most y, for each target alone: as in `Distribution`."""
        y = check_values(y, self.shape)
        bins, _, _, part = self._at(y)
        low = gather(self._cdf, bins)
        found = low + part * (gather(self._cdf, bins + 1) - low)
        # steps at the ends
        return np.where(y < self.edges[..., 0], 0.0, np.where(y >= self.edges[..., -1], 1.0, found))

    def pdf(self, y):
        """Density at y, for each target alone: as in `Distribution`."""
        y = check_values(y, self.shape)
        bins, _, width, _ = self._at(y)
        mass = gather(self._cdf, bins + 1) - gather(self._cdf, bins)
        inside = (y >= self.edges[..., 0]) & (y <= self.edges[..., -1]) & (width > 0)
        return np.where(np.isnan(y), np.nan, np.where(inside, mass / np.where(inside, width, 1), 0))

    def log_prob(self, y):
        """Logarithm of the joint density, minus infinity where it is 0: as in `Distribution`."""
        with np.errstate(divide="ignore"):
            return np.log(self.pdf(y)).sum(-1)

    def inverse_cdf(self, levels):
        """Values at levels of their own: as in `Distribution`; the lowest of many with the same CDF."""
        levels = check_values(check_levels(levels, "levels"), self.shape, "levels")
        levels = np.broadcast_to(levels, np.broadcast_shapes(levels.shape, self.shape))
        upper = row_search(self._cdf, levels)
        # level 0 is where the probability begins
        upper = np.where(upper == 0, row_search(self._cdf, levels, "right"), upper)
        lower = upper - 1
        below, low = gather(self._cdf, lower), gather(self.edges, lower)
        part = (levels - below) / (gather(self._cdf, upper) - below)
        return low + part * (gather(self.edges, upper) - low)

    def sample(self, n_samples, random_state=None):
        """Draw all targets, independently: as in `Distribution`."""
        return self.inverse_cdf(as_generator(random_state).random((n_samples, *self.shape)))

    def bracket(self):
        """Outermost edges, (n, n_targets) each."""
        return tuple(np.broadcast_to(self.edges[..., i], self.shape) for i in (0, -1))

    def rescaled(self, offset, scale):
        """The distributions of offset + scale * y: as in `Distribution`."""
        offset, scale = check_rescaling(offset, scale, self.shape[1])
        return self._of(offset[:, None] + scale[:, None] * self.edges, self._cdf)

    def tabulated(self, n_points=513):
        """The same CDF, each bin divided evenly until there are `n_points` edges."""
        n_bins = self.edges.shape[-1] - 1
        each = -(-(n_points - 1) // n_bins)
        if each < 2:
            return self
        steps = np.arange(each) / each
        return self._of(*(_divide(x, steps) for x in (self.edges, self._cdf)))

    def mean(self):
        """Mean of each target, (n, n_targets)."""
        return (self.masses * 0.5 * (self.edges[..., 1:] + self.edges[..., :-1])).sum(-1)

    def std(self):
        """Standard deviation of each target, (n, n_targets)."""
        apart = 0.5 * (self.edges[..., 1:] + self.edges[..., :-1]) - self.mean()[..., None]
        return np.sqrt((self.masses * (apart**2 + np.diff(self.edges) ** 2 / 12)).sum(-1))

    def mode(self):
        """Middle of the densest bin of each target, (n, n_targets)."""
        best = self._densities().argmax(-1)
        return 0.5 * (gather(self.edges, best) + gather(self.edges, best + 1))

    def _densities(self):
        mass, width = self.masses, np.diff(self.edges)
        step = np.where(mass > 0, np.inf, 0.0)
        return np.where(width > 0, mass / np.where(width > 0, width, 1), step)

    def crps(self, y):
        """Continuous ranked probability score of each target, exact: as in `Distribution`."""
        y = check_values(y, self.shape)
        f, width = self._cdf, np.diff(self.edges)
        # the integral of F ** 2 everywhere, and of 1 - 2 F above y
        squares, pair = f * f, f[..., 1:] + f[..., :-1]
        whole = squares[..., 1:] + squares[..., :-1]
        whole += f[..., 1:] * f[..., :-1]
        whole = (whole * width).sum(-1) / 3
        below = np.zeros(f.shape)
        np.cumsum((1 - pair) * width, axis=-1, out=below[..., 1:])
        bins, _, width, part = self._at(y)
        low = gather(f, bins)
        at = low + part * (gather(f, bins + 1) - low)
        until = gather(below, bins) + part * width * (1 - low - at)
        beyond = np.maximum(self.edges[..., 0] - y, 0) + np.maximum(y - self.edges[..., -1], 0)
        return whole + below[..., -1] - until + beyond

    def squared_integral(self):
        """Integral of the squared density of each target, exact, (n, n_targets); infinite with a step."""
        mass = self.masses
        return (mass * np.where(mass > 0, self._densities(), 0.0)).sum(-1)

    def hpd(self, y):
        """Probability of the densities above that at y, for each target alone, exact.

        Of bins as dense as that of y, the part below y counts: of a constant density, what the CDF says. So
        the value is uniform when the distribution is right. 1 outside the edges.

        Parameters
        ----------
        y : array-like of shape (..., n, n_targets)

        Returns
        -------
        hpd : ndarray of shape (..., n, n_targets)
        """
        y = check_values(y, self.shape)
        density, mass = self._densities(), self.masses
        # float32: bins of one density are equal but for the rounding of their masses
        order = np.argsort(-density.astype(np.float32), axis=-1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[-1])[None, None], -1)
        # bins of one density keep their order in y, so that the part below is a running sum
        before = np.cumsum(np.take_along_axis(mass, order, -1), axis=-1)
        bins, _, _, part = self._at(y)
        own = gather(mass, bins)
        found = gather(before, gather(rank, bins)) - (1 - part) * own
        outside = (y < self.edges[..., 0]) | (y > self.edges[..., -1])
        return np.where(outside, 1.0, np.clip(found, 0, 1))


def _divide(edges, steps):
    """Each interval of the last axis in equal parts."""
    fine = edges[..., :-1, None] + np.diff(edges)[..., None] * steps
    return np.concatenate([fine.reshape(*edges.shape[:-1], -1), edges[..., -1:]], axis=-1)


def _tail(levels, values, end):
    """CDF and edges below the lowest quantile."""
    first = levels[0]
    if first == 0:
        return np.empty(0), values[..., :0]
    if end is not None:
        return np.zeros(1), np.broadcast_to(end[:, None], values.shape[:-1] + (1,))
    slope = (values[..., 1] - values[..., 0]) / (levels[1] - first)
    halvings = np.arange(HALVINGS, 0, -1)
    cdf = first * 0.5**halvings
    cdf[0] = 0
    return cdf, values[..., :1] - first * np.log(2) * halvings * slope[..., None]
