"""Whether the probabilities of a class hold: calibration errors, and what sees rare classes.

For a rare class the calibration error is tiny whatever happens: take the log calibration ratio, the count
ratio and the calibration line.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from skastro.probabilities import check_labels, check_numbers, check_probabilities, check_weights
from skastro.probability_maps import check_finite, check_overlap, fit_slopes
from skastro.reliability import reliability_table

__all__ = [
    "CalibrationLine",
    "CountRatio",
    "calibration_line",
    "count_ratio",
    "expected_calibration_error",
    "log_calibration_ratio",
    "maximum_calibration_error",
]

# expected positives of a bin that counts for the log calibration ratio
ENOUGH = 10


def _gaps(y_true, proba, bins, n_bins, sample_weight, p_min):
    if p_min is not None:
        p, y = check_probabilities(proba), check_numbers(y_true, "y_true")
        above = p > p_min
        if p.shape != y.shape or not above.any():
            raise ValueError(
                f"proba has shape {p.shape}, {above.sum()} above p_min={p_min}; expected {y.shape}, the "
                "shape of y_true, and some above."
            )
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, y.shape)[above]
        y_true, proba = y[above], p[above]
    table = reliability_table(y_true, proba, bins=bins, n_bins=n_bins, sample_weight=sample_weight)
    return table.weight, np.abs(table.observed - table.predicted)


def expected_calibration_error(
    y_true, proba, *, bins="width", n_bins=10, sample_weight=None, p_min=None
):
    r"""Expected calibration error (ECE) [1]_.

    .. math:: \mathrm{ECE} = \sum_b (n_b / n)\, |o_b - m_b|

    with the observed and the predicted frequencies of bins. At most twice the prevalence or so.

    Parameters
    ----------
    y_true : array-like of bool, or of 0 and 1
        Rows or pixels, of any shape.
    proba : array-like of the shape of `y_true`
    bins : {"width", "count", "logit"}, default="width"
        As in `reliability_table`; "count" for the adaptive error.
    n_bins : int, default=10
    sample_weight : array-like that broadcasts to the shape of `y_true`, optional
    p_min : float, optional
        Only rows of a larger probability.

    Returns
    -------
    error : float

    Raises
    ------
    ValueError
        As of `reliability_table`; no row above `p_min`.

    References
    ----------
    .. [1] Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML (2017).

    Examples
    --------
    >>> from skastro.reliability_metrics import expected_calibration_error
    >>> round(expected_calibration_error([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9], n_bins=2), 3)
    0.125
    """
    weight, gap = _gaps(y_true, proba, bins, n_bins, sample_weight, p_min)
    return float(weight @ gap)


def maximum_calibration_error(
    y_true, proba, *, bins="width", n_bins=10, sample_weight=None, p_min=None
):
    """Maximum calibration error (MCE): the largest gap of a bin.

    Parameters
    ----------
    y_true, proba, bins, n_bins, sample_weight, p_min
        As in `expected_calibration_error`.

    Returns
    -------
    error : float

    Raises
    ------
    ValueError
        As of `expected_calibration_error`.

    Examples
    --------
    >>> from skastro.reliability_metrics import maximum_calibration_error
    >>> round(maximum_calibration_error([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9], n_bins=2), 3)
    0.133
    """
    return float(_gaps(y_true, proba, bins, n_bins, sample_weight, p_min)[1].max())


def log_calibration_ratio(y_true, proba, *, bins="logit", n_bins=10, sample_weight=None):
    r"""Largest ratio of observed to predicted frequency, in logarithms.

    .. math:: \max_b |\ln(o_b / m_b)|

    over bins of at least 10 expected positives.

    Parameters
    ----------
    y_true, proba, bins, n_bins, sample_weight
        As in `expected_calibration_error`.

    Returns
    -------
    ratio : float
        0 when calibrated; infinite where 10 are expected and none is there; NaN where no bin expects 10.

    Raises
    ------
    ValueError
        As of `reliability_table`.

    Examples
    --------
    >>> from skastro.reliability_metrics import log_calibration_ratio
    >>> round(log_calibration_ratio([1] * 5 + [0] * 95, [0.1] * 100), 3)
    0.693
    """
    table = reliability_table(y_true, proba, bins=bins, n_bins=n_bins, sample_weight=sample_weight)
    # sums round: ten times 0.1 a hundred times is not below 10
    counts = table.expected_positives >= ENOUGH * (1 - 1e-9)
    if not counts.any():
        return float("nan")
    with np.errstate(divide="ignore"):
        ratio = np.log(table.observed[counts]) - np.log(table.predicted[counts])
    return float(np.abs(ratio).max())


class CountRatio(NamedTuple):
    """What `count_ratio` returns: numbers, or arrays with the axes that were kept.

    Attributes
    ----------
    ratio : float or ndarray
        Expected positives over positives; infinite where there is none.
    error : float or ndarray
        Its Poisson error.
    """

    ratio: np.ndarray
    error: np.ndarray


def count_ratio(y_true, proba, *, axis=None, sample_weight=None):
    r"""Expected number of positives over their number, by class or frame.

    .. math:: \sum_i p_i \Big/ \sum_i y_i

    Parameters
    ----------
    y_true : array-like of bool, or of 0 and 1
        Of any shape.
    proba : array-like of the shape of `y_true`
    axis : int or tuple of int, optional
        What to sum over. None: all. Of images of shape (n, classes, height, width): (0, 2, 3) by class,
        (2, 3) by frame and class.
    sample_weight : array-like that broadcasts to the shape of `y_true`, optional

    Returns
    -------
    ratio : CountRatio

    Raises
    ------
    ValueError
        NaN, no row, shapes that differ, labels but 0 and 1, probabilities outside 0 to 1.

    Examples
    --------
    >>> from skastro.reliability_metrics import count_ratio
    >>> count_ratio([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9])
    CountRatio(ratio=0.75, error=0.53...)
    """
    p = check_probabilities(proba)
    check_labels(y_true, p, sample_weight, both=False)
    y = np.asarray(y_true, dtype=float)
    weight = 1.0 if sample_weight is None else np.asarray(sample_weight, dtype=float)
    expected, found = (weight * p).sum(axis=axis), (weight * y).sum(axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = expected / found
        error = ratio * np.sqrt((weight**2 * y).sum(axis=axis)) / found
    if np.ndim(ratio) == 0:
        ratio, error = float(ratio), float(error)
    return CountRatio(ratio, error)


class CalibrationLine(NamedTuple):
    """What `calibration_line` returns.

    Attributes
    ----------
    slope, intercept : float
        1 and 0 when calibrated.
    slope_error, intercept_error : float
        Standard errors, of the Fisher information.
    """

    slope: float
    intercept: float
    slope_error: float
    intercept_error: float


def calibration_line(y_true, proba, *, sample_weight=None, from_logits=False):
    """Calibration slope and intercept: the logistic regression of the labels on the logit [1]_.

    A slope below 1: probabilities too far from their mean.

    Parameters
    ----------
    y_true : array-like of bool, or of 0 and 1
        Rows or pixels, of any shape.
    proba : array-like of the shape of `y_true`
        Between 0 and 1, or logits.
    sample_weight : array-like that broadcasts to the shape of `y_true`, optional
        Taken as importance weights: the errors are the robust ones.
    from_logits : bool, default=False
        Whether `proba` holds logits.

    Returns
    -------
    line : CalibrationLine

    Raises
    ------
    ValueError
        NaN, shapes that differ, a single class, probabilities of 0 or 1, classes that a cut parts.

    References
    ----------
    .. [1] Cox, "Two further applications of a model for binary regression", Biometrika 45, 562 (1958).

    Examples
    --------
    >>> from skastro.reliability_metrics import calibration_line
    >>> line = calibration_line([0] * 8 + [1] * 2 + [1] * 8 + [0] * 2, [0.1] * 10 + [0.9] * 10)
    >>> round(line.slope, 3), round(abs(line.intercept), 3)
    (0.631, 0.0)
    """
    if from_logits:
        z = check_finite(proba, "proba")
    else:
        z = logit(check_probabilities(proba))
        if np.isinf(z).any():
            raise ValueError(
                f"proba has {np.isinf(z).sum()} values of 0 or 1; expected ones between, or logits."
            )
    y, z, weight = check_labels(y_true, z, sample_weight)
    check_overlap(z, y, "proba")
    slopes, intercept = fit_slopes(z[:, None], y, weight)
    design = np.stack([z, np.ones(len(z))], axis=1)
    p = expit(slopes[0] * z + intercept)
    bread = np.linalg.inv((design * (weight * p * (1 - p))[:, None]).T @ design)
    if sample_weight is not None:
        score = design * (weight * (y - p))[:, None]
        bread = bread @ (score.T @ score) @ bread
    errors = np.sqrt(np.diag(bread))
    return CalibrationLine(float(slopes[0]), intercept, float(errors[0]), float(errors[1]))
