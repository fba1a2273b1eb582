"""True and predicted classes of rows and pixels, one class at a time, for pictures."""

from typing import NamedTuple

import numpy as np

from skastro.displays.targets import resolve_target
from skastro.probabilities import check_probabilities

__all__ = ["SeenLabel", "check_labels", "predicted_maps", "read_labels"]

IGNORED = 255


class SeenLabel(NamedTuple):
    """A class against all others, over the rows or pixels that are scored.

    Attributes
    ----------
    name : str
        "" where there is one class without a name.
    y : ndarray of bool of shape (n,)
    proba : ndarray of shape (n,)
    """

    name: str
    y: np.ndarray
    proba: np.ndarray


def check_labels(y, proba, name, axis, ignore_index=IGNORED):
    """Check true or decided classes against probabilities.

    Parameters
    ----------
    y : array-like
        Of the shape of `proba`, bool or 0 and 1; or of exclusive classes, the index of each, in the shape of
        `proba` without `axis`.
    proba : ndarray
    name : str
        Of `y`, in errors.
    axis : int or None
        Of the classes, where there are several.
    ignore_index : int or None, default=255
        Not scored, as NaN.

    Returns
    -------
    y : ndarray
    scored : ndarray of bool
        Of the shape of `y`.
    exclusive : bool

    Raises
    ------
    ValueError
        Another shape, other values than classes.
    """
    y = np.asarray(y)
    n = 1 if axis is None else proba.shape[axis]
    exclusive = n > 1 and y.shape == (*proba.shape[:axis], *proba.shape[axis + 1 :])
    if y.shape != proba.shape and not exclusive:
        raise ValueError(f"{name} has shape {y.shape}; expected {proba.shape}, as proba.")
    scored = ~np.isnan(y) if y.dtype.kind == "f" else np.ones(y.shape, bool)
    if ignore_index is not None:
        scored &= y != ignore_index
    top = n - 1 if exclusive else 1
    seen = np.unique(y[scored])
    if not np.isin(seen, np.arange(top + 1)).all():
        rest = "" if ignore_index is None else f", or {ignore_index} where not scored"
        raise ValueError(
            f"{name} has values from {seen[0]} to {seen[-1]}; expected whole numbers from 0 to {top}{rest}."
        )
    return y, scored, exclusive


def read_labels(y_true, proba, *, labels=None, show=None, ignore_index=IGNORED):
    """Take true and predicted classes apart.

    Parameters
    ----------
    y_true : array-like
        Of the shape of `proba`, bool or 0 and 1; or of exclusive classes (n, h, w), the index of each.
        `ignore_index` and NaN are not scored.
    proba : array-like of shape (n,), (n, h, w) or (n, n_labels, h, w)
        Probabilities of one class, or of several.
    labels : sequence of str, optional
        Names of all.
    show : int, str or list of such, optional
        Which are taken; all by default.
    ignore_index : int, default=255

    Returns
    -------
    seen : list of SeenLabel

    Raises
    ------
    ValueError
        Shapes that don't agree, probabilities outside 0 to 1 or NaN, other labels than 0 and 1, classes that
        aren't there, no pixel that is scored.
    """
    proba = check_probabilities(proba)
    several = proba.ndim == 4
    n = proba.shape[1] if several else 1
    y, scored, exclusive = check_labels(
        y_true, proba, "y_true", 1 if several else None, ignore_index
    )
    names = [str(one) for one in labels] if labels is not None else []
    if names and len(names) != n:
        raise ValueError(f"labels has {len(names)} entries; expected {n}.")
    if not scored.any():
        raise ValueError("y_true has nothing that is scored; expected at least one pixel.")
    chosen = range(n)
    if show is not None:
        show = [show] if isinstance(show, str | int | np.integer) else list(show)
        chosen = [resolve_target(one, names, n, "show") for one in show]
        if not chosen:
            raise ValueError("show is empty; expected at least one.")
    names = names or ([f"class {i}" for i in range(n)] if several else [""])
    found = []
    for i in chosen:
        truth = y[:, i] if several and not exclusive else y
        known = scored[:, i] if several and not exclusive else scored
        given = proba[:, i] if several else proba
        wanted = i if exclusive else 1
        found.append(SeenLabel(names[i], truth[known] == wanted, given[known]))
    return found


def predicted_maps(estimator, X, name=None):
    """Probabilities of a fitted estimator, and what to call it and its classes.

    Parameters
    ----------
    estimator : fitted estimator
        With a `predict_proba` that gives maps.
    X : array-like
        As it takes it.
    name : str, optional
        The class of the estimator by default.

    Returns
    -------
    proba : ndarray
    name : str
    labels : list of str or None
        Its `labels_`, if they are as many.

    Raises
    ------
    ValueError
        It has no `predict_proba`.
    """
    if not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"{type(estimator).__name__} has no predict_proba; expected an estimator that has."
        )
    proba = np.asarray(estimator.predict_proba(X))
    labels = getattr(estimator, "labels_", None)
    n = proba.shape[1] if proba.ndim == 4 else 1
    labels = None if labels is None or len(labels) != n else [str(one) for one in labels]
    return proba, type(estimator).__name__ if name is None else name, labels
