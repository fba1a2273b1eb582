"""Classical methods of component separation, with the interface of `StatisticalSeparator`."""

from skastro.separation.baselines.ilc import ILC
from skastro.separation.baselines.scale_mixture import ScaleMixtureFilter
from skastro.separation.baselines.spectral import GaussianSeparator, WienerFilter
from skastro.separation.baselines.wavelet import WaveletThresholding

__all__ = ["GaussianSeparator", "ILC", "ScaleMixtureFilter", "WaveletThresholding", "WienerFilter"]
