"""Parameters from images and tables, with their distributions."""

from skastro.regression.estimator import ParamRegressor
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
from skastro.regression.inception import Inception, InceptionModule
from skastro.regression.losses import (
    BoundedDensityLoss,
    HistogramCRPSLoss,
    HistogramLogLoss,
    Histograms,
    PinballLoss,
)
from skastro.regression.networks import (
    MLP,
    MLPModule,
    PlainCNN,
    PlainCNNModule,
    ResNet,
    ResNetModule,
)
from skastro.regression.posterior_predictions import DistributionRegressorMixin
from skastro.regression.residuals import residual_distribution

__all__ = [
    "MLP",
    "BoundedDensityLoss",
    "DistributionRegressorMixin",
    "FlowHead",
    "GaussianHead",
    "Head",
    "HistogramCRPSLoss",
    "HistogramHead",
    "HistogramLogLoss",
    "Histograms",
    "Inception",
    "InceptionModule",
    "MLPModule",
    "MixtureHead",
    "ParamRegressor",
    "PinballLoss",
    "PlainCNN",
    "PlainCNNModule",
    "PointHead",
    "QuantileHead",
    "ResNet",
    "ResNetModule",
    "residual_distribution",
    "resolve_head",
]
