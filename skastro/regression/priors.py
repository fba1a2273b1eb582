"""The prior that is hidden in a training set, and its exchange for another one."""

import numpy as np

from skastro.distributions import PiecewiseDistribution

__all__ = ["prior_ratio", "training_density"]

# Bins of a histogram of targets: about the cube root of the rows, within these.
LEAST_BINS, MOST_BINS = 5, 50


def training_density(y, bounds):
    """Histogram of each target.

    Parameters
    ----------
    y : ndarray of shape (n, n_targets)
    bounds : ndarray of shape (n_targets, 2)

    Returns
    -------
    density : PiecewiseDistribution
        Of one row.
    """
    n_bins = int(np.clip(np.cbrt(len(y)), LEAST_BINS, MOST_BINS))
    edges = np.stack([np.linspace(low, high, n_bins + 1) for low, high in bounds])
    counts = [np.histogram(column, bins)[0] for column, bins in zip(y.T, edges, strict=True)]
    return PiecewiseDistribution.from_masses(edges, np.stack(counts)[None] / len(y))


def prior_ratio(prior, density, bounds):
    """The weight of targets when the training rows' distribution is exchanged for another.

    Parameters
    ----------
    prior : callable or array-like of shape (m,) or (m, n_targets)
        A density, or draws from it.
    density : PiecewiseDistribution
        Of the training rows, targets taken as independent.
    bounds : ndarray of shape (n_targets, 2)

    Returns
    -------
    ratio : callable
        From targets (..., n, n_targets) to (..., n). Zero where no training target was.

    Raises
    ------
    ValueError
        Draws of another number of targets or not finite, all outside the bounds.
    """
    if not callable(prior):
        draws = np.asarray(prior, dtype=float)
        draws = draws[:, None] if draws.ndim == 1 else draws
        if draws.ndim != 2 or draws.shape[1] != len(bounds) or not np.isfinite(draws).all():
            raise ValueError(
                f"prior has shape {np.shape(prior)}; expected a callable, or finite draws (m, {len(bounds)})."
            )
        inside = ((draws >= bounds[:, 0]) & (draws <= bounds[:, 1])).all(axis=1)
        if not inside.any():
            raise ValueError("prior has no draw within the bounds of the targets; expected some.")
        other = training_density(draws[inside], bounds)

        def wanted(y):
            return _density(other, y)

    else:

        def wanted(y):
            value = np.asarray(prior(y), dtype=float)
            # a density of a single target may keep its axis
            return value[..., 0] if value.shape == y.shape else value

    def ratio(y):
        trained = _density(density, y)
        # a little beyond the bounds a prior may not know what to say
        value = wanted(np.clip(y, bounds[:, 0], bounds[:, 1]))
        if value.shape != trained.shape or not np.isfinite(value).all() or (value < 0).any():
            raise ValueError(
                f"prior gives values of shape {value.shape} for targets {y.shape}; expected finite ones of "
                f"shape {trained.shape}, not negative."
            )
        return np.where(trained > 0, value / np.where(trained > 0, trained, 1.0), 0.0)

    return ratio


def _density(one, y):
    """Joint density of the only row of a distribution at targets (..., n_targets)."""
    flat = y.reshape(-1, 1, y.shape[-1])
    return one.pdf(flat).prod(axis=-1).reshape(y.shape[:-1])
