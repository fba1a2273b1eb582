"""Zero where no signal is found."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

from skastro.denoising.baselines.gaussian import gaussian_smooth, widths_of_axes
from skastro.denoising.baselines.spectra import SpectraDenoiser
from skastro.denoising.signal_mask import find_signal

__all__ = ["MaskDenoiser"]


class MaskDenoiser(SpectraDenoiser):
    """Keep a cube where signal is found, and set the rest to zero.

    Parameters
    ----------
    fwhm : float, tuple of 3 floats or None, default=None
        The cube is smoothed by a Gaussian of this full width at half maximum in voxels first, for all
        axes or for (y, x, channels). None: as it is.
    low, high : float, default=2.0, 5.0
        A connected component above `low` counts when it has a peak above `high`, in units of sigma;
        see `skastro.denoising.find_signal`.
    min_voxels : int, default=8
        And when it has so many voxels.
    n_dilate : int, default=3
        Times that what was found is grown by a voxel.

    Attributes
    ----------
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level that other cubes and tables are taken to have; None: estimated from each cube.

    Notes
    -----
    A `signal_mask` that is given, to `fit` for its cube or to `transform`, is used as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.baselines import MaskDenoiser
    >>> cube = np.random.default_rng(0).normal(size=(8, 8, 60))
    >>> cube[2:6, 2:6, 20:26] += 12.0
    >>> denoised = MaskDenoiser().fit(cube, sigma=1.0).transform(cube)
    >>> bool(denoised[4, 4, 22] == cube[4, 4, 22]), float(denoised[4, 4, 50])
    (True, 0.0)
    """

    # smoothed in its own unit, like any other cube; the mask is found in units of the noise
    _in_sigma = False
    _parameter_constraints = {
        "fwhm": [Interval(Real, 0, None, closed="left"), tuple, list, None],
        "low": [Interval(Real, 0, None, closed="neither")],
        "high": [Interval(Real, 0, None, closed="neither")],
        "min_voxels": [Interval(Integral, 1, None, closed="left")],
        "n_dilate": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, fwhm=None, low=2.0, high=5.0, min_voxels=8, n_dilate=3):
        self.fwhm = fwhm
        self.low = low
        self.high = high
        self.min_voxels = min_voxels
        self.n_dilate = n_dilate

    def _learn(self, values, blank):
        if self.fwhm is not None:
            widths_of_axes(self.fwhm, values.ndim)

    def _apply(self, values, sigma, signal_mask=None):
        if signal_mask is None:
            signal_mask = find_signal(
                values, sigma, low=self.low, high=self.high, min_voxels=self.min_voxels,
                n_dilate=self.n_dilate,
            )  # fmt: skip
        denoised, blank = self._scaled(values, sigma)
        if self.fwhm is not None:
            denoised = gaussian_smooth(denoised, blank, widths_of_axes(self.fwhm, values.ndim))
        denoised = np.where(signal_mask, denoised, values.dtype.type(0))
        if blank is not None:
            denoised[blank] = np.nan
        return denoised
