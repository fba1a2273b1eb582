"""The ranges of the targets, between which they are scaled to [0, 1]."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

__all__ = ["learn_bounds", "outside", "read_bounds"]

# Learnt ranges reach beyond the training targets by that part of their width, each way.
MARGIN = 0.05


def read_bounds(target_bounds, n_targets, names=None):
    """Bounds as a user gives them.

    Parameters
    ----------
    target_bounds : tuple (low, high), array-like of shape (n_targets, 2), or dict of name to (low, high)
        A pair is for all targets. A target that a dictionary leaves out, or a bound that is None or NaN,
        is learnt.
    n_targets : int
    names : list of str or None
        Of the targets.

    Returns
    -------
    bounds : ndarray of shape (n_targets, 2)
        NaN where they are to be learnt.

    Raises
    ------
    ValueError
        Another shape, an unknown name, or a low bound that is not below the high one.

    Examples
    --------
    >>> from skastro.regression.targets import read_bounds
    >>> read_bounds((0, 1), 2)
    array([[0., 1.],
           [0., 1.]])
    """
    if isinstance(target_bounds, dict):
        unknown = [name for name in target_bounds if name not in (names or [])]
        if unknown:
            raise ValueError(
                f"target_bounds has the name {unknown[0]!r}; expected some of {names}, the columns of y."
            )
        target_bounds = [target_bounds.get(name, (None, None)) for name in names]
    try:
        bounds = np.asarray(target_bounds, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"target_bounds={target_bounds!r}; expected pairs (low, high).") from error
    if bounds.shape not in ((2,), (n_targets, 2)):
        raise ValueError(
            f"target_bounds has shape {bounds.shape}; expected (2,) or ({n_targets}, 2)."
        )
    bounds = np.broadcast_to(bounds, (n_targets, 2)).copy()
    wrong = np.flatnonzero((bounds[:, 0] >= bounds[:, 1]) | np.isinf(bounds).any(axis=1))
    if wrong.size:
        low, high = bounds[wrong[0]]
        raise ValueError(
            f"target_bounds of target {wrong[0]} are ({low}, {high}); expected finite ones, low below high."
        )
    return bounds


def learn_bounds(y, given=None):
    """Bounds from the training targets, where none are given.

    Parameters
    ----------
    y : ndarray of shape (n, n_targets)
    given : ndarray of shape (n_targets, 2), optional
        NaN where unknown.

    Returns
    -------
    bounds : ndarray of shape (n_targets, 2)
        Beyond the targets by a twentieth of their range where learnt.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.regression.targets import learn_bounds
    >>> learn_bounds(np.array([[0.0], [10.0]]))
    array([[-0.5, 10.5]])
    """
    low, high = y.min(axis=0), y.max(axis=0)
    width = high - low
    for column in np.flatnonzero(width == 0):
        if given is None or np.isnan(given[column]).any():
            warnings.warn(
                f"y is constant in target {column}, at {low[column]:.6g}: there is nothing to learn.",
                ConvergenceWarning,
                stacklevel=3,
            )
    width = np.where(width > 0, width, 1e-6 * np.maximum(np.abs(low), 1.0))
    bounds = np.stack([low - MARGIN * width, high + MARGIN * width], axis=1)
    return bounds if given is None else np.where(np.isnan(given), bounds, given)


def outside(y, bounds):
    """The first target outside its bounds.

    Parameters
    ----------
    y : ndarray of shape (n, n_targets)
    bounds : ndarray of shape (n_targets, 2)
        NaN: no bound.

    Returns
    -------
    place : tuple (row, target) or None
    """
    with np.errstate(invalid="ignore"):
        found = np.argwhere((y < bounds[:, 0]) | (y > bounds[:, 1]))
    return (int(found[0][0]), int(found[0][1])) if len(found) else None
