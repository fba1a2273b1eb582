"""Classical emulators of grids of models, as scikit-learn regressors."""

from skastro.emulation.baselines.gaussian_process import GaussianProcessEmulator
from skastro.emulation.baselines.gridded import (
    LinearInterpolationRegressor,
    SplineInterpolationRegressor,
)
from skastro.emulation.baselines.per_output import PerOutputRegressor
from skastro.emulation.baselines.scattered import NearestModelRegressor, RBFInterpolationRegressor

__all__ = [
    "GaussianProcessEmulator",
    "LinearInterpolationRegressor",
    "NearestModelRegressor",
    "PerOutputRegressor",
    "RBFInterpolationRegressor",
    "SplineInterpolationRegressor",
]
