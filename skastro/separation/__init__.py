"""Mixtures taken apart: a signal, and what contaminates it, of which only samples are known."""

from skastro.separation.constraints import (
    Constraint,
    ContaminationConstraint,
    IndependenceConstraint,
    MixtureConstraint,
    PixelConstraint,
    SpectrumConstraint,
    WienerConstraint,
)
from skastro.separation.cross import CrossConstraint
from skastro.separation.estimator import StatisticalSeparator
from skastro.separation.networks import MixtureAutoencoder
from skastro.separation.posterior import StatisticPosterior
from skastro.separation.regions import LocalConstraint
from skastro.separation.sphere import SphericalSeparator
from skastro.separation.unsupervised import ScatteringMixtureModel

__all__ = [
    "Constraint",
    "ContaminationConstraint",
    "CrossConstraint",
    "IndependenceConstraint",
    "LocalConstraint",
    "MixtureAutoencoder",
    "MixtureConstraint",
    "PixelConstraint",
    "ScatteringMixtureModel",
    "SpectrumConstraint",
    "SphericalSeparator",
    "StatisticPosterior",
    "StatisticalSeparator",
    "WienerConstraint",
]
