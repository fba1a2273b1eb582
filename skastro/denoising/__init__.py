"""Noise out of line cubes and images, and the noise and signal that it takes to do so."""

from skastro.denoising.correlation import NoiseCorrelation, noise_correlation
from skastro.denoising.corruption import Corruption, corrupt_images
from skastro.denoising.cube import CubeDenoiser
from skastro.denoising.gaussians import GaussianDecomposer
from skastro.denoising.image import ImageDenoiser
from skastro.denoising.image_autoencoder import PublishedAutoencoder
from skastro.denoising.image_baselines import (
    GaussianImageFilter,
    MedianImageFilter,
    NormalizedConvolution,
    TotalVariationFilter,
)
from skastro.denoising.image_networks import UNet
from skastro.denoising.image_pca import PCAImageDenoiser
from skastro.denoising.noise import NoiseLevel, estimate_noise, estimate_sigma
from skastro.denoising.signal_mask import dilate, false_fraction, find_signal, smoothed_noise

__all__ = [
    "Corruption",
    "CubeDenoiser",
    "GaussianDecomposer",
    "GaussianImageFilter",
    "ImageDenoiser",
    "MedianImageFilter",
    "NoiseCorrelation",
    "NoiseLevel",
    "NormalizedConvolution",
    "PCAImageDenoiser",
    "PublishedAutoencoder",
    "TotalVariationFilter",
    "UNet",
    "corrupt_images",
    "dilate",
    "estimate_noise",
    "estimate_sigma",
    "false_fraction",
    "find_signal",
    "noise_correlation",
    "smoothed_noise",
]
