"""Scores of predicted distributions: whether they hold, and how sharp they are.

A training histogram given to every row holds and knows nothing: calibration (`pit_summary`, `hpd_values`,
`interval_coverage`) is always read beside a proper score (`crps`, `cde_loss`, `log_score`).
"""

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from skastro.calibration_metrics import (
    PITSummary,
    hpd_values,
    interval_coverage,
    pit_summary,
    pit_values,
)
from skastro.distributions.rows import check_levels
from skastro.distributions.truth import aggregate, check_truth

__all__ = [
    "DISTRIBUTION_SCORERS",
    "PITSummary",
    "cde_loss",
    "crps",
    "hpd_values",
    "interval_coverage",
    "log_score",
    "make_distribution_scorer",
    "pinball_loss",
    "pit_summary",
    "pit_values",
]

# Levels from 0.05 to 0.95.
TWENTIETHS = tuple(i / 20 for i in range(1, 20))


def crps(y_true, distribution, *, multioutput="uniform_average"):
    r"""Continuous ranked probability score, in the units of the target; smaller is better [1]_ [2]_.

    .. math:: \mathrm{CRPS} = \frac 1 n \sum_i \int \left( F_i(t) - 1[t \ge y_i] \right)^2 \mathrm dt

    The absolute error, for a prediction without spread. Exact for piecewise-linear CDFs, mixtures of
    Gaussians and draws; by a table of the CDF otherwise.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
    distribution : Distribution
        Of shape (n, n_targets).
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        The mean over the targets, or each.

    Returns
    -------
    score : float or ndarray of shape (n_targets,)

    Raises
    ------
    ValueError
        As of `pit_values`; another `multioutput`.

    References
    ----------
    .. [1] Matheson & Winkler, "Scoring rules for continuous probability distributions", Management
       Science 22, 1087 (1976).
    .. [2] Gneiting & Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102, 359
       (2007).

    Examples
    --------
    >>> from skastro.distribution_metrics import crps
    >>> from skastro.distributions import PiecewiseDistribution
    >>> distribution = PiecewiseDistribution([0.0, 1.0], [[[0, 1]], [[0, 1]]])
    >>> round(crps([0.5, 2.0], distribution), 4)
    0.7083
    """
    y = check_truth(y_true, distribution)
    return aggregate(distribution.crps(y).mean(0), multioutput)


def cde_loss(y_true, distribution, *, multioutput="uniform_average"):
    r"""Loss of conditional densities, in inverse units of the target; smaller is better [1]_.

    .. math:: L = \frac 1 n \sum_i \int f_i(t)^2\, \mathrm dt - \frac 2 n \sum_i f_i(y_i)

    The integrated squared error of the density but for a constant: negative where it is of use. Of each
    target alone. Exact for piecewise-linear CDFs (infinite for a step) and mixtures of Gaussians.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
    distribution : Distribution
        Of shape (n, n_targets).
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        The mean over the targets, or each.

    Returns
    -------
    loss : float or ndarray of shape (n_targets,)

    Raises
    ------
    ValueError
        As of `pit_values`; another `multioutput`.

    References
    ----------
    .. [1] Izbicki & Lee, "Converting high-dimensional regression to high-dimensional conditional density
       estimation", Electronic Journal of Statistics 11, 2800 (2017).

    Examples
    --------
    >>> from skastro.distribution_metrics import cde_loss
    >>> from skastro.distributions import PiecewiseDistribution
    >>> distribution = PiecewiseDistribution([0.0, 0.5], [[[0, 1]], [[0, 1]]])
    >>> cde_loss([0.3, 0.1], distribution), cde_loss([0.3, 0.7], distribution)
    (-2.0, 0.0)
    """
    y = check_truth(y_true, distribution)
    losses = distribution.squared_integral() - 2 * distribution.pdf(y)
    return aggregate(losses.mean(0), multioutput)


def log_score(y_true, distribution, *, floor=1e-10, multioutput="joint"):
    r"""Minus the mean logarithm of the density at the truth; smaller is better [1]_.

    .. math:: S = -\frac 1 n \sum_i \ln \max\left( f_i(y_i), f_{\min} \right)

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
    distribution : Distribution
        Of shape (n, n_targets).
    floor : float, default=1e-10
        Least density, in inverse units of the target (of all targets, with "joint"): what a truth outside
        of a prediction's range costs. 0: infinite.
    multioutput : {"joint", "uniform_average", "raw_values"}, default="joint"
        The joint density of all targets, or the mean over the targets of each alone, or each.

    Returns
    -------
    score : float or ndarray of shape (n_targets,)

    Raises
    ------
    ValueError
        As of `pit_values`; a negative floor, another `multioutput`.

    References
    ----------
    .. [1] Good, "Rational decisions", JRSS B 14, 107 (1952).

    Examples
    --------
    >>> from skastro.distribution_metrics import log_score
    >>> from skastro.distributions import PiecewiseDistribution
    >>> distribution = PiecewiseDistribution([0.0, 0.5], [[[0, 1]], [[0, 1]]])
    >>> round(log_score([0.3, 0.1], distribution), 4)
    -0.6931
    >>> round(log_score([0.3, 0.7], distribution, floor=0.01), 4)
    1.956
    """
    y = check_truth(y_true, distribution)
    if not floor >= 0:
        raise ValueError(f"floor={floor!r}; expected a density, 0 or more.")
    with np.errstate(divide="ignore"):
        least = np.log(floor)
        if multioutput == "joint":
            return float(-np.maximum(distribution.log_prob(y), least).mean())
        logs = np.maximum(np.log(distribution.pdf(y)), least)
    return aggregate(-logs.mean(0), multioutput)


def pinball_loss(y_true, distribution, levels=TWENTIETHS, *, multioutput="uniform_average"):
    r"""Mean pinball loss of quantiles, in the units of the target; smaller is better [1]_.

    .. math:: \ell_q = (q - 1[y < y_q])\, (y - y_q)

    Twice its mean over many even levels is the CRPS.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
    distribution : Distribution
        Of shape (n, n_targets).
    levels : float or array-like of shape (n_levels,), default=(0.05, 0.1, ..., 0.95)
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        The mean over the targets, or each.

    Returns
    -------
    loss : float or ndarray of shape (n_targets,)
        Mean over the levels.

    Raises
    ------
    ValueError
        As of `pit_values`; a level outside 0 to 1, another `multioutput`.

    References
    ----------
    .. [1] Koenker & Bassett, "Regression quantiles", Econometrica 46, 33 (1978).

    Examples
    --------
    >>> from skastro.distribution_metrics import pinball_loss
    >>> from skastro.distributions import PiecewiseDistribution
    >>> distribution = PiecewiseDistribution([0.0, 1.0], [[[0, 1]]])
    >>> pinball_loss([0.75], distribution, levels=0.5)
    0.125
    """
    y = check_truth(y_true, distribution)
    levels = np.atleast_1d(check_levels(levels, "levels"))
    apart = y - distribution.quantile(levels)
    q = levels[:, None, None]
    return aggregate(np.maximum(q * apart, (q - 1) * apart).mean((0, 1)), multioutput)


class _DistributionScorer:
    """A metric of `predict_distribution`, called as scikit-learn calls scorers."""

    def __init__(self, metric, greater_is_better, kwargs):
        self.metric, self.greater_is_better, self.kwargs = metric, greater_is_better, kwargs
        self.requests = {}

    def __call__(self, estimator, X, y, **params):
        if not hasattr(estimator, "predict_distribution"):
            raise ValueError(
                f"{type(estimator).__name__} has no predict_distribution; expected an estimator of "
                "distributions."
            )
        found = self.metric(y, estimator.predict_distribution(X, **params), **self.kwargs)
        return found if self.greater_is_better else -found

    def __repr__(self):
        options = "".join(f", {name}={value!r}" for name, value in self.kwargs.items())
        sign = ", greater_is_better=True" if self.greater_is_better else ""
        return f"make_distribution_scorer({self.metric.__name__}{sign}{options})"

    def set_score_request(self, **requests):
        """Metadata that `predict_distribution` is to be given, by name."""
        self.requests = self.requests | requests
        return self

    def get_metadata_routing(self):
        """What scikit-learn asks of scorers when metadata is routed."""
        request = MetadataRequest(owner=self)
        for name, alias in self.requests.items():
            request.score.add_request(param=name, alias=alias)
        return request


def make_distribution_scorer(metric, greater_is_better=False, **kwargs):
    """A scorer from a metric of distributions, for `GridSearchCV` and `cross_validate`.

    Parameters
    ----------
    metric : callable
        Of `(y_true, distribution)` to one number.
    greater_is_better : bool, default=False
        Else the scorer is minus the metric.
    **kwargs
        Options of the metric.

    Returns
    -------
    scorer : callable
        Of `(estimator, X, y)`, for estimators with `predict_distribution(X)`. With metadata routing,
        ``scorer.set_score_request(extra=True)`` hands side columns on to it.

    Raises
    ------
    ValueError
        When called with an estimator that has no `predict_distribution`.

    Examples
    --------
    >>> from skastro.distribution_metrics import interval_coverage, make_distribution_scorer
    >>> make_distribution_scorer(interval_coverage, greater_is_better=True, levels=0.9)
    make_distribution_scorer(interval_coverage, greater_is_better=True, levels=0.9)
    """
    return _DistributionScorer(metric, greater_is_better, kwargs)


DISTRIBUTION_SCORERS = {
    "neg_crps": make_distribution_scorer(crps),
    "neg_log_score": make_distribution_scorer(log_score),
    "neg_cde_loss": make_distribution_scorer(cde_loss),
}
"""Scorers by name, larger is better: ``GridSearchCV(scoring=DISTRIBUTION_SCORERS["neg_crps"])``."""
