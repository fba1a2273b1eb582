"""Point spread functions: Gaussian, given, or measured from bright isolated sources."""

import numpy as np
from scipy import ndimage

__all__ = ["check_psf", "gaussian_psf", "stack_psf"]

FWHM = np.sqrt(8.0 * np.log(2.0))  # over the standard deviation of a Gaussian
MIN_SOURCES = 3


def gaussian_psf(fwhm):
    """Gaussian at the centres of the pixels, of sum 1: an odd square out to five standard deviations."""
    sigma = fwhm / FWHM
    radius = max(1, int(np.ceil(5.0 * sigma)))
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    line /= line.sum()
    return line[:, None] * line


def check_psf(psf):
    """A given PSF as float64, divided by its sum."""
    try:
        psf = np.asarray(psf, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("psf is not an array of numbers; expected shape (h, w).") from error
    if psf.ndim != 2 or 0 in psf.shape:
        raise ValueError(
            f"psf has shape {psf.shape}; expected (h, w), its centre at (h // 2, w // 2)."
        )
    if not np.isfinite(psf).all():
        raise ValueError("psf has NaN or infinity; expected finite numbers.")
    total = psf.sum()
    if not total > 0:
        raise ValueError(f"psf has the sum {total:.4g}; expected a positive one.")
    return psf / total


def stack_psf(images, tables, size):
    """Median of the images of bright isolated sources, each moved to the centre of its pixel.

    Parameters
    ----------
    images : ndarray of shape (n, h, w)
        Without their background.
    tables : list of dict or Table
        Sources of each image, as `find_peaks` gives them.
    size : int
        Side of the square, odd.

    Returns
    -------
    psf : ndarray of shape (size, size)
        Of sum 1.

    Raises
    ------
    ValueError
        Fewer than three isolated sources.
    """
    radius = size // 2
    stamps = []
    for image, table in zip(images, tables, strict=True):
        x, y = np.asarray(table["x"]), np.asarray(table["y"])
        for i in range(len(x)):
            near = np.hypot(x - x[i], y - y[i]) < size
            row, column = int(round(y[i])), int(round(x[i]))
            # one pixel more all around, for the shift
            low_y, low_x = row - radius - 1, column - radius - 1
            if near.sum() > 1 or min(low_y, low_x) < 0:
                continue
            stamp = image[low_y : low_y + size + 2, low_x : low_x + size + 2].astype(np.float64)
            if stamp.shape != (size + 2, size + 2) or not np.isfinite(stamp).all():
                continue
            stamp = ndimage.shift(stamp, (row - y[i], column - x[i]), order=3, mode="nearest")
            stamp = stamp[1:-1, 1:-1]
            total = stamp.sum()
            if total > 0:
                stamps.append(stamp / total)
    if len(stamps) < MIN_SOURCES:
        raise ValueError(
            f"psf='measured' found {len(stamps)} bright isolated source(s); expected at least "
            f"{MIN_SOURCES}: give psf as an array, or 'gaussian' with its fwhm."
        )
    psf = np.maximum(np.median(stamps, axis=0), 0.0)
    return psf / psf.sum()
