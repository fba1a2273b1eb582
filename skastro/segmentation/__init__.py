"""Sources and defects in images: where they are, and how sure that is."""

from skastro.segmentation.estimator import SourceSegmenter
from skastro.segmentation.matched_filter import MatchedFilter
from skastro.segmentation.networks import UNet, UNetModule

__all__ = ["MatchedFilter", "SourceSegmenter", "UNet", "UNetModule"]
