"""The matched filter of images of one size: in Fourier space, borders and blank pixels without weight."""

import numpy as np
from scipy import fft

from skastro.segmentation.border_noise import spread_borders
from skastro.segmentation.image_noise import resampled

__all__ = ["FourierFilter"]

PADDING = 32  # pixels beyond the border, for filters longer than the PSF
LEAST = 1e-3  # part of the information of a whole source, below which nothing is said of it


class FourierFilter:
    """Correlation with the PSF over the noise, on images that are padded.

    Inside, the noise has variance 1: numbers far from 1 would be lost in float32.

    Parameters
    ----------
    psf : ndarray
        Of sum 1, its centre at (h // 2, w // 2).
    spectrum : ndarray of shape (h, w)
        Power of the noise at the modes of `numpy.fft.fft2`, of a grid of any size.
    sigma : float
        Standard deviation of the noise in a pixel.
    shape : tuple (h, w)
        Of the images.
    borders : ndarray or None
        What `border_variance` gives; None in white noise, the variance of which is known without.

    Attributes
    ----------
    information : float
        Inverse variance of the flux of a source away from the borders, for noise of variance 1.
    """

    def __init__(self, psf, spectrum, sigma, shape, borders=None):
        (h, w), (a, b) = shape, psf.shape
        white = borders is None
        pad = [max(side - 1, 0 if white else PADDING) for side in (a, b)]
        self.padded = tuple(
            fft.next_fast_len(n + p, real=True) for n, p in zip((h, w), pad, strict=True)
        )
        self.sigma = sigma
        inverse = 1.0 if white else resampled(sigma**2 / spectrum, self.padded)
        modes = np.conj(fft.rfft2(self._centred(psf))) * inverse
        self._modes = {np.dtype("f8"): modes, np.dtype("f4"): modes.astype(np.complex64)}
        # the filter, which conjugation has turned around, on the pixels of the PSF
        kernel = fft.irfft2(np.conj(modes), self.padded)
        kernel = np.roll(kernel, (a // 2, b // 2), axis=(0, 1))[:a, :b]
        self._response = kernel * psf
        self.information = float(self._response.sum())
        self._weight = _border_weights(self._response, shape)
        # of the filtered noise, over the weight: 1 where the filter is whole
        self._excess = None
        if not white:
            variance = self.information * spread_borders(borders, shape)
            self._excess = np.sqrt(np.maximum(self._weight, 0.0) / variance)

    def _centred(self, stamp):
        """A stamp on the padded grid, its centre at the first pixel."""
        (a, b), grid = stamp.shape, np.zeros(self.padded)
        grid[:a, :b] = stamp
        return np.roll(grid, (-(a // 2), -(b // 2)), axis=(0, 1))

    def maps(self, image):
        """Signal-to-noise ratio and flux of a source at each pixel.

        Parameters
        ----------
        image : ndarray of shape (h, w)
            float32 or float64, without its background; NaN where blank.

        Returns
        -------
        snr, flux : ndarray of shape (h, w)
        """
        (h, w), real = image.shape, image.dtype.type
        blank = np.isnan(image)
        hidden = blank.any()
        padded = np.zeros(self.padded, image.dtype)
        np.multiply(image, real(1.0 / self.sigma), out=padded[:h, :w])
        if hidden:
            padded[:h, :w][blank] = 0.0
        modes = fft.rfft2(padded, overwrite_x=True)
        modes *= self._modes[image.dtype]
        found = fft.irfft2(modes, self.padded, overwrite_x=True)[:h, :w]
        weight = self._weight - self._lost(blank) if hidden else self._weight
        weight = np.where(weight < LEAST * self.information, np.nan, weight).astype(image.dtype)
        if hidden:
            weight[blank] = np.nan
        flux = found / weight
        flux *= real(self.sigma)
        np.sqrt(weight, out=weight)
        snr = found / weight
        if self._excess is not None:
            snr *= self._excess.astype(image.dtype)
        return snr, flux

    def _lost(self, blank):
        """Sum of the response over the blank pixels, for a source at each pixel: (h, w)."""
        h, w = blank.shape
        hidden = np.zeros(self.padded)
        hidden[:h, :w] = blank
        modes = fft.rfft2(hidden) * np.conj(fft.rfft2(self._centred(self._response)))
        return fft.irfft2(modes, self.padded)[:h, :w]


def _border_weights(response, shape):
    """Sum of the response over the pixels of the image, for a source at each of them: (h, w)."""
    total = np.pad(response, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    ends = []
    for size, n in zip(response.shape, shape, strict=True):
        place = np.arange(n)
        low = np.maximum(size // 2 - place, 0)
        high = np.minimum(n + size // 2 - place, size)
        ends.append((low, high))
    (top, bottom), (left, right) = ends
    rows = total[bottom] - total[top]
    return rows[:, right] - rows[:, left]
