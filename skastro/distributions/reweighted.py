"""Distributions times a weight: another prior than that of the training rows."""

import warnings

import numpy as np

from skastro.distributions.piecewise import PiecewiseDistribution
from skastro.distributions.samples import SampleDistribution

__all__ = ["reweighted"]

# Points of the table of a single target, and effective draws below which a row is warned of.
N_POINTS = 1025
FEWEST = 50


def reweighted(distribution, weight, n_samples=2000, random_state=None):
    r"""Distributions proportional to a distribution times a weight.

    .. math:: p'(y) \propto w(y)\, p(y)

    With the ratio of two priors as weight, the posterior under the one becomes that under the other [1]_. A
    single target is done on a fine grid. Several targets are drawn, and the draws weighted; those of a
    `SampleDistribution` are taken as they are.

    Parameters
    ----------
    distribution : Distribution
    weight : callable
        Of y (..., n, n_targets) to weights (..., n), not negative, or to what broadcasts to them.
    n_samples : int, default=2000
        Draws of each row, for several targets.
    random_state : int, RandomState, Generator or None, default=None
        Of the draws.

    Returns
    -------
    distribution : PiecewiseDistribution or SampleDistribution
        The former for a single target.

    Raises
    ------
    ValueError
        Weights of another shape, negative, not finite, or 0 wherever a row has probability.

    Warns
    -----
    UserWarning
        The effective number of draws of some row is below 50.

    References
    ----------
    .. [1] Tokdar & Kass, "Importance sampling: a review", WIREs Computational Statistics 2, 54 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.distributions import GaussianMixtureDistribution, reweighted
    >>> one = GaussianMixtureDistribution([[1.0]], [[[0.0]]], [[[[1.0]]]])
    >>> other = reweighted(one, lambda y: np.exp(y[..., 0]))
    >>> other.mean().round(3), other.std().round(3)
    (array([[1.]]), array([[1.]]))
    """
    known = isinstance(distribution, SampleDistribution)
    if distribution.shape[1] == 1 and not known:
        table = distribution.tabulated(N_POINTS)
        edges = np.broadcast_to(table.edges, table._cdf.shape)
        middle = np.moveaxis(0.5 * (edges[..., 1:] + edges[..., :-1]), -1, 0)
        masses = np.moveaxis(table.masses, -1, 0) * _weights(weight, middle)[..., None]
        _check_rows(masses[..., 0])
        return PiecewiseDistribution.from_masses(table.edges, np.moveaxis(masses, 0, -1))
    drawn = distribution.values if known else distribution.sample(n_samples, random_state)
    weights = _weights(weight, drawn)
    if known and distribution.weights is not None:
        weights = weights * distribution.weights
    _check_rows(weights)
    found = SampleDistribution(drawn, weights)
    few = found.effective_size < FEWEST
    if few.any():
        warnings.warn(
            f"{few.sum()} of {len(few)} rows have an effective number of draws below {FEWEST}, at least "
            f"{found.effective_size.min():.3g}; give more n_samples or a milder weight.",
            stacklevel=2,
        )
    return found


def _weights(weight, y):
    found = np.asarray(weight(y), dtype=float)
    try:
        found = np.broadcast_to(found, y.shape[:-1])
    except ValueError:
        raise ValueError(
            f"weight gave shape {found.shape} for y of shape {y.shape}; expected {y.shape[:-1]}."
        ) from None
    if not np.isfinite(found).all() or (found < 0).any():
        raise ValueError("weight gave NaN, infinity or a negative number; expected 0 or more.")
    return found


def _check_rows(weights):
    empty = ~(weights.sum(0) > 0)
    if empty.any():
        raise ValueError(
            f"weight is 0 wherever row {np.flatnonzero(empty)[0]} has probability; expected an overlap."
        )
