"""Whether predicted distributions hold: the PIT, highest densities and the coverage of intervals."""

from typing import NamedTuple

import numpy as np
from scipy.stats import cramervonmises, kstest

from skastro.distributions.rows import check_levels
from skastro.distributions.truth import aggregate, check_truth

__all__ = ["PITSummary", "hpd_values", "interval_coverage", "pit_summary", "pit_values"]

# PIT values nearer than this to 0 or 1 are outliers; 2e-4 are expected.
OUTLIER = 1e-4
# The Anderson-Darling statistic takes PIT values at least this far from 0 and 1.
CLIP = 1e-10


def pit_values(y_true, distribution):
    r"""Probability integral transform: the CDF of each prediction at the truth [1]_.

    .. math:: u_i = F_i(y_i)

    Uniform when the predictions hold on average. A U: too narrow; a hump: too wide; a slope: biased.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
    distribution : Distribution
        Of shape (n, n_targets).

    Returns
    -------
    pit : ndarray of the shape of `y_true`

    Raises
    ------
    ValueError
        Shapes that don't agree, truth that is not finite, or no Distribution.

    References
    ----------
    .. [1] Dawid, "Present position and potential developments: some personal views: statistical theory: the
       prequential approach", JRSS A 147, 278 (1984).

    Examples
    --------
    >>> from skastro.distribution_metrics import pit_values
    >>> from skastro.distributions import PiecewiseDistribution
    >>> distribution = PiecewiseDistribution([0.0, 1.0], [[[0, 1]], [[0, 1]]])
    >>> pit_values([0.2, 0.9], distribution)
    array([0.2, 0.9])
    """
    y = check_truth(y_true, distribution)
    return distribution.cdf(y).reshape(np.shape(y_true))


class PITSummary(NamedTuple):
    """What `pit_summary` returns: numbers, or arrays of shape (n_targets,).

    Attributes
    ----------
    ks, ks_p_value : float or ndarray
        Kolmogorov-Smirnov: the largest distance of the empirical CDF from a uniform one, and its p-value.
    cramer_von_mises : float or ndarray
        Statistic n times the integral of the squared distance: 1/6 is expected.
    anderson_darling : float or ndarray
        The same with the ends weighted up: 1 is expected. PIT values are clipped at 1e-10 from 0 and 1.
    outlier_fraction : float or ndarray
        Of PIT values below 1e-4 or above 1 - 1e-4: 2e-4 is expected.
    """

    ks: np.ndarray
    ks_p_value: np.ndarray
    cramer_von_mises: np.ndarray
    anderson_darling: np.ndarray
    outlier_fraction: np.ndarray


def pit_distance(pit):
    """Anderson-Darling statistic of PIT values: 1 on average where they are uniform.

    Parameters
    ----------
    pit : ndarray of shape (n,)

    Returns
    -------
    distance : float
    """
    ordered = np.clip(np.sort(pit), CLIP, 1 - CLIP)
    odd = 2 * np.arange(1, len(pit) + 1) - 1
    return float(-len(pit) - (odd * (np.log(ordered) + np.log1p(-ordered[::-1]))).mean())


def pit_summary(y_true, distribution):
    r"""How far the PIT values are from uniform, in four measures [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        At least two rows.
    distribution : Distribution
        Of shape (n, n_targets).

    Returns
    -------
    summary : PITSummary
        Of numbers for a `y_true` of shape (n,), else of arrays of shape (n_targets,).

    Raises
    ------
    ValueError
        As of `pit_values`, or a single row.

    References
    ----------
    .. [1] Schmidt et al., "Evaluation of probabilistic photometric redshift estimation approaches for The
       Rubin Observatory Legacy Survey of Space and Time (LSST)", MNRAS 499, 1587 (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.distribution_metrics import pit_summary
    >>> from skastro.distributions import GaussianMixtureDistribution
    >>> y = np.random.default_rng(0).normal(size=1000)
    >>> narrow = GaussianMixtureDistribution(*(np.full((1000, *s), v) for s, v in (
    ...     ((1,), 1), ((1, 1), 0), ((1, 1, 1), 0.5))))
    >>> bool(pit_summary(y, narrow).ks_p_value < 1e-6)
    True
    """
    u = pit_values(y_true, distribution)
    if len(u) < 2:
        raise ValueError(f"y_true has {len(u)} row; expected at least 2.")
    columns = u.reshape(len(u), -1).T
    ks = [kstest(one, "uniform") for one in columns]
    parts = (
        [one.statistic for one in ks],
        [one.pvalue for one in ks],
        [cramervonmises(one, "uniform").statistic for one in columns],
        [pit_distance(one) for one in columns],
        ((columns < OUTLIER) | (columns > 1 - OUTLIER)).mean(1),
    )
    if u.ndim == 1:
        return PITSummary(*(float(one[0]) for one in parts))
    return PITSummary(*(np.array(one) for one in parts))


def hpd_values(y_true, distribution):
    r"""Probability of all that is denser than the truth, for each target alone [1]_.

    .. math:: h_i = \int_{f_i(y) \ge f_i(y_i)} f_i(y)\, \mathrm dy

    Uniform when the predictions hold; it sees a truth between two peaks, which the PIT does not. Exact for
    `PiecewiseDistribution`, where of bins as dense as that of the truth the part below it counts (else the
    values would not be uniform), and for single Gaussians; by a table of the density otherwise.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
    distribution : Distribution
        Of shape (n, n_targets).

    Returns
    -------
    hpd : ndarray of the shape of `y_true`

    Raises
    ------
    ValueError
        As of `pit_values`.

    References
    ----------
    .. [1] Hyndman, "Computing and graphing highest density regions", The American Statistician 50, 120
       (1996).

    Examples
    --------
    >>> from skastro.distribution_metrics import hpd_values
    >>> from skastro.distributions import PiecewiseDistribution
    >>> distribution = PiecewiseDistribution.from_masses([0.0, 1.0, 2.0], [[[0.8, 0.2]]])
    >>> hpd_values([0.5], distribution), hpd_values([1.5], distribution)
    (array([0.4]), array([0.9]))
    """
    y = check_truth(y_true, distribution)
    return distribution.hpd(y).reshape(np.shape(y_true))


def interval_coverage(
    y_true, distribution, levels=(0.5, 0.68, 0.9, 0.95), *, multioutput="uniform_average"
):
    """Fraction of the truth in central intervals.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
    distribution : Distribution
        Of shape (n, n_targets).
    levels : float or array-like of shape (n_levels,), default=(0.5, 0.68, 0.9, 0.95)
        What the intervals promise to hold.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        The mean over the targets, or each.

    Returns
    -------
    coverage : float or ndarray
        Of the shape of `levels`, with a last axis of n_targets with "raw_values".

    Raises
    ------
    ValueError
        As of `pit_values`; a level outside 0 to 1, another `multioutput`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.distribution_metrics import interval_coverage
    >>> from skastro.distributions import PiecewiseDistribution
    >>> distribution = PiecewiseDistribution([0.0, 1.0], np.tile([0.0, 1.0], (100, 1, 1)))
    >>> interval_coverage((np.arange(100) + 0.5) / 100, distribution, levels=[0.5, 0.9])
    array([0.5, 0.9])
    """
    y = check_truth(y_true, distribution)
    levels = check_levels(levels, "levels")[..., None]
    apart = np.abs(distribution.cdf(y) - 0.5)
    inside = [(apart <= 0.5 * level).mean(0) for level in levels.ravel()]
    return aggregate(np.reshape(inside, levels.shape[:-1] + y.shape[1:]), multioutput)
