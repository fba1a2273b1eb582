"""The methods that emulate a grid of models, side by side on the bundled grid."""

from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor

from skastro.datasets import load_nebular_grid
from skastro.emulation.baselines import (
    GaussianProcessEmulator,
    LinearInterpolationRegressor,
    NearestModelRegressor,
    PerOutputRegressor,
    RBFInterpolationRegressor,
    SplineInterpolationRegressor,
)
from skastro.emulation.estimator import ModelEmulator
from skastro.metrics import error_factor_summary, format_error_factor
from skastro.tasks import Task

__all__ = ["TASK", "default_estimators"]


def default_estimators(random_state=0, quick=False):
    """Every baseline, and the emulator.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
    quick : bool, default=False
        Smaller forests and shorter training: to see that all runs, not to judge by.

    Returns
    -------
    estimators : dict of str to estimator

    Examples
    --------
    >>> from skastro.emulation.comparison import default_estimators
    >>> list(default_estimators())[-1]
    'ModelEmulator'
    """
    forest = RandomForestRegressor(20 if quick else 100, random_state=random_state)
    return {
        "nearest model": NearestModelRegressor(),
        "k nearest (5)": PerOutputRegressor(KNeighborsRegressor(5, weights="distance")),
        "random forest": PerOutputRegressor(forest),
        "linear": LinearInterpolationRegressor(),
        "cubic spline": SplineInterpolationRegressor(),
        "RBF linear": RBFInterpolationRegressor(kernel="linear"),
        "RBF cubic": RBFInterpolationRegressor(kernel="cubic"),
        "RBF quintic": RBFInterpolationRegressor(kernel="quintic"),
        "Gaussian process": GaussianProcessEmulator(
            n_tuning_samples=150 if quick else 400, random_state=random_state
        ),
        "ModelEmulator": ModelEmulator(
            max_epochs=20 if quick else "auto", random_state=random_state
        ),
    }


def _plot(comparison):
    # matplotlib is an extra
    from skastro.displays.emulation import plot_comparison

    return plot_comparison(comparison)


TASK = Task(
    name="emulation",
    load=load_nebular_grid,
    estimators=default_estimators,
    summarise=error_factor_summary,
    columns={
        "mean": ("mean", format_error_factor),
        "median": ("median", format_error_factor),
        "p99": ("99 %", format_error_factor),
        "max": ("max", format_error_factor),
    },
    plot=_plot,
)
