"""Sources in images: where they are, and how sure that is."""

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

__all__ = [
    "CountPenaltyLoss",
    "DiceLoss",
    "FocalLoss",
    "LogLoss",
    "MatchedFilter",
    "SoftmaxLoss",
    "SumLoss",
    "resolve_loss",
]
