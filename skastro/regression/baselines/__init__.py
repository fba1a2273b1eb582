"""Classical regressors of images and tables, with the distributions that they predict."""

from skastro.regression.baselines.features import FeatureExtractor

__all__ = ["FeatureExtractor"]
