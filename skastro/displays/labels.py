"""True and predicted classes of rows and pixels, one class at a time, for pictures."""

from typing import NamedTuple

import numpy as np

from skastro.displays.targets import resolve_target
from skastro.probabilities import check_probabilities

__all__ = ["SeenLabel", "predicted_maps", "read_labels"]

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
    y = np.asarray(y_true)
    several = proba.ndim == 4
    n = proba.shape[1] if several else 1
    exclusive = several and y.shape == (len(proba), *proba.shape[2:])
    if y.shape != proba.shape and not exclusive:
        raise ValueError(f"y_true has shape {y.shape}; expected {proba.shape}, as proba.")
    names = [str(one) for one in labels] if labels is not None else []
    if names and len(names) != n:
        raise ValueError(f"labels has {len(names)} entries; expected {n}.")
    scored = y != ignore_index
    if y.dtype.kind == "f":
        scored &= ~np.isnan(y)
    top = n - 1 if exclusive else 1
    seen = np.unique(y[scored])
    if seen.size == 0:
        raise ValueError("y_true has nothing that is scored; expected at least one pixel.")
    if not np.isin(seen, np.arange(top + 1)).all():
        raise ValueError(
            f"y_true has values from {seen[0]} to {seen[-1]}; expected whole numbers from 0 to {top}, or "
            f"{ignore_index} where not scored."
        )
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
