"""Shrinkage of wavelet coefficients."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.denoising.baselines.spectra import SpectraDenoiser

__all__ = ["WaveletDenoiser"]

MAX_LEVEL = 3


def _pywt():
    try:
        import pywt
    except ImportError as error:
        raise ImportError("Wavelets need PyWavelets: pip install 'skastro[cubes]'.") from error
    return pywt


class WaveletDenoiser(SpectraDenoiser):
    """Set small wavelet coefficients to zero, and average over shifts of the cube.

    The transform is separable over all axes of a cube, over the channels in a table. An axis too
    short for the wavelet is left alone.

    Parameters
    ----------
    wavelet : str, default="sym4"
        An orthogonal wavelet of PyWavelets.
    threshold : float, default=3.0
        Below which a coefficient is noise, in units of sigma.
    mode : {"hard", "soft", "garrote"}, default="hard"
        "hard" keeps the coefficients above, "soft" shrinks them by the threshold, and "garrote" is
        in between.
    n_shifts : int, default=8
        Shifts averaged over (cycle spinning [1]_), up to 8, the step of the coarsest level.

    Attributes
    ----------
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level that other cubes and tables are taken to have; None: estimated from each cube.

    Notes
    -----
    White noise is assumed: correlated noise is stronger than sigma in the coarse coefficients. Blanks
    are taken as zero.

    References
    ----------
    .. [1] R. R. Coifman, D. L. Donoho (1995), "Translation-invariant de-noising", in Wavelets and
       Statistics, Lecture Notes in Statistics 103, 125-150.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.baselines import WaveletDenoiser
    >>> line = 10 * np.exp(-0.5 * ((np.arange(64) - 30) / 4.0) ** 2)
    >>> noisy = line + np.random.default_rng(0).normal(size=(20, 64))
    >>> denoised = WaveletDenoiser().fit(noisy, sigma=1.0).transform(noisy)
    >>> bool(np.std(denoised - line) < 0.6)
    True
    """

    _parameter_constraints = {
        "wavelet": [str],
        "threshold": [Interval(Real, 0, None, closed="left")],
        "mode": [StrOptions({"hard", "soft", "garrote"})],
        "n_shifts": [Interval(Integral, 1, 2**MAX_LEVEL, closed="both")],
    }

    def __init__(self, wavelet="sym4", threshold=3.0, mode="hard", n_shifts=8):
        self.wavelet = wavelet
        self.threshold = threshold
        self.mode = mode
        self.n_shifts = n_shifts

    def _learn(self, values, blank):
        pywt = _pywt()
        if self.wavelet not in pywt.wavelist(kind="discrete"):
            raise ValueError(
                f"wavelet={self.wavelet!r}; expected a discrete wavelet of PyWavelets, such as 'sym4'."
            )
        if not pywt.Wavelet(self.wavelet).orthogonal:
            raise ValueError(f"wavelet={self.wavelet!r}; expected an orthogonal one.")

    def _denoise(self, values, blank):
        pywt = _pywt()
        length = pywt.Wavelet(self.wavelet).dec_len
        levels = {axis: pywt.dwt_max_level(n, length) for axis, n in enumerate(values.shape)}
        if values.ndim == 2:
            del levels[0]
        axes = [axis for axis, level in levels.items() if level > 0]
        if not axes:
            return values.copy()
        level = min(MAX_LEVEL, *(levels[axis] for axis in axes))
        total = np.zeros_like(values)
        # more shifts than the coarsest step has voxels repeat themselves
        n_shifts = min(self.n_shifts, 2**level)
        for shift in range(n_shifts):
            total += self._shrink(pywt, values, axes, level, shift)
        total /= n_shifts
        return total

    def _shrink(self, pywt, values, axes, level, shift):
        """Shrink in the grid of coefficients that begins `shift` voxels before the cube."""
        before = [(shift if axis in axes else 0, 0) for axis in range(values.ndim)]
        padded = np.pad(values, before, mode="symmetric")
        found = pywt.wavedecn(padded, self.wavelet, mode="symmetric", level=level, axes=axes)
        for details in found[1:]:
            for key, coefficients in details.items():
                details[key] = pywt.threshold(coefficients, self.threshold, self.mode)
        shrunk = pywt.waverecn(found, self.wavelet, mode="symmetric", axes=axes)
        # the inverse of an odd length is one voxel longer
        inside = tuple(slice(b, b + n) for (b, _), n in zip(before, values.shape, strict=True))
        return shrunk[inside]
