"""Parameters from images, with distributions."""

from skastro.regression.heads import (
    FlowHead,
    GaussianHead,
    Head,
    HistogramHead,
    MixtureHead,
    PointHead,
    QuantileHead,
    resolve_head,
)
from skastro.regression.losses import (
    BoundedDensityLoss,
    HistogramCRPSLoss,
    HistogramLogLoss,
    Histograms,
    PinballLoss,
)
from skastro.regression.residuals import residual_distribution

__all__ = [
    "BoundedDensityLoss",
    "FlowHead",
    "GaussianHead",
    "Head",
    "HistogramCRPSLoss",
    "HistogramHead",
    "HistogramLogLoss",
    "Histograms",
    "MixtureHead",
    "PinballLoss",
    "PointHead",
    "QuantileHead",
    "residual_distribution",
    "resolve_head",
]
