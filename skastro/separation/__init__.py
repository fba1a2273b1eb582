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
from skastro.separation.regions import LocalConstraint
from skastro.separation.sphere import SphericalSeparator

__all__ = [
    "Constraint",
    "ContaminationConstraint",
    "CrossConstraint",
    "IndependenceConstraint",
    "LocalConstraint",
    "MixtureConstraint",
    "PixelConstraint",
    "SpectrumConstraint",
    "SphericalSeparator",
    "StatisticalSeparator",
    "WienerConstraint",
]
