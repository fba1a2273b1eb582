"""Regressors with error bars side by side, on images of the Galactic Centre."""

import numpy as np
from sklearn.utils import Bunch

from skastro.calibration_metrics import interval_coverage
from skastro.datasets import galactic_center_templates, make_galactic_center
from skastro.distribution_metrics import crps
from skastro.distributions import PiecewiseDistribution
from skastro.regression.baselines import default_baselines
from skastro.regression.estimator import ParamRegressor
from skastro.tasks import Task

__all__ = ["TASK", "default_estimators", "load_default"]

N_IMAGES = 2048
# the four targets of the literature: dark matter, all point sources, those of the disk, of the bulge
BOUNDS = np.array([(0.0, 1.0), (1200.0, 4799.0), (1000.0, 3999.0), (200.0, 799.0)])
NAMES = ["A_dm", "n_total", "n_disk", "n_gc"]
# at which every distribution is kept: what a comparison holds are arrays
LEVELS = np.concatenate([[0.001, 0.005], np.arange(1, 100) / 100, [0.995, 0.999]])


def load_default(n_images=N_IMAGES, random_state=0):
    """Images of the Galactic Centre and four of their parameters.

    Parameters
    ----------
    n_images : int, default=2048
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data`, photon counts (n_images, 64, 64); `target` (n_images, 4), the factor of the dark matter and
        the numbers of all sources, of those in the disk and of those in the bulge; `target_names`.

    Examples
    --------
    >>> from skastro.regression.comparison import load_default
    >>> bunch = load_default(n_images=5)
    >>> bunch.data.shape, bunch.target.shape
    ((5, 64, 64), (5, 4))
    """
    sky = make_galactic_center(n_images, random_state=random_state)
    dark, bulge, disk = sky.params.T[3:]
    target = np.stack([dark, bulge + disk, disk, bulge], axis=1)
    return Bunch(data=sky.images, target=target, target_names=list(NAMES))


def default_estimators(random_state=0, quick=False):
    """Every baseline, and `ParamRegressor`.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
    quick : bool, default=False
        Few trees and epochs: to see that all runs, not to judge by.

    Returns
    -------
    estimators : dict of str to estimator

    Examples
    --------
    >>> from skastro.regression.comparison import default_estimators
    >>> list(default_estimators(quick=True))[-1]
    'ParamRegressor'
    """
    baselines = default_baselines(
        templates=galactic_center_templates(), quick=quick, random_state=random_state
    )
    ours = ParamRegressor(
        target_bounds=BOUNDS,
        augment="flips",
        recalibrate="isotonic",
        validation_fraction=0.2,
        random_state=random_state,
        **({"max_epochs": 2} if quick else {}),
    )
    return {**dict(baselines), "ParamRegressor": ours}


def quantile_distribution(quantiles):
    """The distributions of which a comparison keeps quantiles.

    Parameters
    ----------
    quantiles : ndarray of shape (n, n_targets, n_levels)

    Returns
    -------
    distribution : PiecewiseDistribution
    """
    return PiecewiseDistribution.from_quantiles(LEVELS, quantiles)


def _predict(estimator, X):
    distribution = estimator.predict_distribution(X)
    return np.moveaxis(distribution.quantile(LEVELS), 0, -1)


def _score(split, quantiles):
    y, names = np.asarray(split.Y_test), split.output_names
    distribution = quantile_distribution(quantiles)
    # errors in units of what the mean would leave
    spread = np.abs(y - np.median(y, axis=0)).mean(axis=0)
    error = np.abs(distribution.median() - y).mean(axis=0) / spread
    found = {name: float(one) for name, one in zip(names, error, strict=True)}
    found["crps"] = float(np.mean(crps(y, distribution, multioutput="raw_values") / spread))
    found["coverage"] = float(interval_coverage(y, distribution, 0.68))
    return found


def _plot(comparison):
    # matplotlib is an extra
    from skastro.displays.regression import plot_comparison

    return plot_comparison(comparison, quantile_distribution)


TASK = Task(
    name="regression",
    load=load_default,
    estimators=default_estimators,
    summarise=None,
    columns={},
    plot=_plot,
    predict=_predict,
    score=_score,
)
