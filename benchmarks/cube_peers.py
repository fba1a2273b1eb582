"""Denoisers of line cubes by others, called with a cube and its noise level."""

import numpy as np
from peers import Worker

__all__ = ["bm4d_estimate", "noise_kernels"]


def noise_kernels(kind):
    """The kernels along (y, x, channels) with which `make_line_cube` convolves white noise.

    Parameters
    ----------
    kind : {"A", "B", "C"}

    Returns
    -------
    kernels : list of 3 ndarrays, or None
        None: the noise is white.
    """
    from skastro.datasets.line_cube_noise import _sky_kernel, _velocity_kernel

    return None if kind == "B" else [_sky_kernel(), _sky_kernel(), _velocity_kernel()]


def bm4d_estimate(cube, sigma, kernels=None, threads=1):
    """BM4D of a whole cube.

    Parameters
    ----------
    cube : ndarray of shape (n_y, n_x, n_channels)
        NaN: blank, taken as 0.
    sigma : ndarray broadcastable to `cube`
        Noise level, in its unit.
    kernels : list of 3 ndarrays, optional
        Kernels along the axes that made the noise out of white noise; None: it is white.
    threads : int

    Returns
    -------
    estimate : ndarray of the shape of `cube`
    seconds : float
        Of the call alone, without starting it and handing over arrays.
    """
    blank = np.isnan(cube)
    arrays = {"cube": np.where(blank, 0.0, cube / sigma).astype(np.float32)}
    if kernels is not None:
        arrays |= {f"kernel_{i}": kernel for i, kernel in enumerate(kernels)}
    with Worker("bm4d_worker.py", "bm4d", threads) as worker:
        answer = worker.ask("denoise", arrays)
    return np.where(blank, np.nan, answer["arrays"]["denoised"] * sigma), answer["seconds"]
