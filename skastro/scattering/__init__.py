"""Scattering statistics of maps, and new maps that share them."""

from skastro.scattering.covariance import Covariance
from skastro.scattering.estimator import ScatteringTransform
from skastro.scattering.phase_harmonics import PhaseHarmonics
from skastro.scattering.reduction import (
    ScatteringReduction,
    angular_harmonics,
    isotropic_average,
    scale_harmonics,
)
from skastro.scattering.rwst import RWST
from skastro.scattering.spectrum import PixelDistribution, PowerSpectrum
from skastro.scattering.sphere import SphericalCovariance
from skastro.scattering.sphere_estimator import SphericalScatteringTransform
from skastro.scattering.topology import Topology
from skastro.scattering.wst import WST
from skastro.scattering.wst_1d import WST1D
from skastro.scattering.wst_3d import WST3D

__all__ = [
    "RWST",
    "WST",
    "WST1D",
    "WST3D",
    "Covariance",
    "PhaseHarmonics",
    "PixelDistribution",
    "PowerSpectrum",
    "ScatteringReduction",
    "ScatteringTransform",
    "Topology",
    "SphericalCovariance",
    "SphericalScatteringTransform",
    "angular_harmonics",
    "isotropic_average",
    "scale_harmonics",
]
