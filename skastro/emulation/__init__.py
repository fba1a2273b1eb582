"""Emulators of slow codes, and the interpolators that they stand beside."""

from skastro.emulation.anomalies import AnomalyReport
from skastro.emulation.baselines import (
    GaussianProcessEmulator,
    LinearInterpolationRegressor,
    NearestModelRegressor,
    PerOutputRegressor,
    RBFInterpolationRegressor,
    SplineInterpolationRegressor,
)
from skastro.emulation.estimator import ModelEmulator
from skastro.emulation.networks import DenseNetwork, PlainNetwork

__all__ = [
    "AnomalyReport",
    "DenseNetwork",
    "GaussianProcessEmulator",
    "LinearInterpolationRegressor",
    "ModelEmulator",
    "NearestModelRegressor",
    "PerOutputRegressor",
    "PlainNetwork",
    "RBFInterpolationRegressor",
    "SplineInterpolationRegressor",
]
