"""Checks of labels, probabilities and weights, shared by all that reads them."""

import numpy as np

from skastro.validation import native

__all__ = ["check_labels", "check_probabilities"]


def check_numbers(values, name):
    """Float64 numbers without NaN, at least one."""
    try:
        values = native(values).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of numbers; expected floats.") from error
    if values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; expected at least one number.")
    if np.isnan(values).any():
        raise ValueError(f"{name} has {np.isnan(values).sum()} NaN; expected numbers.")
    return values


def check_probabilities(proba, name="proba"):
    """Probabilities as float64.

    Parameters
    ----------
    proba : array-like
    name : str, default="proba"
        For the error.

    Returns
    -------
    proba : ndarray of float64

    Raises
    ------
    ValueError
        Empty, NaN, or outside 0 to 1.

    Examples
    --------
    >>> from skastro.probabilities import check_probabilities
    >>> check_probabilities([0.2, 1.2])
    Traceback (most recent call last):
        ...
    ValueError: proba has values from 0.2 to 1.2; expected 0 to 1.
    """
    proba = check_numbers(proba, name)
    if proba.min() < 0 or proba.max() > 1:
        raise ValueError(
            f"{name} has values from {proba.min():.4g} to {proba.max():.4g}; expected 0 to 1."
        )
    return proba


def check_weights(sample_weight, shape):
    """Weights of that shape, from 0, not all 0; ones for None."""
    if sample_weight is None:
        return np.ones(shape)
    weight = check_numbers(sample_weight, "sample_weight")
    try:
        weight = np.broadcast_to(weight, shape)
    except ValueError as error:
        raise ValueError(
            f"sample_weight has shape {weight.shape}; expected one that broadcasts to {shape}."
        ) from error
    if weight.min() < 0 or not 0 < weight.max() < np.inf:
        raise ValueError(
            f"sample_weight has values from {weight.min():.4g} to {weight.max():.4g}; expected finite ones "
            "from 0, not all 0."
        )
    return weight


def check_labels(y_true, score, sample_weight=None, *, name="proba", both=True):
    """Binary labels, their scores and weights, flat; what has no weight is left out.

    Parameters
    ----------
    y_true : array-like of bool, or of 0 and 1
        Of any shape: rows, or pixels of images.
    score : array-like of the shape of `y_true`
        Checked numbers: probabilities or logits.
    sample_weight : array-like that broadcasts to the shape of `y_true`, optional
    name : str, default="proba"
        Of `score`, for the error.
    both : bool, default=True
        Whether both classes must be there.

    Returns
    -------
    y_true : ndarray of shape (n,), bool
    score : ndarray of shape (n,)
    weight : ndarray of shape (n,)

    Raises
    ------
    ValueError
        Shapes that differ, other labels, a class that is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.probabilities import check_labels
    >>> check_labels([[0, 1]], np.array([[0.2, 0.7]]))
    (array([False,  True]), array([0.2, 0.7]), array([1., 1.]))
    """
    labels = check_numbers(y_true, "y_true")
    if labels.shape != score.shape:
        raise ValueError(
            f"y_true has shape {labels.shape}; expected {score.shape}, the shape of {name}."
        )
    if not ((labels == 0) | (labels == 1)).all():
        wrong = labels[(labels != 0) & (labels != 1)].flat[0]
        raise ValueError(f"y_true has {wrong:.4g}; expected labels 0 and 1.")
    weight = check_weights(sample_weight, labels.shape)
    used = weight > 0
    labels, score, weight = labels[used] == 1, score[used], weight[used]
    if both and labels.all() | ~labels.any():
        raise ValueError(f"y_true has only the class {int(labels[0])}; expected both classes.")
    return labels, score, weight


def effective_size(weight):
    """How many rows of equal weight would scatter as these do (Kish)."""
    return weight.sum() ** 2 / np.square(weight).sum()
