"""The share of each class among rows without labels, from their probabilities."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.utils import check_random_state

from skastro.prior_shift import check_kind, logits_of
from skastro.probabilities import check_probabilities

__all__ = ["PriorEstimate", "estimate_prior"]

# below so many expected positives the estimate hangs on the far tail of the probabilities
FEW = 30
# a prior has converged when it moves by less than this share of one row
SHARE_OF_ROW = 1e-5


class PriorEstimate(NamedTuple):
    """What `estimate_prior` returns: numbers for one class, arrays of shape (n_classes,) for more.

    Attributes
    ----------
    prior : float or ndarray
    error : float or ndarray
        Standard deviation of bootstrap estimates; NaN without them, or with a single group.
    expected : float or ndarray
        Expected number of rows or pixels of each class.
    converged : bool
    """

    prior: np.ndarray
    error: np.ndarray
    expected: np.ndarray
    converged: bool


def _em_step(pi, ratio, weight):
    mixture = ratio @ pi
    return pi * ((weight / mixture) @ ratio), weight @ np.log(mixture)


def _em(ratio, weight, start, tol, max_iter):
    """Priors that fit the likelihood ratios best, by EM in squared steps (SQUAREM).

    The likelihood is concave, so a long step is kept whenever it does not lower it.
    """
    weight = weight / weight.sum()
    enough = SHARE_OF_ROW / len(ratio)
    pi = start
    for _ in range(max_iter):
        first, likelihood = _em_step(pi, ratio, weight)
        if (np.abs(first - pi) <= tol * first + enough).all():
            return first, True
        second, _ = _em_step(first, ratio, weight)
        change = first - pi
        bend = (second - first) - change
        pi, previous = second, pi
        if np.abs(bend).max() > 0:
            step = max(1.0, np.sqrt(np.square(change).sum() / np.square(bend).sum()))
            far = previous + 2 * step * change + step**2 * bend
            if (far > 0).all():
                far, reached = _em_step(far / far.sum(), ratio, weight)
                pi = far if reached >= likelihood else second
    return pi, False


def _estimate(ratio, rows, start, tol, max_iter, n_bootstrap, rng):
    """Prior, error and whether it converged, of exclusive classes."""
    prior, converged = _em(ratio, np.ones(len(ratio)), start, tol, max_iter)
    n_groups = rows.max() + 1
    if n_bootstrap < 2 or n_groups < 2:
        return prior, np.full(len(prior), np.nan), converged
    # away from 0, where EM would stay
    near = 0.9 * prior + 0.1 * start
    again = []
    for _ in range(n_bootstrap):
        times = np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)[rows]
        drawn = times > 0
        again.append(_em(ratio[drawn], times[drawn].astype(float), near, tol, max_iter)[0])
    return prior, np.std(again, axis=0, ddof=1), converged


def estimate_prior(
    proba,
    training_prior,
    *,
    kind="binary",
    axis=-1,
    from_logits=False,
    groups=None,
    n_bootstrap=50,
    tol=1e-6,
    max_iter=1000,
    random_state=None,
):
    r"""Share of each class among rows without labels, by expectation-maximisation [1]_.

    .. math:: p_{ic} = \frac{(\pi_c / \tau_c)\, q_{ic}}{\sum_k (\pi_k / \tau_k)\, q_{ik}},
              \qquad \pi_c = \frac{1}{n} \sum_i p_{ic}

    from probabilities q under the prior of training :math:`\tau`, to the largest likelihood. It needs
    probabilities that are calibrated [2]_ and classes that look different.

    Parameters
    ----------
    proba : array-like
        Probabilities of rows or pixels, of any shape, that hold under `training_prior`.
    training_prior : float or array-like of shape (n_classes,)
        Between 0 and 1.
    kind : {"binary", "multiclass", "multilabel"}, default="binary"
    axis : int, default=-1
        Axis of the classes, unless binary.
    from_logits : bool, default=False
        Whether `proba` holds logits.
    groups : array-like of shape (n,), optional
        What each index of the first axis (other than that of the classes) belongs to: the bootstrap draws
        whole groups. None: each index is one, so images are frames.
    n_bootstrap : int, default=50
        Draws for the error; each costs about as much as the estimate. 0: no error.
    tol : float, default=1e-6
        Relative change of the priors in a step of EM that ends it.
    max_iter : int, default=1000
    random_state : int, RandomState or None, default=None
        Of the bootstrap.

    Returns
    -------
    estimate : PriorEstimate

    Raises
    ------
    ValueError
        NaN, shapes that don't agree, probabilities outside 0 to 1, a prior of training of 0 or 1, rows that
        are certain to be of no class.

    Warns
    -----
    UserWarning
        Fewer than 30 rows of a class are expected: errors of the probabilities in the far tail weigh more.
        Or no convergence.

    References
    ----------
    .. [1] Saerens, Latinne & Decaestecker, "Adjusting the outputs of a classifier to new a priori
       probabilities: a simple procedure", Neural Computation 14, 21 (2002).
    .. [2] Alexandari, Kundaje & Shrikumar, "Maximum likelihood with bias-corrected calibration is
       hard-to-beat at label shift adaptation", ICML (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.prior_estimate import estimate_prior
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=20_000) + 3 * (np.arange(20_000) < 1000)
    >>> found = estimate_prior(3 * x - 4.5, 0.5, from_logits=True, random_state=0)
    >>> round(found.prior, 3), round(found.error, 3)
    (0.049, 0.002)
    """
    check_kind(kind)
    logits = logits_of(proba, kind, axis, from_logits)
    logits = logits[..., None] if kind == "binary" else np.moveaxis(logits, axis, -1)
    n_classes = logits.shape[-1]
    tau = check_probabilities(training_prior, "training_prior")
    if tau.shape not in ((), (n_classes,)) or (kind == "multiclass" and tau.ndim == 0):
        raise ValueError(f"training_prior has shape {tau.shape}; expected ({n_classes},).")
    if tau.min() == 0 or tau.max() == 1:
        raise ValueError(
            f"training_prior has values from {tau.min():.4g} to {tau.max():.4g}; expected between 0 and 1."
        )
    if kind == "multiclass" and abs(tau.sum() - 1) > 1e-6:
        raise ValueError(f"training_prior sums to {tau.sum():.6g} over the classes; expected 1.")
    if max_iter < 1 or tol <= 0 or n_bootstrap < 0:
        raise ValueError(
            f"max_iter={max_iter}, tol={tol}, n_bootstrap={n_bootstrap}; expected at least 1, above 0, and "
            "at least 0."
        )
    outer = logits.shape[0] if logits.ndim > 1 else 1
    groups = np.arange(outer) if groups is None else np.asarray(groups)
    if groups.shape != (outer,):
        raise ValueError(f"groups has shape {groups.shape}; expected ({outer},).")
    rows = np.unique(groups, return_inverse=True)[1]
    logits = logits.reshape(outer, -1, n_classes)
    rows = np.repeat(rows, logits.shape[1])
    logits = logits.reshape(-1, n_classes)
    seed = None if random_state is None else check_random_state(random_state).randint(2**31)
    rng = np.random.default_rng(seed)
    settings = (tol, max_iter, n_bootstrap, rng)
    if kind == "multiclass":
        if np.isinf(logits.max(1)).any():
            raise ValueError("proba has rows without a finite logit; expected one in each.")
        log_ratio = log_softmax(logits, axis=-1) - np.log(tau)
        parts = [(_ratio(log_ratio), tau)]
    else:
        tau = np.broadcast_to(tau, n_classes)
        pairs = [np.stack([1 - t, t]) for t in tau]
        logs = [np.stack([log_expit(-z), log_expit(z)], 1) for z in logits.T]
        parts = [(_ratio(one - np.log(t)), t) for one, t in zip(logs, pairs, strict=True)]
    found = [_estimate(ratio, rows, start, *settings) for ratio, start in parts]
    if kind == "multiclass":
        prior, error, converged = found[0]
    else:
        prior, error = (np.array([one[i][1] for one in found]) for i in (0, 1))
        converged = all(one[2] for one in found)
    expected = prior * len(logits)
    if not converged:
        warnings.warn(f"no convergence in max_iter={max_iter} steps.", stacklevel=2)
    if expected.min() < FEW:
        warnings.warn(
            f"only {expected.min():.3g} rows are expected in a class: below {FEW}, the estimate hangs on "
            "errors of the probabilities in the far tail.",
            stacklevel=2,
        )
    if kind == "binary":
        prior, error, expected = float(prior[0]), float(error[0]), float(expected[0])
    return PriorEstimate(prior, error, expected, converged)


def _ratio(log_ratio):
    """Likelihood ratios of the classes, the largest of each row 1."""
    return np.exp(log_ratio - log_ratio.max(1, keepdims=True))
