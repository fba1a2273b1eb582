"""Reliability tables: how often what is predicted with a probability is true."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from scipy.stats import beta

from skastro.probabilities import check_labels, check_probabilities

__all__ = ["BINS", "ReliabilityTable", "reliability_table"]

BINS = ("width", "count", "logit")


class ReliabilityTable(NamedTuple):
    """What `reliability_table` returns: arrays of shape (n_filled,), of the bins that hold anything.

    Attributes
    ----------
    left, right : ndarray
        Edges of the bins.
    counts : ndarray of int
        Rows or pixels in each.
    weight : ndarray
        Their weights, of sum 1.
    predicted : ndarray
        Mean of the probabilities.
    observed : ndarray
        Fraction of positives.
    low, high : ndarray
        Jeffreys interval of the fraction.
    expected_positives : ndarray
        Sum of the probabilities; with weights, their mean times the effective number of rows.
    """

    left: np.ndarray
    right: np.ndarray
    counts: np.ndarray
    weight: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    expected_positives: np.ndarray


def _edges(p, bins, n_bins):
    if bins == "width":
        return np.linspace(0, 1, n_bins + 1)
    if bins == "count":
        return np.unique(np.quantile(p, np.linspace(0, 1, n_bins + 1)))
    inside = logit(p[(p > 0) & (p < 1)])
    ends = (inside.min(), inside.max()) if inside.size else (-1.0, 1.0)
    edges = expit(np.linspace(*ends, n_bins + 1))
    # what is 0 or 1 for certain goes with the bin beside it
    edges[0], edges[-1] = min(edges[0], p.min()), max(edges[-1], p.max())
    return np.unique(edges)


def _jeffreys(observed, size, level):
    """Equal-tailed; an end at 0 or 1 where all are of one class."""
    k, tail = observed * size, (1 - level) / 2
    low = np.where(observed > 0, beta.ppf(tail, k + 0.5, size - k + 0.5), 0.0)
    high = np.where(observed < 1, beta.ppf(1 - tail, k + 0.5, size - k + 0.5), 1.0)
    return low, high


def reliability_table(y_true, proba, *, bins="width", n_bins=10, sample_weight=None, level=0.95):
    """Observed frequency against predicted probability, in bins of the probability [1]_.

    Calibrated: observed as predicted. For rare classes take the bins in the logit, on logarithmic axes.

    Parameters
    ----------
    y_true : array-like of bool, or of 0 and 1
        Rows or pixels, of any shape.
    proba : array-like of the shape of `y_true`
    bins : {"width", "count", "logit"}, default="width"
        Equal in width from 0 to 1, in count, or in width in the logit, from the smallest to the largest
        probability between 0 and 1.
    n_bins : int, default=10
        Empty bins are left out.
    sample_weight : array-like that broadcasts to the shape of `y_true`, optional
        Intervals take the effective number of rows, the square of the sum over the sum of squares.
    level : float, default=0.95
        Probability of the intervals.

    Returns
    -------
    table : ReliabilityTable

    Raises
    ------
    ValueError
        NaN, no row, shapes that differ, labels but 0 and 1, probabilities outside 0 to 1, other bins.

    References
    ----------
    .. [1] Niculescu-Mizil & Caruana, "Predicting good probabilities with supervised learning", ICML (2005).

    Examples
    --------
    >>> from skastro.reliability import reliability_table
    >>> table = reliability_table([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9], n_bins=2)
    >>> table.predicted, table.observed.round(3)
    (array([0.2, 0.9]), array([0.333, 1.   ]))
    """
    if bins not in BINS:
        raise ValueError(f"bins={bins!r}; expected one of {', '.join(BINS)}.")
    if not n_bins >= 1 or n_bins != int(n_bins):
        raise ValueError(f"n_bins={n_bins!r}; expected a whole number from 1.")
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}; expected a number between 0 and 1.")
    p = check_probabilities(proba)
    y, p, weight = check_labels(y_true, p, sample_weight, both=False)
    edges = _edges(p, bins, int(n_bins))
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    n = len(edges) - 1
    which = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, n - 1)
    counts = np.bincount(which, minlength=n)
    full = counts > 0

    def total(values):
        return np.bincount(which, weights=values, minlength=n)[full]

    mass = total(weight)
    # rounding of sums must not leave 0 to 1
    predicted = np.clip(total(weight * p) / mass, 0, 1)
    observed = np.clip(total(weight * y) / mass, 0, 1)
    size = mass**2 / total(np.square(weight))
    low, high = _jeffreys(observed, size, level)
    return ReliabilityTable(
        edges[:-1][full],
        edges[1:][full],
        counts[full],
        mass / mass.sum(),
        predicted,
        observed,
        low,
        high,
        predicted * size,
    )
