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
from skastro.separation.estimator import StatisticalSeparator
from skastro.separation.posterior import StatisticPosterior

__all__ = [
    "Constraint",
    "ContaminationConstraint",
    "IndependenceConstraint",
    "MixtureConstraint",
    "PixelConstraint",
    "SpectrumConstraint",
    "StatisticPosterior",
    "StatisticalSeparator",
    "WienerConstraint",
]
