"""HEALPix maps of the sphere: the extra that knows their pixels, and the two orders of these."""

from math import isqrt
from numbers import Integral

import numpy as np

from skastro.maps import as_floats, read_array, refuse_constant

__all__ = [
    "check_nside",
    "check_sphere_maps",
    "nested_of_ring",
    "require_healpix",
    "ring_layout",
    "ring_of_nested",
]


def require_healpix():
    """Import astropy-healpix, an extra.

    Returns
    -------
    astropy_healpix : module

    Raises
    ------
    ImportError
        It is not installed; the message says how to.
    """
    try:
        import astropy_healpix
    except ImportError as error:
        raise ImportError(
            "HEALPix maps need astropy-healpix, which is not installed: pip install 'skastro[sphere]'"
        ) from error
    return astropy_healpix


def check_nside(nside, largest=2**13):
    """Check that `nside` is a power of 2, as the nested order needs.

    Parameters
    ----------
    nside : int
        Pixels along a side of each of the 12 faces.
    largest : int
        The largest that is allowed.

    Returns
    -------
    nside : int

    Raises
    ------
    ValueError
        It is not.

    Examples
    --------
    >>> from skastro.healpix import check_nside
    >>> check_nside(64)
    64
    """
    whole = isinstance(nside, Integral) and not isinstance(nside, bool)
    if not whole or not 1 <= nside <= largest or nside & (nside - 1):
        raise ValueError(f"nside={nside!r}; expected a power of 2 up to {largest}.")
    return int(nside)


def nested_of_ring(nside):
    """For each pixel in ring order its number in nested order: (12 nside^2,).

    A map in nested order indexed by it is in ring order.

    Examples
    --------
    >>> from skastro.healpix import nested_of_ring
    >>> nested_of_ring(2)[:4]
    array([ 3,  7, 11, 15])
    """
    return require_healpix().HEALPix(nside).ring_to_nested(np.arange(12 * nside**2))


def ring_of_nested(nside):
    """For each pixel in nested order its number in ring order: (12 nside^2,).

    A map in ring order indexed by it is in nested order.

    Examples
    --------
    >>> from skastro.healpix import ring_of_nested
    >>> ring_of_nested(2)[:4]
    array([13,  5,  4,  0])
    """
    return require_healpix().HEALPix(nside).nested_to_ring(np.arange(12 * nside**2))


def ring_layout(nside):
    """Where the 4 nside - 1 rings of equal latitude are, from north to south.

    Parameters
    ----------
    nside : int

    Returns
    -------
    z : ndarray of shape (n_rings,)
        Sine of the latitude.
    starts, sizes : ndarray of int of shape (n_rings,)
        First pixel, in ring order, and number of pixels.
    first : ndarray of shape (n_rings,)
        Longitude of the first pixel, radians.

    Examples
    --------
    >>> from skastro.healpix import ring_layout
    >>> z, starts, sizes, first = ring_layout(2)
    >>> starts.tolist(), sizes.tolist()
    ([0, 4, 12, 20, 28, 36, 44], [4, 8, 8, 8, 8, 8, 4])
    """
    ring = np.arange(1, 4 * nside)
    cap = np.minimum(ring, 4 * nside - ring)
    polar = cap < nside
    height = np.where(
        polar, 1.0 - cap**2 / (3.0 * nside**2), 4.0 / 3.0 - 2.0 * ring / (3.0 * nside)
    )
    z = np.where(polar & (ring > 2 * nside), -height, height)
    sizes = 4 * np.minimum(cap, nside)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    shifted = polar | ((ring - nside) % 2 == 0)
    return z, starts, sizes, np.where(shifted, np.pi / sizes, 0.0)


def check_sphere_maps(X, name="X", *, valid=None, n_channels=None, n_pixels=None, unit=None):
    """Validate HEALPix maps, which must be real, finite where they count, and vary there.

    Parameters
    ----------
    X : array-like of shape (n, n_pixels) or (n, n_channels, n_pixels)
        An array, Quantity or `numpy.ma.MaskedArray`.
    name : str
        Name of the argument in the errors.
    valid : ndarray of bool of shape (n_pixels,), optional
        True where a pixel counts.
    n_channels, n_pixels : int, optional
        The expected ones; maps (n, n_pixels) have one channel.
    unit : str or None
        The expected unit; a Quantity is converted to it.

    Returns
    -------
    maps : ndarray of shape (n, n_channels, n_pixels)
        float32 or float64 as given, float64 for any other numbers; a view of `X` where it can be.
    unit : str or None
        Of the maps.

    Raises
    ------
    ValueError
        Another dimension, a number of pixels that is not 12 nside^2 for a power of 2, complex, blank or
        infinite pixels that count, a constant map, another size, number of channels or unit.
    TypeError
        A sparse matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.healpix import check_sphere_maps
    >>> maps, unit = check_sphere_maps(np.arange(96.0).reshape(2, 48))
    >>> maps.shape, unit
    ((2, 1, 48), None)
    """
    X, hidden, unit = read_array(X, name, unit)
    if X.ndim not in (2, 3) or 0 in X.shape:
        hint = f"; for a single map give {name}[None]" if X.ndim == 1 else ""
        raise ValueError(
            f"{name} has shape {X.shape}; expected (n, n_pixels) or (n, n_channels, n_pixels), none of "
            f"them 0{hint}."
        )
    nside = isqrt(X.shape[-1] // 12)
    if 12 * nside**2 != X.shape[-1] or nside & (nside - 1) or nside == 0:
        raise ValueError(
            f"{name} has maps of {X.shape[-1]} pixels; expected 12 nside^2, nside a power of 2."
        )
    if n_pixels is not None and X.shape[-1] != n_pixels:
        raise ValueError(
            f"{name} has maps of {X.shape[-1]} pixels; expected {n_pixels}, as in fit."
        )
    found = X.shape[1] if X.ndim == 3 else 1
    if n_channels is not None and found != n_channels:
        raise ValueError(f"{name} has {found} channel(s); expected {n_channels}, as in fit.")
    X = as_floats(X, name)
    X = X.reshape(len(X), found, X.shape[-1])
    seen = X if valid is None else X[..., valid]
    bad = ~np.isfinite(seen)
    if hidden is not None:
        hidden = hidden.reshape(X.shape)
        bad |= hidden if valid is None else hidden[..., valid]
    if bad.any():
        i, c, pixel = (int(k) for k in np.argwhere(bad)[0])
        pixel = pixel if valid is None else int(np.flatnonzero(valid)[pixel])
        value = X[i, c, pixel] if hidden is None or not hidden[i, c, pixel] else "a masked value"
        where = "a mask of the blank pixels" if valid is None else "that the mask hides them"
        raise ValueError(
            f"{name} has {value} in map {i}, channel {c}, pixel {pixel}; expected finite numbers, or {where}."
        )
    refuse_constant(seen, name)
    return X, unit
