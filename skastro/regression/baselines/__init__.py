"""Classical regressors of images and tables, with the distributions that they predict."""

from skastro.regression.baselines.features import FeatureExtractor
from skastro.regression.baselines.template_fit import TemplateFitRegressor

__all__ = ["FeatureExtractor", "TemplateFitRegressor"]
