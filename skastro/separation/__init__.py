"""A mixture taken apart into its signal and what contaminates it."""

from skastro.separation.constraints import (
    Constraint,
    ContaminationConstraint,
    IndependenceConstraint,
    MixtureConstraint,
    PixelConstraint,
    SpectrumConstraint,
    WienerConstraint,
)
from skastro.separation.estimator import StatisticalSeparator

__all__ = [
    "Constraint",
    "ContaminationConstraint",
    "IndependenceConstraint",
    "MixtureConstraint",
    "PixelConstraint",
    "SpectrumConstraint",
    "StatisticalSeparator",
    "WienerConstraint",
]
