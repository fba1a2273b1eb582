"""Parameters from images and tables, with their distributions."""

from skastro.regression.posterior_predictions import DistributionRegressorMixin

__all__ = ["DistributionRegressorMixin"]
