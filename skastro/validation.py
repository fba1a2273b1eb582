"""Shapes, byte order, units, masks and NaN: every public array passes here once."""

from numbers import Integral
from typing import NamedTuple

import numpy as np

__all__ = [
    "TargetInfo",
    "check_targets",
    "native",
    "select_outputs",
    "split_unit",
]


class TargetInfo(NamedTuple):
    """What is remembered of the targets, so that predictions come back in the same form.

    Attributes
    ----------
    names : list of str or None
        Column names, when the targets were a DataFrame.
    ndim : int
        1 when the user gave a single output as a vector, else 2.
    unit : str or None
        Unit of the targets, when they were an `astropy.units.Quantity`.
    is_frame : bool
        Whether the targets were a DataFrame.
    """

    names: list | None
    ndim: int
    unit: str | None
    is_frame: bool


def native(array):
    """Return `array` in the byte order of the machine, at its own precision.

    FITS stores big-endian floats; torch reads only native ones. Nothing is copied when the order is
    already right.

    Parameters
    ----------
    array : array-like

    Returns
    -------
    array : ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.validation import native
    >>> native(np.ones(2, dtype=">f4")).dtype == np.dtype("float32")
    True
    """
    array = np.asarray(array)
    if array.dtype.isnative:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def split_unit(array, name="X", unit=None):
    """Separate the values of an array from its unit, and convert to `unit` when one is expected.

    Parameters
    ----------
    array : array-like or Quantity
    name : str
        Name of the argument, for the error.
    unit : str or None
        The expected unit. None: whatever comes.

    Returns
    -------
    values : array-like
        The values, in `unit` when it is given.
    unit : str or None
        The unit of the values.

    Raises
    ------
    ValueError
        When the unit cannot be converted, or is missing where one is expected.
    """
    found = getattr(array, "unit", None) if not hasattr(array, "columns") else None
    if found is None:
        if unit is not None:
            raise ValueError(
                f"{name} has no unit; it was fitted in {unit!r}: give a Quantity in such a unit."
            )
        return array, None
    if unit is None:
        return array.value, found.to_string()
    try:
        return array.to_value(unit), unit
    except Exception as error:
        raise ValueError(
            f"{name} has unit {found.to_string()!r}; expected one convertible to {unit!r}."
        ) from error


def check_targets(Y, mask=None, n_samples=None, *, name="y", dtype=np.float64):
    """Validate the targets of a regressor; NaN marks what is missing or masked.

    Parameters
    ----------
    Y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets in the user's units: an array, DataFrame, Quantity or `numpy.ma.MaskedArray`.
    mask : array-like of bool of the shape of Y, optional
        True where a target is valid. The same as NaN in Y where it is False.
    n_samples : int, optional
        The expected number of rows.
    name : str
        Name of the argument in the errors.
    dtype : dtype or None
        Floating type of the result; None keeps float32 or float64 as given.

    Returns
    -------
    Y : ndarray of shape (n_samples, n_outputs)
        NaN where invalid. A copy is made only when something has to change.
    info : TargetInfo

    Raises
    ------
    ValueError
        Wrong shape, infinite entries, a mask of another shape, or an output without any valid entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.validation import check_targets
    >>> Y, info = check_targets([[1.0, 2.0], [3.0, 4.0]], mask=[[True, False], [True, True]])
    >>> Y
    array([[ 1., nan],
           [ 3.,  4.]])
    """
    if Y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    columns = getattr(Y, "columns", None)
    names = None if columns is None else [str(column) for column in columns]
    if names is not None and len(set(names)) < len(names):
        twice = next(column for column in names if names.count(column) > 1)
        raise ValueError(f"{name} has two columns named {twice!r}; expected different names.")
    hidden = None
    if hasattr(Y, "unmasked"):  # astropy's Masked, of an array or a Quantity
        hidden, Y = np.asarray(Y.mask), Y.unmasked
    Y, unit = split_unit(Y, name)
    if isinstance(Y, np.ma.MaskedArray):
        hidden, Y = np.ma.getmaskarray(Y), Y.data
    try:
        values = np.asarray(Y)
    except ValueError as error:
        raise ValueError(f"{name} has rows of different lengths; expected a table.") from error
    if np.iscomplexobj(values):
        raise ValueError(f"Complex data not supported: {name} is {values.dtype}; expected floats.")
    try:
        values = native(values)
        if dtype is not None:
            values = values.astype(dtype, copy=False)
        elif values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has dtype {values.dtype}; expected numbers.") from error
    if values.ndim not in (1, 2) or 0 in values.shape:
        raise ValueError(
            f"{name} has shape {values.shape}; expected (n_samples,) or (n_samples, n_outputs)."
        )
    info = TargetInfo(names, values.ndim, unit, columns is not None)
    if n_samples is not None and len(values) != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {name} has {len(values)} "
            f"rows; expected {n_samples}, as X has."
        )
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != values.shape:
            raise ValueError(
                f"mask has shape {mask.shape}; expected {values.shape}, the shape of {name}."
            )
        if mask.dtype != bool:
            raise ValueError(f"mask has dtype {mask.dtype}; expected bool (True where valid).")
    if hidden is not None:
        mask = ~hidden if mask is None else mask & ~hidden
    if mask is not None:
        values = np.where(mask, values, np.asarray(np.nan, dtype=values.dtype))
    values = values.reshape(len(values), -1)
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise ValueError(
            f"Input {name} contains infinity at row {row}, output {column}; expected finite numbers, "
            "NaN or a mask where a target is unknown."
        )
    empty = np.flatnonzero(np.isnan(values).all(axis=0))
    if empty.size:
        shown = ", ".join(str(names[i]) if names else str(i) for i in empty[:5])
        raise ValueError(
            f"{name} has {empty.size} output(s) with no valid entry ({shown}); expected at least one "
            "finite value in each. Input contains NaN."
        )
    return values, info


def select_outputs(outputs, n_outputs, names=None):
    """Turn names or indices of outputs into an array of indices, None meaning all of them.

    Parameters
    ----------
    outputs : None, int, str, slice, or sequence of int, str or bool
    n_outputs : int
    names : sequence of str or None

    Returns
    -------
    indices : ndarray of int or None

    Raises
    ------
    ValueError
        Unknown name, index out of range, empty selection.
    """
    if outputs is None:
        return None
    if isinstance(outputs, slice):
        chosen = np.arange(n_outputs)[outputs]
    else:
        chosen = np.atleast_1d(np.asarray(outputs))
        if chosen.dtype == object and all(isinstance(one, Integral) for one in chosen.flat):
            chosen = chosen.astype(np.int64)
        if chosen.dtype.kind in "USO":
            if names is None:
                raise ValueError(
                    f"outputs={chosen[:3].tolist()!r} are names, but y had none in fit; expected indices "
                    f"below {n_outputs}, or fit with a DataFrame."
                )
            position = {name: i for i, name in enumerate(names)}
            unknown = [str(name) for name in chosen if str(name) not in position]
            if unknown:
                raise ValueError(
                    f"outputs has unknown name(s) {unknown[:3]}; expected some of the {n_outputs} "
                    f"output names, such as {list(names[:3])}."
                )
            chosen = np.array([position[str(name)] for name in chosen])
        elif chosen.dtype == bool:
            if chosen.shape != (n_outputs,):
                raise ValueError(
                    f"outputs is a mask of shape {chosen.shape}; expected ({n_outputs},)."
                )
            chosen = np.flatnonzero(chosen)
        elif chosen.size and (chosen.dtype.kind not in "iu" or chosen.ndim != 1):
            raise ValueError(
                f"outputs has dtype {chosen.dtype} and shape {chosen.shape}; expected a list of "
                "output names or indices."
            )
    if chosen.size == 0:
        raise ValueError(f"outputs is empty; expected some of the {n_outputs} outputs.")
    if chosen.min() < -n_outputs or chosen.max() >= n_outputs:
        raise ValueError(
            f"outputs has index {chosen.max() if chosen.max() >= n_outputs else chosen.min()}; "
            f"expected indices below {n_outputs}."
        )
    return chosen.astype(np.int64) % n_outputs
