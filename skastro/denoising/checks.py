"""Cubes, noise levels and masks: shapes and values checked once, nothing copied that can be a view."""

import numpy as np

from skastro.validation import native, split_unit

__all__ = ["check_cube", "check_sigma", "check_signal_mask", "read_spectra"]


def _axes(shape):
    return "(n_y, n_x, n_channels)" if len(shape) == 3 else "(n_spectra, n_channels)"


def check_cube(cube, name="cube", min_channels=1):
    """Check that something is a cube or a table of spectra, without reading it.

    Parameters
    ----------
    cube : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        Numbers; also a memory map or a dask array. A Quantity goes through as its values.
    name : str
        Name of the argument, for the error.
    min_channels : int

    Returns
    -------
    cube : array of that shape
        The same object wherever it is an array already.

    Raises
    ------
    ValueError
        Another number of axes, an empty axis, too few channels, or no real numbers.

    Examples
    --------
    >>> from skastro.denoising.checks import check_cube
    >>> check_cube([[1.0, 2.0, 3.0]]).shape
    (1, 3)
    """
    cube, _ = split_unit(cube, name)
    if not hasattr(cube, "dtype") or not hasattr(cube, "shape"):
        cube = np.asarray(cube)
    if len(cube.shape) not in (2, 3) or 0 in cube.shape:
        raise ValueError(
            f"{name} has shape {tuple(cube.shape)}; expected (n_y, n_x, n_channels) or "
            "(n_spectra, n_channels)."
        )
    if cube.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {cube.dtype}; expected real numbers.")
    if cube.shape[-1] < min_channels:
        raise ValueError(
            f"{name} has {cube.shape[-1]} channel(s), shape {tuple(cube.shape)}; expected at least "
            f"{min_channels}."
        )
    return cube


def read_spectra(cube, rows=slice(None)):
    """Read some rows of a cube as a table of spectra in float32, NaN where blank.

    Parameters
    ----------
    cube : array of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        From `check_cube`.
    rows : slice
        Of the first axis.

    Returns
    -------
    spectra : ndarray of shape (n_spectra, n_channels), float32
        A view wherever the cube is native float32 already: not to be written to.
    """
    block = cube[rows]
    if isinstance(block, np.ma.MaskedArray):
        block = np.where(np.ma.getmaskarray(block), np.float32(np.nan), block.data)
    return native(block).astype(np.float32, copy=False).reshape(-1, cube.shape[-1])


def check_sigma(sigma, shape):
    """Check a noise level, and broadcast it to the shape of its cube.

    Parameters
    ----------
    sigma : array-like
        Standard deviation of the noise in the unit of the cube: a scalar, a spectrum (n_channels,),
        a map (n_y, n_x), or anything that broadcasts to `shape`. For a table also (n_spectra,),
        unless n_spectra equals n_channels: then it is a spectrum. NaN: blank.
    shape : tuple of int
        Shape of the cube, (n_y, n_x, n_channels), or of the table, (n_spectra, n_channels).

    Returns
    -------
    sigma : ndarray of the shape `shape`, float32
        A read-only view that repeats what was given.

    Raises
    ------
    ValueError
        Another shape, a value that is zero, negative or infinite, or nothing but NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.noise import check_sigma
    >>> check_sigma([0.1, 0.2, 0.1], (4, 5, 3)).shape
    (4, 5, 3)
    >>> check_sigma(np.full((4, 5), 0.3), (4, 5, 3))[0, 0]
    array([0.3, 0.3, 0.3], dtype=float32)
    """
    shape = tuple(shape)
    sigma, _ = split_unit(sigma, "sigma")
    sigma = native(sigma)
    if sigma.dtype.kind not in "fiu":
        raise ValueError(f"sigma has dtype {sigma.dtype}; expected positive real numbers.")
    # one value for each spectrum; a spectrum of the noise where the two readings collide
    if sigma.shape == shape[:-1] and not (sigma.ndim == 1 and shape[0] == shape[-1]):
        sigma = sigma[..., None]
    sigma = sigma.astype(np.float32, copy=False)
    try:
        full = np.broadcast_to(sigma, shape)
    except ValueError as error:
        raise ValueError(
            f"sigma has shape {sigma.shape}; expected a scalar, ({shape[-1]},), {shape[:-1]} or "
            f"{shape}, for a cube of {_axes(shape)}."
        ) from error
    # min and max carry a NaN: the slower test only where there is one
    low, high = sigma.min(), sigma.max()
    if np.isnan(low):
        finite = sigma[~np.isnan(sigma)]
        if finite.size == 0:
            raise ValueError("sigma is NaN everywhere; expected a positive noise level.")
        low, high = finite.min(), finite.max()
    if not low > 0:
        raise ValueError(
            f"sigma is {low:.4g} at {int((sigma <= 0).sum())} of {sigma.size} places; expected "
            "positive numbers, NaN where blank."
        )
    if np.isinf(high):
        raise ValueError("sigma is infinite somewhere; expected finite numbers, NaN where blank.")
    return full


def check_signal_mask(mask, shape):
    """Check a mask of the signal against the shape of its cube.

    Parameters
    ----------
    mask : array-like of bool of the shape `shape`
        True where there is signal.
    shape : tuple of int
        Shape of the cube or table.

    Returns
    -------
    mask : ndarray of bool

    Raises
    ------
    ValueError
        Another shape or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising.signal_mask import check_signal_mask
    >>> check_signal_mask(np.zeros((4, 5, 3), dtype=bool), (4, 5, 3)).shape
    (4, 5, 3)
    """
    mask = np.asarray(mask)
    if mask.shape != tuple(shape):
        raise ValueError(
            f"signal_mask has shape {mask.shape}; expected {tuple(shape)}, the shape of the cube."
        )
    if mask.dtype != bool:
        raise ValueError(f"signal_mask has dtype {mask.dtype}; expected bool (True where signal).")
    return mask
