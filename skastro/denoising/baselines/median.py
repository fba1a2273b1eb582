"""Smoothing by a running median."""

from numbers import Integral

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import maximum_filter, median_filter
from sklearn.utils._param_validation import Interval

from skastro.denoising.baselines.gaussian import widths_of_axes
from skastro.denoising.baselines.spectra import SpectraDenoiser

__all__ = ["MedianDenoiser"]

# Voxels whose neighbours are gathered at once.
BLOCK = 200_000


class MedianDenoiser(SpectraDenoiser):
    """Replace each voxel by the median of its neighbours.

    Blanks do not count, and at the border the cube is reflected. In a table each spectrum is
    filtered by itself.

    Parameters
    ----------
    size : int or tuple of 3 ints, default=3
        Odd number of voxels of the neighbourhood along each axis, or along (y, x, channels). 1: not
        along an axis.

    Attributes
    ----------
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level as given to `fit`; only the score needs it.

    Examples
    --------
    >>> from skastro.denoising.baselines import MedianDenoiser
    >>> MedianDenoiser(size=3).fit_transform([[0.0, 9.0, 1.0, 2.0, 3.0]])
    array([[0., 1., 2., 2., 3.]])
    """

    _in_sigma = _needs_sigma = False
    _parameter_constraints = {"size": [Interval(Integral, 1, None, closed="left"), tuple, list]}

    def __init__(self, size=3):
        self.size = size

    def _sizes(self, ndim):
        sizes = widths_of_axes(self.size, ndim, "size", Integral, least=1)
        if any(size is not None and size % 2 == 0 for size in sizes):
            raise ValueError(
                f"size={self.size!r}; expected odd numbers, so that a voxel is in the middle."
            )
        return [1 if size is None else size for size in sizes]

    def _learn(self, values, blank):
        self._sizes(values.ndim)

    def _denoise(self, values, blank):
        sizes = self._sizes(values.ndim)
        denoised = median_filter(values, size=sizes, mode="reflect")
        if blank is not None:
            near = maximum_filter(blank, size=sizes, mode="reflect") & ~blank
            denoised[near] = _median_of_known(values, blank, near, sizes)
        return denoised


def _median_of_known(values, blank, where, sizes):
    """Medians of the neighbours that are not blank, at the voxels `where`."""
    padding = [(size // 2, size // 2) for size in sizes]
    # numpy's "symmetric" is what ndimage calls "reflect"
    known = np.pad(np.where(blank, np.nan, values), padding, mode="symmetric")
    neighbours = sliding_window_view(known, sizes)
    places = np.nonzero(where)
    medians = np.empty(len(places[0]), values.dtype)
    for start in range(0, len(medians), BLOCK):
        block = slice(start, start + BLOCK)
        near = neighbours[tuple(axis[block] for axis in places)].reshape(-1, np.prod(sizes))
        near.sort(axis=1)  # NaN last
        count = near.shape[1] - np.isnan(near).sum(axis=1)
        middle = np.stack([(count - 1) // 2, count // 2], axis=1)
        medians[block] = np.take_along_axis(near, middle, axis=1).mean(axis=1)
    return medians
