"""Proper scores of the probabilities of a class, their parts and their skill."""

from typing import NamedTuple

import numpy as np
from scipy.special import xlog1py, xlogy
from sklearn.metrics import brier_score_loss

from skastro.probabilities import check_labels, check_probabilities
from skastro.reliability import reliability_table

__all__ = ["BrierScore", "brier_decomposition", "log_loss_per_positive", "log_loss_skill"]


def _log_loss(y_true, proba, sample_weight):
    p = check_probabilities(proba)
    y, p, weight = check_labels(y_true, p, sample_weight)
    # not that of scikit-learn, which hides what is 0 for certain and true
    loss = -np.average(xlogy(y, p) + xlog1py(~y, -p), weights=weight)
    return loss, np.average(y, weights=weight)


def log_loss_per_positive(y_true, proba, *, sample_weight=None):
    r"""Log loss over the prevalence: nats that a positive costs.

    .. math:: -\sum_i [y_i \ln p_i + (1 - y_i) \ln(1 - p_i)] \Big/ \sum_i y_i

    Parameters
    ----------
    y_true : array-like of bool, or of 0 and 1
        Rows or pixels, of any shape, with both classes.
    proba : array-like of the shape of `y_true`
    sample_weight : array-like that broadcasts to the shape of `y_true`, optional

    Returns
    -------
    loss : float
        Infinite where what is true has a probability of 0, or what is false of 1.

    Raises
    ------
    ValueError
        NaN, shapes that differ, a single class, probabilities outside 0 to 1.

    Examples
    --------
    >>> from skastro.proper_scores import log_loss_per_positive
    >>> round(log_loss_per_positive([0, 0, 0, 1], [0.25] * 4), 3)
    2.249
    """
    loss, prevalence = _log_loss(y_true, proba, sample_weight)
    return float(loss / prevalence)


def log_loss_skill(y_true, proba, *, prior=None, sample_weight=None):
    """Skill in log loss: 1 for certain truth, 0 for the prior given to all.

    Parameters
    ----------
    y_true, proba, sample_weight
        As in `log_loss_per_positive`.
    prior : float, optional
        What to compare with. None: the prevalence.

    Returns
    -------
    skill : float

    Raises
    ------
    ValueError
        As of `log_loss_per_positive`; a prior that is not between 0 and 1.

    Examples
    --------
    >>> from skastro.proper_scores import log_loss_skill
    >>> round(log_loss_skill([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]), 3)
    0.763
    """
    loss, prevalence = _log_loss(y_true, proba, sample_weight)
    prior = prevalence if prior is None else prior
    if not 0 < prior < 1:
        raise ValueError(f"prior={prior}; expected a number between 0 and 1.")
    return float(1 + loss / (prevalence * np.log(prior) + (1 - prevalence) * np.log1p(-prior)))


class BrierScore(NamedTuple):
    """What `brier_decomposition` returns: score = reliability - resolution + uncertainty + within.

    Attributes
    ----------
    score : float
        Mean squared difference of probability and label.
    reliability, resolution, uncertainty : float
    within : float
        What the spread of the probabilities within the bins adds; 0 where each bin has one value.
    skill : float
        1 - score / uncertainty; 0 for the prevalence given to all.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float
    skill: float


def brier_decomposition(y_true, proba, *, bins="width", n_bins=10, sample_weight=None):
    r"""Brier score taken apart: reliability, resolution and uncertainty [1]_.

    .. math:: \sum_b w_b (o_b - m_b)^2,\quad \sum_b w_b (o_b - \bar y)^2,\quad \bar y (1 - \bar y)

    Parameters
    ----------
    y_true, proba, sample_weight
        As in `log_loss_per_positive`.
    bins : {"width", "count", "logit"}, default="width"
        As in `reliability_table`.
    n_bins : int, default=10

    Returns
    -------
    score : BrierScore

    Raises
    ------
    ValueError
        As of `reliability_table`; a single class.

    References
    ----------
    .. [1] Murphy, "A new vector partition of the probability score", Journal of Applied Meteorology 12, 595
       (1973).

    Examples
    --------
    >>> from skastro.proper_scores import brier_decomposition
    >>> found = brier_decomposition([0, 0, 0, 1, 1, 1], [0.2, 0.2, 0.2, 0.8, 0.8, 0.2])
    >>> round(found.reliability, 4), round(found.resolution, 4), found.uncertainty
    (0.015, 0.125, 0.25)
    """
    y, p, weight = check_labels(y_true, check_probabilities(proba), sample_weight)
    table = reliability_table(y, p, bins=bins, n_bins=n_bins, sample_weight=weight)
    prevalence = np.average(y, weights=weight)
    score = brier_score_loss(y, p, sample_weight=weight)
    reliability = table.weight @ np.square(table.observed - table.predicted)
    resolution = table.weight @ np.square(table.observed - prevalence)
    uncertainty = prevalence * (1 - prevalence)
    within = score - (reliability - resolution + uncertainty)
    parts = score, reliability, resolution, uncertainty, within, 1 - score / uncertainty
    return BrierScore(*(float(one) for one in parts))
