"""Thresholds of probabilities by policy, from a ROC curve of any sampling evaluated at a prior."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_curve

from skastro.probabilities import (
    check_labels,
    check_numbers,
    check_probabilities,
    check_weights,
    effective_size,
)

__all__ = ["POLICIES", "Threshold", "find_threshold"]

# policy: its level where none is given (None: one must be), the lowest level, the highest
POLICIES = {
    "fixed": (0.5, 0, 1),
    "cost": (1.0, 0, np.inf),
    "mcc": (None, None, None),
    "fbeta": (1.0, 0, np.inf),
    "fdr": (None, 0, 1),
    "completeness": (None, 0, 1),
    "fpr": (None, 0, 1),
    "false_count": (None, 0, np.inf),
}
# none seen among N: the 95 % upper limit of a rate is this over N
NONE_SEEN = 3.0
# of rates that should be equal to a level
ROUNDING = 1e-12


class Threshold(NamedTuple):
    """What `find_threshold` returns: positive is a probability of at least `threshold`.

    Attributes
    ----------
    threshold : float
        Infinite where nothing can be accepted.
    tpr, fpr : float
        True and false positive rate at it; expected ones without labels.
    precision : float
        At the prior; NaN where nothing is accepted.
    fpr_limit : float
        95 % upper limit of `fpr`, 3 over the number of negatives, where no false positive was seen; else NaN.
    """

    threshold: float
    tpr: float
    fpr: float
    precision: float
    fpr_limit: float


def _check_level(policy, level, frame_size):
    if policy not in POLICIES:
        raise ValueError(f"policy={policy!r}; expected one of {', '.join(POLICIES)}.")
    default, low, high = POLICIES[policy]
    if policy == "mcc":
        if level is not None:
            raise ValueError(f"level={level!r}; expected None with policy='mcc'.")
        return None
    level = default if level is None else level
    try:
        right = low <= float(level) <= high and float(level) < np.inf
    except (TypeError, ValueError):
        right = False
    if not right or (policy in ("cost", "fbeta") and float(level) == 0):
        raise ValueError(
            f"level={level!r} with policy={policy!r}; expected a finite number from {low} to {high}"
            f"{', not 0' if policy in ('cost', 'fbeta') else ''}."
        )
    if policy == "false_count":
        if frame_size is None or not frame_size >= 1:
            raise ValueError(
                f"frame_size={frame_size!r} with policy='false_count'; expected the pixels of a frame."
            )
        return float(level) / frame_size
    return float(level)


def _precision(tpr, fpr, prior):
    accepted = prior * tpr + (1 - prior) * fpr
    return np.divide(
        prior * tpr, accepted, out=np.full(np.shape(accepted), np.nan), where=accepted > 0
    )


def _mcc(tpr, fpr, prior):
    accepted = prior * tpr + (1 - prior) * fpr
    refused = prior * (1 - tpr) + (1 - prior) * (1 - fpr)
    scale = np.sqrt(accepted * refused)
    return np.divide(tpr - fpr, scale, out=np.zeros(len(tpr)), where=scale > 0)


def _fbeta(tpr, fpr, prior, beta):
    return (1 + beta**2) * prior * tpr / (beta**2 * prior + prior * tpr + (1 - prior) * fpr)


def _cut(policy, level, tpr, fpr, cuts, prior):
    """Index of the cut of the ROC curve that a policy takes; cuts fall along it."""
    if policy == "mcc":
        return _mcc(tpr, fpr, prior).argmax()
    if policy == "fbeta":
        return _fbeta(tpr, fpr, prior, level).argmax()
    if policy == "completeness":
        return (tpr >= level * (1 - ROUNDING)).argmax()
    if policy == "fdr":
        # nothing accepted, nothing false
        false = (1 - prior) * fpr
        right = false <= level * (1 + ROUNDING) * (prior * tpr + false)
    elif policy in ("fpr", "false_count"):
        right = fpr <= level * (1 + ROUNDING)
    else:
        right = cuts >= level
    return np.flatnonzero(right)[-1]


def _without_labels(proba, weight, level):
    """The most probable rows whose mean probability to be false stays below the level."""
    order = np.argsort(-proba, kind="stable")
    p, w = proba[order], weight[order]
    last = np.append(p[1:] < p[:-1], True)
    true, false = np.cumsum(w * p), np.cumsum(w * (1 - p))
    right = np.flatnonzero(last & (false <= level * (1 + ROUNDING) * (true + false)))
    if right.size == 0:
        return Threshold(np.inf, 0.0, 0.0, np.nan, np.nan)
    i = right[-1]
    rates = [float(a[i] / a[-1]) if a[-1] > 0 else np.nan for a in (true, false)]
    return Threshold(float(p[i]), *rates, float(true[i] / (true[i] + false[i])), np.nan)


def find_threshold(
    y_true, proba, policy="mcc", *, level=None, prior=None, sample_weight=None, frame_size=None
):
    r"""Threshold of a class by policy, from a ROC curve of any sampling evaluated at a prior.

    .. math:: \mathrm{precision} = \frac{\pi\, \mathrm{TPR}}{\pi\, \mathrm{TPR} + (1 - \pi)\, \mathrm{FPR}}

    so that rows of which too many are positive serve to tune what will be used where few are [1]_. Positive
    is what is at least as probable as the threshold, as in scikit-learn; the policies but "fixed" and "cost"
    choose among the probabilities that are seen.

    Parameters
    ----------
    y_true : array-like of bool, or of 0 and 1, or None
        Held-out rows or pixels, of any shape. None: policy "fdr" from the probabilities alone.
    proba : array-like of the shape of `y_true`
        Corrected to the prior, as it will be where the threshold is used. Nothing here shifts it.
    policy : str, default="mcc"
        Of what `level` means: "fixed", the threshold; "cost", cost of a false positive over that of a false
        negative; "mcc", largest Matthews correlation (no level); "fbeta", largest F score with that beta;
        "fdr", the lowest threshold with at most that share of false ones among the accepted; "completeness",
        the highest with at least that true positive rate; "fpr", the lowest with at most that false positive
        rate; "false_count", the lowest with at most so many false positives in a frame.
    level : float, optional
        None: 0.5 with "fixed", 1 with "cost" and "fbeta".
    prior : float, optional
        Share of positives where the threshold is used. None: that of `y_true`, with its weights.
    sample_weight : array-like that broadcasts to the shape of `y_true`, optional
        Importance weights, where validation rows are stratified.
    frame_size : int, optional
        Pixels of a frame, for "false_count".

    Returns
    -------
    threshold : Threshold

    Raises
    ------
    ValueError
        NaN, no row, shapes that differ, a single class, another policy, a level or a prior out of its range.

    Warns
    -----
    UserWarning
        No false positive is seen, and too few negatives to show that the level of "fdr", "fpr" or
        "false_count" holds: at `fpr_limit` it does not.

    References
    ----------
    .. [1] Elkan, "The foundations of cost-sensitive learning", IJCAI (2001).

    Examples
    --------
    >>> from skastro.thresholds import find_threshold
    >>> y, proba = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.4, 0.6, 0.7, 0.9]
    >>> find_threshold(y, proba, "completeness", level=1.0).threshold
    0.4
    >>> find_threshold(y, proba, "mcc", prior=1e-3).threshold
    0.7
    """
    level = _check_level(policy, level, frame_size)
    proba = check_probabilities(proba)
    if y_true is None:
        if policy != "fdr" or prior is not None:
            raise ValueError(
                f"y_true is None with policy={policy!r}, prior={prior!r}; expected labels, or policy='fdr' "
                "and no prior."
            )
        weight = check_weights(sample_weight, proba.shape)
        return _without_labels(proba.ravel(), weight.ravel(), level)
    y, p, weight = check_labels(y_true, proba, sample_weight)
    if prior is None:
        prior = np.average(y, weights=weight)
    else:
        prior = check_numbers(prior, "prior")
        if prior.ndim or not 0 < prior < 1:
            raise ValueError(f"prior={prior}; expected a number between 0 and 1.")
    fpr, tpr, cuts = roc_curve(y, p, sample_weight=weight, drop_intermediate=False)
    if policy == "cost":
        level = level / (1 + level)
    i = _cut(policy, level, tpr, fpr, cuts, prior)
    limit = NONE_SEEN / effective_size(weight[~y]) if fpr[i] == 0 else np.nan
    # of what the level is of, at the limit
    worst = 1 - _precision(tpr[i], limit, prior) if policy == "fdr" else limit
    if policy in ("fdr", "fpr", "false_count") and tpr[i] > 0 and worst > level:
        warnings.warn(
            f"no false positive is seen: their {'share' if policy == 'fdr' else 'rate'} is below {worst:.3g} "
            f"(95 %), which does not show that it is below {level:.3g}.",
            stacklevel=2,
        )
    return Threshold(
        float(level if policy in ("fixed", "cost") else cuts[i]),
        float(tpr[i]),
        float(fpr[i]),
        float(_precision(tpr[i], fpr[i], prior)),
        float(limit),
    )
