"""Thresholding of an undecimated isotropic wavelet transform."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skastro.separation.baselines.separator import Separator

__all__ = ["WaveletThresholding", "starlet"]

SPLINE = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0


def _smooth(maps, step, boundary):
    """Convolution of the last two axes with a cubic spline, its taps `step` pixels apart."""
    mode = "wrap" if boundary == "periodic" else "reflect"
    for axis in (maps.ndim - 2, maps.ndim - 1):
        width = [(0, 0)] * maps.ndim
        width[axis] = (2 * step, 2 * step)
        padded = np.pad(maps, width, mode=mode)
        n = maps.shape[axis]
        maps = sum(
            maps.dtype.type(tap) * np.take(padded, np.arange(i * step, i * step + n), axis=axis)
            for i, tap in enumerate(SPLINE)
        )
    return maps


def starlet(maps, n_scales, boundary="periodic"):
    """Undecimated wavelet transform with a cubic spline as the scaling function.

    Parameters
    ----------
    maps : ndarray of shape (..., h, w)
    n_scales : int
    boundary : {"periodic", "reflect"}, default="periodic"

    Yields
    ------
    coefficients : ndarray of shape (..., h, w)
        Of scales of about 1, 2, 4, ... pixels, then what is left. Their sum is the maps.

    References
    ----------
    .. [1] Starck, Fadili & Murtagh, "The undecimated wavelet decomposition and its reconstruction", IEEE
       Transactions on Image Processing 16, 297 (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation.baselines.wavelet import starlet
    >>> x = np.random.default_rng(0).normal(size=(16, 16))
    >>> bool(np.allclose(sum(starlet(x, 2)), x))
    True
    """
    for j in range(n_scales):
        smooth = _smooth(maps, 2**j, boundary)
        yield maps - smooth
        maps = smooth
    yield maps


class WaveletThresholding(Separator):
    """Set the wavelet coefficients to zero that the contamination explains.

    An undecimated, isotropic wavelet transform [1]_. The level of the contamination is measured from its
    samples, scale by scale: it need not be white. What is smoother than the largest scale is kept.

    Parameters
    ----------
    threshold : float, default=3.0
        Below which a coefficient is contamination, in its standard deviations at that scale.
    mode : {"hard", "soft"}, default="hard"
        "hard" keeps the coefficients above; "soft" shrinks them by the threshold.
    n_scales : int or None, default=None
        Scales of 1, 2, 4, ... pixels. None: up to an eighth of the shorter side.
    local : bool, default=False
        Whether each pixel has a level of its own, for contamination that is stronger in places. With n
        samples it is uncertain by one over the square root of 2 n.
    boundary : {"periodic", "reflect"}, default="periodic"
        What lies beyond the border.

    Attributes
    ----------
    sigma_ : ndarray of shape (n_scales, n_channels, 1, 1) or (n_scales, n_channels, h, w)
        Standard deviation of the coefficients of the contamination.
    mean_, contamination_, map_shape_, n_channels_in_, unit_
        As in `WienerFilter`.

    References
    ----------
    .. [1] Starck, Fadili & Murtagh, "The undecimated wavelet decomposition and its reconstruction", IEEE
       Transactions on Image Processing 16, 297 (2007).
    .. [2] Donoho & Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81, 425 (1994).

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation.baselines import WaveletThresholding
    >>> mix = make_mixture("white", n_pixels=64, random_state=0)
    >>> model = WaveletThresholding().fit(mix.samples)
    >>> bool(model.score(mix.mixture, mix.signal) > -0.5)
    True
    """

    _overhead = 12
    _parameter_constraints = {
        "threshold": [Interval(Real, 0, None, closed="left")],
        "mode": [StrOptions({"hard", "soft"})],
        "n_scales": [Interval(Integral, 1, None, closed="left"), None],
        "local": ["boolean"],
        "boundary": [StrOptions({"periodic", "reflect"})],
    }

    def __init__(
        self, threshold=3.0, *, mode="hard", n_scales=None, local=False, boundary="periodic"
    ):
        self.threshold = threshold
        self.mode = mode
        self.n_scales = n_scales
        self.local = local
        self.boundary = boundary

    def _learn(self, samples):
        side = min(self.map_shape_)
        # the widest filter is reflected once
        largest = int(np.log2(side - 1))
        n_scales = max(1, int(np.log2(side)) - 2) if self.n_scales is None else self.n_scales
        if n_scales > largest:
            raise ValueError(
                f"n_scales={n_scales} for maps of {self.map_shape_[0]} x {self.map_shape_[1]} pixels; "
                f"expected at most {largest}."
            )
        axes = (0,) if self.local else (0, 2, 3)
        total = 0.0
        for block in self._centred(samples):
            scales = starlet(block, n_scales, self.boundary)
            total = total + np.stack(
                [
                    np.sum(next(scales) ** 2, axis=axes, keepdims=True)[0]
                    for _ in range(n_scales)
                ]
            )  # fmt: skip
        count = len(samples) * (1 if self.local else np.prod(self.map_shape_))
        self.sigma_ = np.sqrt(total / count)

    def _separate(self, maps):
        *details, signal = starlet(maps, len(self.sigma_), self.boundary)
        for one, sigma in zip(details, self.sigma_, strict=True):
            limit = (self.threshold * sigma).astype(maps.dtype)
            size = np.abs(one)
            if self.mode == "hard":
                signal = signal + np.where(size > limit, one, 0)
            else:
                signal = signal + np.sign(one) * np.maximum(size - limit, 0)
        return signal
