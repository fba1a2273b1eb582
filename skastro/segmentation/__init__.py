"""Sources and defects in images: where they are, and how sure that is."""

from skastro.segmentation.catalog import make_catalog
from skastro.segmentation.estimator import SourceSegmenter
from skastro.segmentation.image_classifier import ImageClassifier
from skastro.segmentation.losses import (
    CountPenaltyLoss,
    DiceLoss,
    FocalLoss,
    LogLoss,
    SoftmaxLoss,
    SumLoss,
    resolve_loss,
)
from skastro.segmentation.matched_filter import MatchedFilter
from skastro.segmentation.networks import UNet, UNetModule
from skastro.segmentation.networks_fused import FusedNet, FusedNetModule
from skastro.segmentation.networks_image import PooledNet, PooledNetModule
from skastro.segmentation.networks_published import PublishedUNet, PublishedUNetModule

__all__ = [
    "CountPenaltyLoss",
    "DiceLoss",
    "FocalLoss",
    "FusedNet",
    "FusedNetModule",
    "ImageClassifier",
    "LogLoss",
    "MatchedFilter",
    "PooledNet",
    "PooledNetModule",
    "PublishedUNet",
    "PublishedUNetModule",
    "SoftmaxLoss",
    "SourceSegmenter",
    "SumLoss",
    "UNet",
    "UNetModule",
    "make_catalog",
    "resolve_loss",
]
