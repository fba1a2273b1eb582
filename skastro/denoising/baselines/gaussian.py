"""Smoothing by a Gaussian kernel."""

from numbers import Real

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.utils._param_validation import Interval

from skastro.denoising.baselines.spectra import SpectraDenoiser

__all__ = ["GaussianSmoother", "gaussian_smooth", "widths_of_axes"]

FWHM_PER_SIGMA = np.sqrt(8.0 * np.log(2.0))


def widths_of_axes(width, ndim, name="fwhm", kind=Real, least=0):
    """One width for each axis of a cube or of a table.

    Parameters
    ----------
    width : number or tuple of 3 numbers
        For all axes, or for y, x and the channels.
    ndim : {2, 3}
        Of the data: in a table nothing is filtered across rows.
    name : str
        Name of the parameter, for the error.
    kind : type
        Of the numbers.
    least : number
        Smallest width allowed.

    Returns
    -------
    widths : list of length `ndim`
        None for an axis that is left alone.

    Raises
    ------
    ValueError
        Not a number or three of them, or too small.

    Examples
    --------
    >>> from skastro.denoising.baselines.gaussian import widths_of_axes
    >>> widths_of_axes(1.5, ndim=2), widths_of_axes((2.0, 2.0, 1.0), ndim=3)
    ([None, 1.5], [2.0, 2.0, 1.0])
    """
    widths = list(width) if isinstance(width, tuple | list) else [width] * 3
    if len(widths) != 3 or not all(isinstance(w, kind) and w >= least for w in widths):
        what = "integers" if kind is not Real else "numbers"
        raise ValueError(
            f"{name}={width!r}; expected one of the {what} from {least}, or three for (y, x, channels)."
        )
    return widths if ndim == 3 else [None, widths[2]]


def gaussian_smooth(values, blank, fwhm):
    """Convolve with a Gaussian, weights normalised over the voxels that there are.

    Parameters
    ----------
    values : ndarray of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        0 where blank.
    blank : ndarray of bool of the shape of `values`, or None
    fwhm : list of float or None
        Full width at half maximum in voxels along each axis; None or 0: not along this one.

    Returns
    -------
    smooth : ndarray of the shape of `values`
        A new array.
    """
    smooth = values.copy()
    weight = None if blank is None else (~blank).astype(values.dtype)
    for axis, width in enumerate(fwhm):
        if not width:
            continue
        # nothing outside: the weights of the border are set right below
        options = {"sigma": width / FWHM_PER_SIGMA, "axis": axis, "mode": "constant"}
        gaussian_filter1d(smooth, output=smooth, **options)
        if weight is None:
            n = values.shape[axis]
            line = gaussian_filter1d(np.ones(n, values.dtype), **(options | {"axis": 0}))
            smooth /= line.reshape([n if i == axis else 1 for i in range(values.ndim)])
        else:
            gaussian_filter1d(weight, output=weight, **options)
    if weight is not None:
        # voxels far from all others have no weight: they are blank themselves
        np.divide(smooth, weight, out=smooth, where=~blank)
    return smooth


class GaussianSmoother(SpectraDenoiser):
    """Convolve a cube with a Gaussian kernel.

    The weights are normalised over the voxels that there are: blanks and the border take nothing
    away. In a table each spectrum is smoothed by itself.

    Parameters
    ----------
    fwhm : float or tuple of 3 floats, default=1.5
        Full width at half maximum in voxels, for all axes or for (y, x, channels). 0: an axis is not
        smoothed.

    Attributes
    ----------
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level as given to `fit`; only the score needs it.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.baselines import GaussianSmoother
    >>> cube = np.zeros((5, 5, 5))
    >>> cube[2, 2, 2] = 1.0
    >>> GaussianSmoother(fwhm=2.0).fit_transform(cube)[2, 2].round(3)
    array([0.009, 0.054, 0.104, 0.054, 0.009])
    """

    _in_sigma = _needs_sigma = False
    _parameter_constraints = {"fwhm": [Interval(Real, 0, None, closed="left"), tuple, list]}

    def __init__(self, fwhm=1.5):
        self.fwhm = fwhm

    def _learn(self, values, blank):
        widths_of_axes(self.fwhm, values.ndim)

    def _denoise(self, values, blank):
        return gaussian_smooth(values, blank, widths_of_axes(self.fwhm, values.ndim))
