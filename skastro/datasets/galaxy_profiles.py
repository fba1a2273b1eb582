"""Images of galaxies and stars, drawn in Fourier space: profiles, pixels and point spread are products.

The transform of an exponential disk is (1 + k^2 h^2)^(-3/2); a bulge is a sum of such disks that follows
de Vaucouleurs' law. Nothing is sampled before it is blurred: the fluxes are exact.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import fft
from scipy.optimize import nnls

__all__ = ["Canvas", "bulge_mixture", "psf_sigma"]

DISK_SCALE = 1.0 / 1.6783469900166605  # of an exponential disk over its half-light radius
_DE_VAUCOULEURS = 7.669249442500804
BORDER = 8.0  # at least, around an image [arcsec]
PSF_WING = 0.15, 2.2  # share of the second Gaussian, its deviation over that of the first


@cache
def bulge_mixture():
    """Scale lengths over the half-light radius, and shares, of disks that sum to a bulge.

    Within 2 % of de Vaucouleurs' law from 0.05 to 5 half-light radii; cut near 8 of them.
    """
    scales = np.geomspace(0.02, 3.0, 6)
    r = np.geomspace(0.03, 8.0, 300)
    disks = np.exp(-r[:, None] / scales) / scales**2
    law = np.exp(-_DE_VAUCOULEURS * r**0.25)
    weight = r**2 / (law * r**2).max()
    shares, _ = nnls(disks * weight[:, None], law * weight)
    return scales, shares / shares.sum()


@cache
def psf_sigma():
    """Deviation of the first Gaussian of the point spread function over its width at half maximum."""
    share, ratio = PSF_WING
    peak = 1.0 - share + share / ratio**2
    low, high = 0.0, 3.0  # of the radius in deviations
    for _ in range(60):
        r = 0.5 * (low + high)
        value = (1.0 - share) * np.exp(-0.5 * r**2)
        value += share / ratio**2 * np.exp(-0.5 * (r / ratio) ** 2)
        low, high = (r, high) if value > 0.5 * peak else (low, r)
    return 0.5 / r


class Canvas:
    """Fields of n_pixels a side, with a border: what leaves it on one side comes back on the other."""

    def __init__(self, n_pixels, pixel_scale):
        self.n_pixels, self.pixel_scale = n_pixels, pixel_scale
        border = max(n_pixels, 2 * int(np.ceil(BORDER / pixel_scale)))
        self.padded = fft.next_fast_len(n_pixels + border, real=True)
        self.ky = (2.0 * np.pi * np.fft.fftfreq(self.padded)).astype(np.float32)
        self.kx = (2.0 * np.pi * np.fft.rfftfreq(self.padded)).astype(np.float32)

    def spectrum(self, n_images, n_bands):
        """Transforms of empty fields."""
        return np.zeros((n_images, n_bands, len(self.ky), len(self.kx)), np.complex64)

    def _profile(self, radius, axis_ratio, angle, scales, shares):
        """Transform of inclined disks of unit flux, the major axis at an angle from x to y."""
        radius = (radius / self.pixel_scale).astype(np.float32)[:, None, None]
        cos, sin, q = (v.astype(np.float32)[:, None, None] for v in (
            np.cos(angle), np.sin(angle), axis_ratio
        ))  # fmt: skip
        kx, ky = self.kx * radius, self.ky[:, None] * radius
        along, across = kx * cos + ky * sin, (ky * cos - kx * sin) * q
        k2 = along * along
        k2 += across * across
        total = np.zeros_like(k2)
        for scale, share in zip(np.float32(scales), np.float32(shares), strict=True):
            factor = k2 * scale**2
            factor += 1.0
            factor *= np.sqrt(factor)
            total += share / factor
        return total

    def add(self, spectrum, images, sources, rows):
        """Add sources to the transforms (n_images, n_bands, ...) of the images, each to another image."""
        x, y, *shape = (sources[name][rows] for name in (
            "x", "y", "r_bulge", "q_bulge", "r_disk", "q_disk", "angle"
        ))  # fmt: skip
        bulge, disk = (sources[name][rows].astype(np.float32) for name in ("bulge", "disk"))
        r_bulge, q_bulge, r_disk, q_disk, angle = shape
        middle = 0.5 * (self.n_pixels - 1)
        shift_x, shift_y = (
            np.exp(-1j * k * (middle + position[:, None] / self.pixel_scale)).astype(np.complex64)
            for k, position in ((self.kx, x), (self.ky, y))
        )
        shift = shift_y[:, :, None] * shift_x[:, None, :]
        of_disk = self._profile(r_disk, q_disk, angle, [DISK_SCALE], [1.0]) * shift
        of_bulge = self._profile(r_bulge, q_bulge, angle, *bulge_mixture()) * shift
        for band in range(bulge.shape[1]):
            flux = of_disk * disk[:, band, None, None]
            flux += of_bulge * bulge[:, band, None, None]
            spectrum[images, band] += flux

    def blur(self, spectrum, fwhm):
        """Multiply by point spread functions of widths (n_images, n_bands) [arcsec], and by a pixel."""
        sigma = (psf_sigma() / self.pixel_scale * fwhm).astype(np.float32)[..., None]
        share, ratio = PSF_WING
        transform = 0.0
        for part, width in ((1.0 - share, sigma), (share, ratio * sigma)):
            along_x, along_y = (
                np.exp(-0.5 * (k * width) ** 2) * np.sinc(k / (2.0 * np.pi))
                for k in (self.kx, self.ky)
            )
            transform = transform + part * along_y[..., :, None] * along_x[..., None, :]
        spectrum *= transform

    def images(self, spectrum):
        """The fields without their borders, float32."""
        columns = fft.ifft(spectrum, axis=-2, overwrite_x=True)[..., : self.n_pixels, :]
        return fft.irfft(columns, self.padded, axis=-1)[..., : self.n_pixels]
