"""Stacks of maps as users give them, for what needs every pixel: transforms, spectra, topology."""

import numpy as np
from scipy.sparse import issparse

from skastro.validation import native, split_unit

__all__ = ["as_floats", "check_maps", "check_pair_of_maps", "read_array", "refuse_constant"]

SIDES = {1: "length", 2: "h, w", 3: "d, h, w"}
LEADING = ("({})", "(n, {})", "(n, n_channels, {})")


def check_maps(X, name="X", *, ndims=(2, 3, 4), n_channels=None, shape=None, unit=None, n_dims=2):
    """Validate maps that must be real, finite and of at least 2 pixels a side.

    Parameters
    ----------
    X : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
        An array, Quantity, or `numpy.ma.MaskedArray` that hides nothing.
    name : str
        Name of the argument in the errors.
    ndims : tuple of int
        Numbers of dimensions that are allowed.
    n_channels : int, optional
        The expected number of channels; maps (n, h, w) have one.
    shape : tuple (h, w), optional
        The expected size.
    unit : str or None
        The expected unit; a Quantity is converted to it.
    n_dims : {1, 2, 3}, default=2
        Of the grid: lines (length,) or volumes (d, h, w) in place of maps (h, w).

    Returns
    -------
    maps : ndarray of the shape of `X`
        float32 or float64 as given, float64 for any other numbers; a view of `X` where it can be.
    unit : str or None
        Of the maps.

    Raises
    ------
    ValueError
        Another dimension, a side of one pixel, complex, blank or infinite pixels, another size, number of
        channels or unit.
    TypeError
        A sparse matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.maps import check_maps
    >>> maps, unit = check_maps(np.ones((5, 8, 9), dtype=">f4"))
    >>> maps.shape, maps.dtype.isnative, unit
    ((5, 8, 9), True, None)
    """
    X, hidden, unit = read_array(X, name, unit)
    if hidden is not None and hidden.any():
        raise ValueError(
            f"{name} has {hidden.sum()} masked pixels; expected all of them: fill the maps or cut out a "
            "part without gaps."
        )
    forms = " or ".join(LEADING[ndim - n_dims].format(SIDES[n_dims]) for ndim in ndims)
    if X.ndim not in ndims or 0 in X.shape:
        hint = f"; for a single map give {name}[None]" if X.ndim == n_dims else ""
        raise ValueError(f"{name} has shape {X.shape}; expected {forms}, none of them 0{hint}.")
    size = X.shape[-n_dims:]
    if min(size) < 2:
        raise ValueError(
            f"{name} has maps of {_by(size)} pixels; expected at least {_by([2] * n_dims)}."
        )
    found = X.shape[1] if X.ndim == n_dims + 2 else 1
    if n_channels is not None and found != n_channels:
        raise ValueError(f"{name} has {found} channel(s); expected {n_channels}, as in fit.")
    if shape is not None and size != tuple(shape):
        raise ValueError(f"{name} has maps of {_by(size)} pixels; expected {_by(shape)}.")
    X = as_floats(X, name)
    # the sum tells of NaN and infinity without an array of booleans
    with np.errstate(over="ignore", invalid="ignore"):
        sound = np.isfinite(X.sum(dtype=np.float64))
    if not sound and not (finite := np.isfinite(X)).all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} has {X[place]} at {place}; expected finite numbers: fill blank pixels, or cut out a "
            "part without any."
        )
    return X, unit


def read_array(X, name, unit=None):
    """An array of maps from what users give.

    Parameters
    ----------
    X : array-like
        An array, Quantity or `numpy.ma.MaskedArray`.
    name : str
    unit : str or None
        The expected unit; a Quantity is converted to it.

    Returns
    -------
    X : ndarray
    hidden : ndarray of bool or None
        True where a masked array hides a value.
    unit : str or None

    Raises
    ------
    ValueError
        Maps of different sizes, complex ones, another unit.
    TypeError
        A sparse matrix.
    """
    if issparse(X):
        raise TypeError(f"Sparse data was passed for {name}; expected a dense array of maps.")
    X, unit = split_unit(X, name, unit)
    hidden = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    try:
        X = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"{name} has maps of different shapes; expected one shape.") from error
    if np.iscomplexobj(X):
        raise ValueError(f"Complex data not supported: {name} is {X.dtype}; expected real maps.")
    return X, hidden, unit


def as_floats(X, name):
    """Numbers as float32 or float64 of this machine's byte order, as they are where they can be."""
    X = native(X)
    try:
        return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has dtype {X.dtype}; expected numbers.") from error


def _by(size):
    return " x ".join(map(str, size))


def check_pair_of_maps(X, Y, names):
    """Validate two sets of maps of one size that broadcast against each other, in one unit.

    Parameters
    ----------
    X, Y : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    names : tuple of two str
        Names of the arguments in the errors.

    Returns
    -------
    X, Y : ndarray

    Raises
    ------
    ValueError
        As `check_maps`, or shapes that do not broadcast, or a unit on one side only.
    """
    X, unit = check_maps(X, names[0])
    given = getattr(Y, "unit", None)
    if unit is None and given is not None:
        raise ValueError(f"{names[1]} has unit {str(given)!r}; {names[0]} has none: expected both.")
    Y, _ = check_maps(Y, names[1], unit=unit)
    lead = X.shape[:-2], Y.shape[:-2]
    if X.shape[-2:] != Y.shape[-2:] or (all(lead) and lead[0] != lead[1]):
        raise ValueError(
            f"{names[1]} has shape {Y.shape}; expected {X.shape}, the shape of {names[0]}, or a single map "
            "of that size."
        )
    return X, Y


def refuse_constant(maps, name="X"):
    """Refuse maps without variation: their ratios and logarithms mean nothing.

    Parameters
    ----------
    maps : ndarray of shape (n, n_channels, h, w), or of another grid
    name : str

    Raises
    ------
    ValueError
        A map is constant; its number, channel and value are named.
    """
    grid = tuple(range(2, maps.ndim))
    low, high = maps.min(axis=grid), maps.max(axis=grid)
    if (low == high).any():
        i, c = (int(k) for k in np.argwhere(low == high)[0])
        raise ValueError(
            f"{name} has a constant map, number {i}, channel {c}, at {low[i, c]:.4g}; expected maps that "
            "vary."
        )
