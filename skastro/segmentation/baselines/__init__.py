"""Classical segmenters, which a network has to beat: one score or a few features of each pixel."""

from skastro.segmentation.baselines.base import PixelClassifier
from skastro.segmentation.baselines.boosted import BoostedPixelClassifier
from skastro.segmentation.baselines.compressed import CompressedPixelClassifier
from skastro.segmentation.baselines.cosmic_rays import AstroscrappyClassifier
from skastro.segmentation.baselines.defaults import default_baselines
from skastro.segmentation.baselines.features import PixelFeatures
from skastro.segmentation.baselines.matched import MatchedFilterClassifier
from skastro.segmentation.baselines.mean_mask import MeanMask
from skastro.segmentation.baselines.photutils_detections import PhotutilsClassifier
from skastro.segmentation.baselines.raw_counts import RawCounts
from skastro.segmentation.baselines.sep_detections import SepClassifier

__all__ = [
    "AstroscrappyClassifier",
    "BoostedPixelClassifier",
    "CompressedPixelClassifier",
    "MatchedFilterClassifier",
    "MeanMask",
    "PhotutilsClassifier",
    "PixelClassifier",
    "PixelFeatures",
    "RawCounts",
    "SepClassifier",
    "default_baselines",
]
