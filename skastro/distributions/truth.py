"""A truth and what was predicted of it: checked together."""

import numpy as np

from skastro.distributions.base import Distribution

__all__ = ["aggregate", "check_truth"]


def check_truth(y_true, distribution):
    """Truth as (n, n_targets) in float64, that is of the rows and targets of a distribution.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
    distribution : Distribution
    """
    if not isinstance(distribution, Distribution):
        raise ValueError(
            f"distribution is a {type(distribution).__name__}; expected a Distribution, as of "
            "predict_distribution."
        )
    y = np.asarray(y_true, dtype=float)
    shape = distribution.shape
    if y.ndim == 1 and shape[1] == 1:
        y = y[:, None]
    if y.shape != shape or y.size == 0:
        raise ValueError(
            f"y_true has shape {np.shape(y_true)}; expected {shape}, as of distribution."
        )
    if not np.isfinite(y).all():
        raise ValueError("y_true has NaN or infinity; expected finite numbers.")
    return y


def aggregate(values, multioutput):
    """The mean over the targets, or each.

    Parameters
    ----------
    values : ndarray of shape (..., n_targets)
    multioutput : {"uniform_average", "raw_values"}
    """
    if multioutput == "raw_values":
        return values
    if multioutput != "uniform_average":
        raise ValueError(
            f"multioutput={multioutput!r}; expected 'uniform_average' or 'raw_values'."
        )
    mean = values.mean(-1)
    return float(mean) if np.ndim(mean) == 0 else mean
