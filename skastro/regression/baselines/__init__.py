"""Classical regressors of images and tables, with the distributions that they predict."""

from skastro.regression.baselines.defaults import default_baselines
from skastro.regression.baselines.features import FeatureExtractor
from skastro.regression.baselines.forest import ForestDensityRegressor
from skastro.regression.baselines.neighbors import NeighborsDensityRegressor
from skastro.regression.baselines.pipeline import DistributionPipeline
from skastro.regression.baselines.residuals import ResidualRegressor
from skastro.regression.baselines.summaries import RegressionSummaries
from skastro.regression.baselines.template_fit import TemplateFitRegressor

__all__ = [
    "DistributionPipeline",
    "FeatureExtractor",
    "ForestDensityRegressor",
    "NeighborsDensityRegressor",
    "RegressionSummaries",
    "ResidualRegressor",
    "TemplateFitRegressor",
    "default_baselines",
]
