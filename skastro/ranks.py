"""Simulation-based calibration: whether error bars are as wide as they should be."""

from typing import NamedTuple

import numpy as np
from scipy.stats import chisquare

__all__ = ["SimulationRanks", "simulation_ranks"]

BINS = 10


class SimulationRanks(NamedTuple):
    """What `simulation_ranks` returns.

    Attributes
    ----------
    ranks : ndarray of shape (n_simulations, n_parameters), int
        How many of the draws from each posterior are below the truth: 0 to `n_draws`.
    p_values : ndarray of shape (n_parameters,)
        Of a chi-squared test of uniform ranks.
    n_draws : int
    """

    ranks: np.ndarray
    p_values: np.ndarray
    n_draws: int

    @property
    def p_value(self):
        """The smallest p-value, times the number of parameters (Bonferroni)."""
        return float(min(1.0, self.p_values.min() * len(self.p_values)))


def simulation_ranks(truth, draws):
    """Ranks of true parameters among draws from their posteriors, and whether they are uniform [1]_.

    In the middle too often: the posteriors are too wide; at both ends: too narrow.

    Parameters
    ----------
    truth : array-like of shape (n_simulations, n_parameters)
        From the prior.
    draws : array-like of shape (n_draws, n_simulations, n_parameters)
        From the posterior of each simulation. One less than a multiple of 10, for bins of the same size.

    Returns
    -------
    ranks : SimulationRanks

    Raises
    ------
    ValueError
        Shapes that don't agree, numbers that are not finite, fewer than 20 simulations.

    References
    ----------
    .. [1] Talts, Betancourt, Simpson, Vehtari & Gelman, "Validating Bayesian inference algorithms with
       simulation-based calibration", arXiv:1804.06788 (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.ranks import simulation_ranks
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(500, 1))
    >>> x = truth + rng.normal(size=(500, 1))
    >>> right = x / 2 + 0.5**0.5 * rng.normal(size=(99, 500, 1))
    >>> simulation_ranks(truth, right).p_value > 0.01
    True
    >>> simulation_ranks(truth, x / 2 + 0.5 * (right - x / 2)).p_value > 0.01
    False
    """
    truth, draws = np.asarray(truth, dtype=float), np.asarray(draws, dtype=float)
    if truth.ndim != 2 or draws.shape[1:] != truth.shape:
        raise ValueError(
            f"draws has shape {draws.shape}; expected (n_draws, n_simulations, n_parameters), the last two "
            f"as of truth, {truth.shape}."
        )
    if not (np.isfinite(truth).all() and np.isfinite(draws).all()):
        raise ValueError("truth or draws has NaN or infinity; expected finite numbers.")
    if len(truth) < 2 * BINS or len(draws) < BINS - 1 or (len(draws) + 1) % BINS:
        raise ValueError(
            f"n_simulations={len(truth)}, n_draws={len(draws)}; expected at least {2 * BINS}, and one less "
            f"than a multiple of {BINS}."
        )
    ranks = (draws < truth).sum(0)
    bins = ranks * BINS // (len(draws) + 1)
    counts = np.stack([np.bincount(one, minlength=BINS) for one in bins.T])
    return SimulationRanks(ranks, chisquare(counts, axis=1).pvalue, len(draws))
