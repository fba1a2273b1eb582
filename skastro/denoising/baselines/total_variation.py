"""Denoising by total variation."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

from skastro.denoising.baselines.spectra import SpectraDenoiser

__all__ = ["TotalVariationDenoiser", "minimize_total_variation"]


def _differences(x, axes, links, out):
    """Forward differences along each axis, 0 at the end of it and where `links` is False."""
    for i, axis in enumerate(axes):
        ahead, here = (_along(x, axis, s) for s in (slice(1, None), slice(None, -1)))
        np.subtract(ahead, here, out=_along(out[i], axis, slice(None, -1)))
        if links is not None:
            out[i] *= links[i]
    return out


def _subtract_adjoint(p, axes, weight, out):
    """Subtract `weight` times the adjoint of `_differences`, in place."""
    for i, axis in enumerate(axes):
        flow = weight * _along(p[i], axis, slice(None, -1))
        _along(out, axis, slice(None, -1))[...] += flow
        _along(out, axis, slice(1, None))[...] -= flow
    return out


def _along(array, axis, index):
    return array[(slice(None),) * axis + (index,)]


def minimize_total_variation(values, weight, axes, blank=None, n_iter=50):
    r"""Minimise :math:`\frac12 \|x - d\|^2 + w \sum |\nabla x|` over x.

    By fast gradient projection on the dual [1]_, for a fixed number of iterations: what happens to one
    spectrum of a table does not depend on the others.

    Parameters
    ----------
    values : ndarray
        The data d.
    weight : float
        w, 0 or more.
    axes : list of int
        Axes of the gradient, whose length is Euclidean (isotropic total variation).
    blank : ndarray of bool of the shape of `values`, optional
        Differences to these count for nothing.
    n_iter : int, default=50

    Returns
    -------
    x : ndarray of the shape of `values`
    dual : ndarray of shape (n_axes, *values.shape)
        Vectors of length at most 1, with ``x = d - w * adjoint(dual)``; from them follows how far
        from the minimum `x` is at most.

    References
    ----------
    .. [1] A. Beck, M. Teboulle (2009), "Fast gradient-based algorithms for constrained total variation
       image denoising and deblurring problems", IEEE Transactions on Image Processing 18, 2419.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.baselines.total_variation import minimize_total_variation
    >>> minimize_total_variation(np.array([0.0, 10.0]), 2.0, axes=[0])[0].round(6)
    array([2., 8.])
    """
    dual = np.zeros((len(axes), *values.shape), values.dtype)
    if weight == 0 or not axes:
        return values.copy(), dual
    links = None
    if blank is not None:
        links = np.ones(dual.shape, bool)
        for i, axis in enumerate(axes):
            cut = _along(blank, axis, slice(1, None)) | _along(blank, axis, slice(None, -1))
            _along(links[i], axis, slice(None, -1))[...] = ~cut
    # the largest eigenvalue of the differences and their adjoint is 4 an axis
    step = values.dtype.type(1.0 / (4.0 * len(axes) * weight))
    weight = values.dtype.type(weight)
    ahead, new, length = dual.copy(), np.zeros_like(dual), np.empty_like(values)
    momentum = 1.0
    x = np.empty_like(values)
    for _ in range(n_iter):
        np.copyto(x, values)
        _subtract_adjoint(ahead, axes, weight, x)
        _differences(x, axes, links, new)
        new *= step
        new += ahead
        np.einsum("i...,i...->...", new, new, out=length)
        np.maximum(np.sqrt(length, out=length), 1.0, out=length)
        new /= length
        previous, momentum = momentum, 0.5 + np.sqrt(0.25 + momentum**2)
        np.subtract(new, dual, out=ahead)
        ahead *= values.dtype.type((previous - 1.0) / momentum)
        ahead += new
        dual, new = new, dual
    np.copyto(x, values)
    return _subtract_adjoint(dual, axes, weight, x), dual


class TotalVariationDenoiser(SpectraDenoiser):
    """Minimise the total variation of a cube together with its distance to the data.

    The gradient is that of the cube in units of its noise, over all axes; over the channels in a
    table. Edges stay sharp, and peaks lose height.

    Parameters
    ----------
    weight : float, default=0.5
        Weight of the total variation, in units of sigma.
    n_iter : int, default=50
        Iterations of the fast gradient projection [1]_.

    Attributes
    ----------
    n_channels_in_, n_features_in_ : int
        Channels of a spectrum.
    sigma_ : ndarray of shape () or (n_channels,), or None
        Noise level that other cubes and tables are taken to have; None: estimated from each cube.

    References
    ----------
    .. [1] A. Beck, M. Teboulle (2009), "Fast gradient-based algorithms for constrained total variation
       image denoising and deblurring problems", IEEE Transactions on Image Processing 18, 2419.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.baselines import TotalVariationDenoiser
    >>> noisy = np.repeat([0.0, 9.0, 0.0], 20) + np.random.default_rng(0).normal(size=(30, 60))
    >>> denoised = TotalVariationDenoiser(weight=2.0).fit(noisy, sigma=1.0).transform(noisy)
    >>> bool(np.std(denoised[:, 5:15]) < 0.5)
    True
    """

    _parameter_constraints = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, weight=0.5, n_iter=50):
        self.weight = weight
        self.n_iter = n_iter

    def _denoise(self, values, blank):
        axes = list(range(values.ndim)) if values.ndim == 3 else [1]
        axes = [axis for axis in axes if values.shape[axis] > 1]
        return minimize_total_variation(values, self.weight, axes, blank, self.n_iter)[0]
