"""Scores of predictions, with masks: each says what it measures and where it comes from."""

import numpy as np
from scipy.special import ndtri
from sklearn.metrics import make_scorer

from skastro.pairs import check_pair, column_blocks, read_block
from skastro.validation import native, split_unit

__all__ = [
    "coverage",
    "error_factor",
    "error_factor_scorer",
    "error_factor_summary",
    "format_error_factor",
    "masked_r2_score",
]


def _error_block(y_true, y_pred, mask, columns):
    """Error factor minus one in a block of columns; NaN where invalid."""
    truth, guess, valid = read_block(y_true, y_pred, mask, columns)
    wrong = valid & ~((truth > 0) & np.isfinite(truth))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"y_true is {truth[row, column]:.3g} at row {row}, output {column + columns.start}; "
            "expected positive finite values: a ratio needs them (mask the others)."
        )
    truth[~valid] = np.nan
    guess[guess < 0] = 0.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = guess / truth
        # the reciprocal of a subnormal quotient is inaccurate: divide the other way round
        np.maximum(ratio, truth / guess, out=ratio)
    ratio -= 1.0
    return ratio, valid


def _aggregator(aggregate):
    if isinstance(aggregate, str) and aggregate in ("mean", "median", "max"):
        return {"mean": "mean", "median": 50.0, "max": 100.0}[aggregate]
    if isinstance(aggregate, tuple) and len(aggregate) == 2 and aggregate[0] == "percentile":
        if 0 <= aggregate[1] <= 100:
            return float(aggregate[1])
    raise ValueError(
        f"aggregate={aggregate!r}; expected 'mean', 'median', 'max', ('percentile', q) with q "
        "between 0 and 100, or None."
    )


def _percentile(values, q):
    """Percentile(s) of finite or infinite values; `values` is reordered."""
    if np.isscalar(q) and q == 100:
        return values.max()
    # inf - inf where both neighbours are infinite: such a percentile is infinite
    with np.errstate(invalid="ignore"):
        found = np.percentile(values, q, overwrite_input=True)
    return np.where(np.isnan(found), np.inf, found)[()]


def _errors(y_true, y_pred, mask):
    """All valid errors, pooled into one vector."""
    pooled, filled = np.empty(y_true.size), 0
    for columns in column_blocks(y_true.shape):
        errors, valid = _error_block(y_true, y_pred, mask, columns)
        errors = errors[valid]
        pooled[filled : filled + errors.size] = errors
        filled += errors.size
    if filled == 0:
        raise ValueError("mask leaves no valid entry; expected at least one.")
    return pooled[:filled]


def error_factor(y_true, y_pred, *, mask=None, aggregate="mean", multioutput="pooled"):
    r"""Ratio of prediction and truth, whichever way is larger, minus one.

    .. math:: e = \max(\hat y / y, y / \hat y) - 1 = 10^{|\log_{10} \hat y - \log_{10} y|} - 1

    so that 0.05 is an error of 5 %, and 1.3 a factor 2.3 (see `format_error_factor`). The
    measure treats over- and underestimates alike, over any dynamic range.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Positive, in linear units (any). NaN: masked. A Quantity needs a Quantity as `y_pred`.
    y_pred : array-like of the shape of `y_true`
        Zero and negative predictions are infinitely wrong: their error is inf.
    mask : array-like of bool of the shape of `y_true`, optional
        True where `y_true` is valid. The other entries count for nothing.
    aggregate : {"mean", "median", "max"}, ("percentile", q) or None, default="mean"
        What to report of the errors; None returns them all, NaN where masked.
    multioutput : {"pooled", "uniform_average", "raw_values"}, default="pooled"
        "pooled" aggregates over all valid entries of all outputs, "raw_values" over each
        output, and "uniform_average" is the mean of these over the outputs.

    Returns
    -------
    error : float or ndarray
        Of shape (n_outputs,) with "raw_values" (NaN for an output without valid entry), of the
        shape of `y_true` with ``aggregate=None``.

    Raises
    ------
    ValueError
        Shapes that differ, a valid `y_true` that is not positive, a NaN in `y_pred` at a valid
        entry, or no valid entry.

    References
    ----------
    .. [1] P. Palud, L. Einig, F. Le Petit, et al. (2023), "Neural network-based emulation of
       interstellar medium models", A&A 678, A198.

    Examples
    --------
    >>> from skastro.metrics import error_factor
    >>> y_true = [[1.0, 100.0], [2.0, 300.0]]
    >>> y_pred = [[1.1, 50.0], [2.0, 300.0]]
    >>> round(error_factor(y_true, y_pred), 3)
    0.275
    >>> error_factor(y_true, y_pred, multioutput="raw_values").round(3).tolist()
    [0.05, 0.5]
    >>> mask = [[True, False], [True, True]]
    >>> round(error_factor(y_true, y_pred, aggregate="max", mask=mask), 3)
    0.1
    """
    if multioutput not in ("pooled", "uniform_average", "raw_values"):
        raise ValueError(
            f"multioutput={multioutput!r}; expected 'pooled', 'uniform_average' or 'raw_values'."
        )
    q = None if aggregate is None else _aggregator(aggregate)
    shape = np.shape(y_true)
    y_true, y_pred, mask = check_pair(y_true, y_pred, mask)
    if q is None:
        errors = np.empty(y_true.shape)
        for columns in column_blocks(y_true.shape):
            errors[:, columns] = _error_block(y_true, y_pred, mask, columns)[0]
        return errors.reshape(shape)
    if multioutput == "pooled" and q != "mean":
        return float(_percentile(_errors(y_true, y_pred, mask), q))
    counts, found = np.zeros(y_true.shape[1]), np.full(y_true.shape[1], np.nan)
    for columns in column_blocks(y_true.shape):
        errors, valid = _error_block(y_true, y_pred, mask, columns)
        counts[columns] = valid.sum(axis=0)
        for column in np.flatnonzero(counts[columns]):
            values = errors[valid[:, column], column]
            found[columns.start + column] = values.mean() if q == "mean" else _percentile(values, q)
    if not counts.any():
        raise ValueError("mask leaves no valid entry; expected at least one.")
    if multioutput == "raw_values":
        return found
    weights = counts if multioutput == "pooled" else counts > 0
    return float(np.average(found[counts > 0], weights=weights[counts > 0]))


def error_factor_summary(y_true, y_pred, mask=None):
    """Mean, median, 99 %, 99.9 % and maximum error factor over all valid entries.

    Parameters
    ----------
    y_true, y_pred, mask
        As in `error_factor`.

    Returns
    -------
    summary : dict of str to float
        Keys "mean", "median", "p99", "p999" and "max", each a factor minus one.

    Raises
    ------
    ValueError
        As `error_factor`.

    Examples
    --------
    >>> from skastro.metrics import error_factor_summary
    >>> summary = error_factor_summary([1.0, 2.0, 4.0], [1.0, 2.2, 2.0])
    >>> {key: round(value, 3) for key, value in summary.items()}
    {'mean': 0.367, 'median': 0.1, 'p99': 0.982, 'p999': 0.998, 'max': 1.0}
    """
    errors = _errors(*check_pair(y_true, y_pred, mask))
    mean = float(errors.mean())
    median, p99, p999 = _percentile(errors, [50.0, 99.0, 99.9])
    return {
        "mean": mean,
        "median": float(median),
        "p99": float(p99),
        "p999": float(p999),
        "max": float(errors.max()),
    }


def format_error_factor(error):
    """Write an error factor as the field prints it: in percent below 100 %, as a factor above.

    Parameters
    ----------
    error : float
        Factor minus one, as `error_factor` gives it.

    Returns
    -------
    text : str
        "5.0 %", "x2.3", or "-" for NaN.

    Examples
    --------
    >>> from skastro.metrics import format_error_factor
    >>> [format_error_factor(e) for e in (0.0042, 0.05, 0.33, 1.3, 3e5)]
    ['0.42 %', '5.0 %', '33 %', 'x2.3', 'x3e+05']
    """
    if np.isnan(error):
        return "-"
    digits = 2 if error < 0.00995 else 1 if error < 0.0995 else 0
    text = f"{100 * error:.{digits}f} %"
    if text != "100 %" and error < 1:
        return text
    factor = 1.0 + error
    digits = ".1f" if factor < 9.95 else ".0f" if factor < 1e4 else ".0e"
    return f"x{factor:{digits}}"


error_factor_scorer = make_scorer(error_factor, greater_is_better=False)
"""Minus the mean error factor, for ``GridSearchCV(scoring=error_factor_scorer)``.

With metadata routing, ``error_factor_scorer.set_score_request(mask=True)`` takes a mask.
"""


def masked_r2_score(
    y_true, y_pred, *, mask=None, sample_weight=None, multioutput="uniform_average"
):
    """Coefficient of determination over the valid entries.

    Equal to :func:`sklearn.metrics.r2_score` where nothing is masked.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        NaN: masked.
    y_pred : array-like of the shape of `y_true`
    mask : array-like of bool of the shape of `y_true`, optional
        True where `y_true` is valid.
    sample_weight : array-like of shape (n_samples,), optional
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"

    Returns
    -------
    score : float or ndarray of shape (n_outputs,)
        NaN for an output with fewer than two valid entries (left out of the average).

    Raises
    ------
    ValueError
        Shapes that differ, or NaN in `y_pred` at a valid entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.metrics import masked_r2_score
    >>> masked_r2_score([1.0, 2.0, 3.0, np.nan], [1.0, 2.0, 3.0, 9.0])
    1.0
    """
    if multioutput not in ("uniform_average", "raw_values"):
        raise ValueError(
            f"multioutput={multioutput!r}; expected 'uniform_average' or 'raw_values'."
        )
    y_true, y_pred, mask = check_pair(y_true, y_pred, mask)
    weights = np.ones(len(y_true)) if sample_weight is None else np.asarray(sample_weight, float)
    if weights.shape != (len(y_true),):
        raise ValueError(f"sample_weight has shape {weights.shape}; expected ({len(y_true)},).")
    scores = np.full(y_true.shape[1], np.nan)
    for columns in column_blocks(y_true.shape):
        truth, guess, valid = read_block(y_true, y_pred, mask, columns)
        weight = np.where(valid, weights[:, None], 0.0)
        truth[~valid] = guess[~valid] = 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (weight * truth).sum(axis=0) / weight.sum(axis=0)
            residual = (weight * (truth - guess) ** 2).sum(axis=0)
            spread = (weight * (truth - mean) ** 2).sum(axis=0)
            score = 1.0 - residual / spread
        # a constant output: right or wrong, as scikit-learn has it
        score[spread == 0] = np.where(residual[spread == 0] == 0, 1.0, 0.0)
        score[valid.sum(axis=0) < 2] = np.nan
        scores[columns] = score
    if multioutput == "raw_values":
        return scores
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")


def coverage(y_true, y_pred, y_std, level=0.6827, *, mask=None, multioutput="pooled"):
    """Fraction of the truth inside the central Gaussian interval of a prediction.

    Well calibrated uncertainties give a coverage equal to `level`; below it they are too small.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        NaN: masked.
    y_pred, y_std : array-like of the shape of `y_true`
        Mean and standard deviation of the prediction, in the units of `y_true`.
    level : float or array-like of float, default=0.6827
        Probability mass of the interval, between 0 and 1.
    mask : array-like of bool of the shape of `y_true`, optional
        True where `y_true` is valid.
    multioutput : {"pooled", "raw_values"}, default="pooled"

    Returns
    -------
    fraction : float or ndarray
        Of shape ``np.shape(level)``, with a last axis of n_outputs with "raw_values".

    Raises
    ------
    ValueError
        A level outside (0, 1), a negative `y_std`, shapes that differ, or no valid entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.metrics import coverage
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.normal(size=10_000)
    >>> coverage(y_true, np.zeros(10_000), np.ones(10_000), [0.6827, 0.95]).round(2)
    array([0.68, 0.95])
    """
    levels = np.asarray(level, dtype=np.float64)
    if not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"level={level!r}; expected a probability between 0 and 1, exclusive.")
    if multioutput not in ("pooled", "raw_values"):
        raise ValueError(f"multioutput={multioutput!r}; expected 'pooled' or 'raw_values'.")
    y_std, _ = split_unit(y_std, "y_std", split_unit(y_true, "y_true")[1])
    y_true, y_pred, mask = check_pair(y_true, y_pred, mask)
    y_std = native(y_std)
    if y_std.size != y_true.size or len(y_std) != len(y_true):
        raise ValueError(
            f"y_std has shape {y_std.shape}; expected {y_true.shape}, the shape of y_true."
        )
    y_std = y_std.reshape(y_true.shape)
    widths = ndtri(0.5 + 0.5 * levels.ravel())
    inside = np.zeros((levels.size, y_true.shape[1]))
    counts = np.zeros(y_true.shape[1])
    for columns in column_blocks(y_true.shape):
        truth, guess, valid = read_block(y_true, y_pred, mask, columns)
        std = y_std[:, columns].astype(np.float64)
        if not (std[valid] >= 0).all():
            raise ValueError("y_std is negative or NaN at a valid entry; expected 0 or more.")
        counts[columns] = valid.sum(axis=0)
        distance = np.abs(truth - guess)
        for k, width in enumerate(widths):
            inside[k, columns] = (valid & (distance <= width * std)).sum(axis=0)
    if not counts.any():
        raise ValueError("mask leaves no valid entry; expected at least one.")
    if multioutput == "pooled":
        found = (inside.sum(axis=1) / counts.sum()).reshape(levels.shape)
        return float(found) if levels.ndim == 0 else found
    with np.errstate(invalid="ignore"):
        return (inside / counts).reshape(levels.shape + counts.shape)
