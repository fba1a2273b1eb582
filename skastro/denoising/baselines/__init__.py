"""Classical denoisers of line cubes, as scikit-learn transformers."""

from skastro.denoising.baselines.gaussian import GaussianSmoother
from skastro.denoising.baselines.mask import MaskDenoiser
from skastro.denoising.baselines.median import MedianDenoiser
from skastro.denoising.baselines.pca import PCADenoiser
from skastro.denoising.baselines.total_variation import TotalVariationDenoiser
from skastro.denoising.baselines.wavelet import WaveletDenoiser

__all__ = [
    "GaussianSmoother",
    "MaskDenoiser",
    "MedianDenoiser",
    "PCADenoiser",
    "TotalVariationDenoiser",
    "WaveletDenoiser",
]
