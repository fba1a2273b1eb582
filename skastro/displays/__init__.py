"""Pictures of fitted estimators, with ``from_estimator`` and ``from_predictions``."""

from skastro.displays.error_quantiles import ErrorQuantilesDisplay
from skastro.displays.true_predicted import TruePredictedDisplay

__all__ = ["ErrorQuantilesDisplay", "TruePredictedDisplay"]
