"""Probabilities under another prior than that of the training rows.

Holds under label shift: the inputs of each class are as they were in training, only their shares differ.
"""

import numpy as np
from scipy.special import expit, logit, softmax

from skastro.probabilities import check_numbers, check_probabilities, check_weights

__all__ = ["correct_probabilities", "shift_logits", "subsampling_prior"]

KINDS = ("binary", "multiclass", "multilabel")
# how far the priors of exclusive classes, or their probabilities, may be from a sum of 1
SUM_TOLERANCE = {"prior": 1e-6, "proba": 1e-3}


def check_kind(kind):
    """An error for another kind."""
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}; expected one of {', '.join(KINDS)}.")


def _check_axis(values, kind, axis, name):
    if kind != "binary" and not -values.ndim <= axis < values.ndim:
        raise ValueError(f"{name} has shape {values.shape}; expected an axis {axis} of classes.")


def _check_sum(values, axis, name):
    total = values.sum(axis)
    tolerance = SUM_TOLERANCE["proba" if name == "proba" else "prior"]
    if np.abs(total - 1).max() > tolerance:
        wrong = total.flat[np.abs(total - 1).argmax()]
        raise ValueError(f"{name} sums to {wrong:.6g} over the classes; expected 1.")


def _place_prior(prior, shape, kind, axis, name):
    """The prior with as many axes as the logits: one axis is that of the classes."""
    prior = check_probabilities(prior, name)
    if kind != "binary" and prior.ndim == 1:
        prior = np.moveaxis(prior.reshape((-1,) + (1,) * (len(shape) - 1)), 0, axis)
    try:
        fits = np.broadcast_shapes(prior.shape, shape) == shape
    except ValueError:
        fits = False
    whole = kind != "multiclass" or (prior.ndim == len(shape) and prior.shape[axis] == shape[axis])
    if not (fits and whole):
        raise ValueError(
            f"{name} has shape {prior.shape}; expected one that broadcasts to {shape}"
            f"{'' if kind == 'binary' else ', or a number for each class'}."
        )
    if kind == "multiclass":
        _check_sum(prior, axis, name)
    return prior


def _log_ratio(prior, training_prior, complement=False):
    """ln(prior / training prior), or that of what is not the class; minus infinity for a prior of 0."""
    prior, training_prior = np.broadcast_arrays(prior, training_prior)
    none = prior == (1 if complement else 0)
    lost = ~none & (training_prior == (1 if complement else 0))
    if lost.any():
        raise ValueError(
            f"training_prior is {int(complement)} where prior is {prior[lost].flat[0]:.4g}; expected a "
            "class in the training rows wherever the prior has it."
        )
    log = (lambda p: np.log1p(-p)) if complement else np.log
    half = np.where(none, 0.5, prior), np.where(none, 0.5, training_prior)
    return np.where(none, -np.inf, log(half[0]) - log(half[1]))


def shift_logits(logits, prior, training_prior, *, kind="binary", axis=-1):
    r"""Move logits from the prior of training to another one [1]_ [2]_.

    .. math:: z' = z + \ln\frac{\pi}{1 - \pi} - \ln\frac{\tau}{1 - \tau}
              \quad\text{or}\quad z'_c = z_c + \ln \pi_c - \ln \tau_c

    with :math:`\pi` the prior and :math:`\tau` that of training: the first for a class alone, the second
    for exclusive classes, before the softmax.

    Parameters
    ----------
    logits : array-like
        Of any shape. Of exclusive classes: logarithms of probabilities, but for a constant.
    prior : array-like that broadcasts to the shape of `logits`
        Share of each class where the logits are used: for all, by image or by pixel. With several classes,
        one number for each or an array with as many axes as `logits`.
    training_prior : array-like that broadcasts to the shape of `logits`
        Effective share of each class in training, as `subsampling_prior` gives it.
    kind : {"binary", "multiclass", "multilabel"}, default="binary"
        One class and its absence; exclusive classes; several labels, each alone.
    axis : int, default=-1
        Axis of the classes, unless binary.

    Returns
    -------
    logits : ndarray of the shape of `logits`
        The same where both priors are. Infinite where a prior is 0 or 1.

    Raises
    ------
    ValueError
        NaN, shapes that don't agree, priors outside 0 to 1, priors of exclusive classes that don't sum to 1,
        a class without training rows and with a prior, a certain logit that the prior rules out.

    References
    ----------
    .. [1] Elkan, "The foundations of cost-sensitive learning", IJCAI (2001).
    .. [2] Saerens, Latinne & Decaestecker, "Adjusting the outputs of a classifier to new a priori
       probabilities: a simple procedure", Neural Computation 14, 21 (2002).

    Examples
    --------
    >>> from skastro.prior_shift import shift_logits
    >>> shift_logits([0.0, 9.0], prior=1e-3, training_prior=0.5).round(3)
    array([-6.907,  2.093])
    """
    check_kind(kind)
    logits = check_numbers(logits, "logits")
    _check_axis(logits, kind, axis, "logits")
    prior = _place_prior(prior, logits.shape, kind, axis, "prior")
    training_prior = _place_prior(training_prior, logits.shape, kind, axis, "training_prior")
    shift = _log_ratio(prior, training_prior)
    if kind == "multiclass":
        if (logits == np.inf).any():
            raise ValueError("logits has infinity; expected logarithms of probabilities.")
        shifted = logits + shift
        impossible = (shifted == -np.inf).all(axis)
    else:
        shift = shift - _log_ratio(prior, training_prior, complement=True)
        impossible = np.isinf(logits) & np.isinf(shift) & (np.sign(logits) != np.sign(shift))
        shifted = logits + np.where(impossible, 0, shift)
    if impossible.any():
        raise ValueError(
            f"prior is 0 for what {impossible.sum()} rows or pixels are certain to be; expected a prior "
            "above 0 there."
        )
    return shifted


def logits_of(proba, kind, axis, from_logits):
    """Checked logits, from probabilities or as they are."""
    proba = check_numbers(proba, "proba") if from_logits else check_probabilities(proba)
    _check_axis(proba, kind, axis, "proba")
    if from_logits:
        return proba
    if kind != "multiclass":
        return logit(proba)
    _check_sum(proba, axis, "proba")
    with np.errstate(divide="ignore"):
        return np.log(proba)


def correct_probabilities(
    proba, prior, training_prior, *, kind="binary", axis=-1, from_logits=False
):
    r"""Probabilities under another prior than that of training [1]_ [2]_.

    .. math:: p' = \frac{p}{p + (1 - p)\, a},\quad a = \frac{\tau}{1 - \tau}\, \frac{1 - \pi}{\pi}
              \quad\text{or}\quad p'_c \propto p_c\, \pi_c / \tau_c

    With several labels each is corrected alone, to first order: "not this label" holds the others, whose
    shares usually change too.

    Parameters
    ----------
    proba : array-like
        Probabilities that hold under the prior of training. Logits are better: float32 rounds what is near 1.
    prior, training_prior : array-like that broadcasts to the shape of `proba`
        As in `shift_logits`.
    kind : {"binary", "multiclass", "multilabel"}, default="binary"
    axis : int, default=-1
        Axis of the classes, unless binary.
    from_logits : bool, default=False
        Whether `proba` holds logits.

    Returns
    -------
    proba : ndarray of the shape of `proba`

    Raises
    ------
    ValueError
        As of `shift_logits`; probabilities outside 0 to 1, or of exclusive classes that don't sum to 1.

    References
    ----------
    .. [1] Elkan, "The foundations of cost-sensitive learning", IJCAI (2001).
    .. [2] Dal Pozzolo, Caelen, Johnson & Bontempi, "Calibrating probability with undersampling for unbalanced
       classification", IEEE SSCI (2015).

    Examples
    --------
    >>> from skastro.prior_shift import correct_probabilities
    >>> correct_probabilities([0.5, 0.999], prior=1e-3, training_prior=0.5)
    array([0.001, 0.5  ])
    """
    check_kind(kind)
    logits = logits_of(proba, kind, axis, from_logits)
    logits = shift_logits(logits, prior, training_prior, kind=kind, axis=axis)
    return softmax(logits, axis=axis) if kind == "multiclass" else expit(logits)


def subsampling_prior(y, sample_weight=None, *, kept=None, kind="binary", n_classes=None, axis=-1):
    r"""Effective prior of training: what weights and sub-sampling make of the shares of the classes.

    .. math:: \tau_c = \sum_{i \in c} w_i k_c \Big/ \sum_i w_i k_{c_i}

    Parameters
    ----------
    y : array-like
        Labels: 0 and 1, the numbers of exclusive classes from 0, or 0 and 1 along the axis of the labels.
    sample_weight : array-like that broadcasts to the shape of `y`, optional
        Weights in the loss; 0 leaves a row or pixel out. Rows that were kept with some probability and weigh
        its inverse count as if all were there.
    kept : array-like of shape (2,) or (n_classes,), optional
        Fraction of the rows of each class that training draws: of 0 and of 1 unless the classes are
        exclusive. None: `y` is what it sees.
    kind : {"binary", "multiclass", "multilabel"}, default="binary"
    n_classes : int, optional
        Of exclusive classes. None: up to the largest of `y`.
    axis : int, default=-1
        Axis of the labels, for several.

    Returns
    -------
    training_prior : float or ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        Other labels, shapes that don't agree, a fraction outside 0 to 1, nothing left.

    Examples
    --------
    >>> from skastro.prior_shift import subsampling_prior
    >>> round(subsampling_prior([0] * 999 + [1], kept=[1 / 999, 1]), 3)
    0.5
    >>> subsampling_prior([0, 0, 1], sample_weight=[1, 1, 2])
    0.5
    """
    check_kind(kind)
    y = check_numbers(y, "y")
    largest = y.max() if kind == "multiclass" else 1
    if kind == "multiclass" and n_classes is not None:
        largest = n_classes - 1
    if y.min() < 0 or y.max() > largest or (y != np.floor(y)).any():
        raise ValueError(
            f"y has values from {y.min():.4g} to {y.max():.4g}; expected whole numbers from 0 to "
            f"{largest:.0f}."
        )
    y, n = y.astype(np.intp), int(largest) + 1
    weight = check_weights(sample_weight, y.shape)
    kept = np.ones(n) if kept is None else check_probabilities(kept, "kept")
    if kept.shape != (n,):
        raise ValueError(f"kept has shape {kept.shape}; expected ({n},).")
    weight = weight * kept[y]
    if kind == "multilabel":
        _check_axis(y, kind, axis, "y")
        y, weight = (np.moveaxis(a, axis, 0).reshape(y.shape[axis], -1) for a in (y, weight))
        total = weight.sum(1)
        share = (weight * y).sum(1)
    else:
        total = weight.sum()
        share = np.bincount(y.ravel(), weights=weight.ravel(), minlength=n)
        share = share if kind == "multiclass" else share[1]
    if (total == 0).any():
        raise ValueError("sample_weight and kept leave no row; expected some weight in each label.")
    return float(share / total) if kind == "binary" else share / total
