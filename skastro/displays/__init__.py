"""Pictures of fitted estimators, with ``from_estimator`` and ``from_predictions``."""

from skastro.displays.coverage import CoverageDisplay
from skastro.displays.cube import CubeDisplay
from skastro.displays.denoiser import DenoiserDisplay
from skastro.displays.error_quantiles import ErrorQuantilesDisplay
from skastro.displays.mask import MaskDisplay
from skastro.displays.pdf import PDFDisplay
from skastro.displays.pit import PITDisplay
from skastro.displays.prediction import PredictionDisplay
from skastro.displays.reliability import ReliabilityDisplay
from skastro.displays.roc import ROCDisplay
from skastro.displays.saliency import SaliencyDisplay
from skastro.displays.separation import SeparationDisplay
from skastro.displays.statistics import StatisticsDisplay
from skastro.displays.synthesis import SynthesisDisplay
from skastro.displays.true_predicted import TruePredictedDisplay

__all__ = [
    "CoverageDisplay",
    "CubeDisplay",
    "DenoiserDisplay",
    "ErrorQuantilesDisplay",
    "MaskDisplay",
    "PDFDisplay",
    "PITDisplay",
    "PredictionDisplay",
    "ROCDisplay",
    "ReliabilityDisplay",
    "SaliencyDisplay",
    "SeparationDisplay",
    "StatisticsDisplay",
    "SynthesisDisplay",
    "TruePredictedDisplay",
]
