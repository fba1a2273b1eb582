"""Noise of a filtered image beside the borders, beyond which nothing is known."""

import numpy as np
from scipy import fft

from skastro.segmentation.image_noise import resampled

__all__ = ["border_variance", "spread_borders"]

REACH = 16  # pixels beside the border where the variance is another than inside
SIDE = 64  # of the grid of modes that it is computed on, at least


def border_variance(psf, inverse):
    """Variance of correlated noise after the matched filter, beside borders, over that inside.

    The filter is cut off at the border; the variance of what is left is summed over the modes.

    Parameters
    ----------
    psf : ndarray
        Its centre at (h // 2, w // 2).
    inverse : ndarray of shape (h, w)
        Inverse power of the noise at the modes of `numpy.fft.fft2`.

    Returns
    -------
    ratio : ndarray of shape (33, 33)
        For each distance from the top (the first 16 rows, the nearest first), from none (the middle one) and
        from the bottom; the same for the columns.
    """
    side = fft.next_fast_len(max(SIDE, 2 * max(psf.shape)), real=True)
    a, b = psf.shape
    grid = np.zeros((side, side))
    grid[:a, :b] = psf
    grid = np.roll(grid, (-(a // 2), -(b // 2)), axis=(0, 1))
    inverse = resampled(inverse, grid.shape)
    # modes that are not to be used have no noise
    power = np.divide(1.0, inverse, out=np.zeros_like(inverse), where=inverse > 0)
    # columns of the half plane stand for two
    power[:, 1 : (side + 1) // 2] *= 2.0
    kernel = fft.irfft2(fft.rfft2(grid) * inverse, grid.shape)
    offset = np.fft.fftfreq(side) * side
    distance = np.arange(REACH)
    inside = np.concatenate(
        [
            offset >= -distance[:, None],
            np.ones((1, side), bool),
            offset <= distance[::-1, None],
        ]
    )
    columns = fft.rfft(kernel * inside[:, None, :], axis=2)
    ratio = np.empty((len(inside), len(inside)))
    for i, rows in enumerate(inside):
        modes = fft.fft(columns * rows[:, None], axis=1)
        ratio[i] = np.sum((np.square(modes.real) + np.square(modes.imag)) * power, axis=(1, 2))
    return ratio / ratio[REACH, REACH]


def spread_borders(ratio, shape):
    """What `border_variance` gives, at each pixel of an image (h, w)."""
    places = []
    for n in shape:
        place, reach = np.arange(n), min(REACH, (n - 1) // 2)
        index = np.where(place < reach, place, REACH)
        places.append(np.where(n - 1 - place < reach, 2 * REACH - (n - 1 - place), index))
    return ratio[np.ix_(*places)]
