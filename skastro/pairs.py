"""A truth and its prediction: checked together, read block by block.

Tables of 1e8 entries are usual, so that no metric should make a temporary of that size.
"""

import numpy as np

from skastro.validation import native, split_unit

__all__ = ["check_pair", "column_blocks", "read_block"]

# Temporaries stay below this many entries (64 MiB in float64): tables of 1e8 entries are usual.
BLOCK_ENTRIES = 2**23


def check_pair(y_true, y_pred, mask):
    """Check a truth and its prediction, without copying either.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Arrays, DataFrames, Quantities (both) or, for the truth, a `numpy.ma.MaskedArray`.
    mask : array-like of bool of the shape of `y_true`, or None
        True where the truth is valid.

    Returns
    -------
    y_true, y_pred : ndarray of shape (n_samples, n_outputs)
        The prediction in the unit of the truth.
    mask : ndarray of bool of the same shape, or None
        None when nothing is masked; NaN in `y_true` is left to `read_block`.

    Raises
    ------
    ValueError
        Shapes, units or types that do not match.
    """
    y_true, unit = split_unit(y_true, "y_true")
    y_pred, unit_pred = split_unit(y_pred, "y_pred", unit)
    if unit_pred != unit:
        raise ValueError(f"y_pred has unit {unit_pred!r}; expected none, as y_true.")
    if isinstance(y_true, np.ma.MaskedArray):
        valid = ~np.ma.getmaskarray(y_true)
        mask = valid if mask is None else valid & np.asarray(mask, dtype=bool)
        y_true = y_true.data
    y_true, y_pred = native(y_true), native(y_pred)
    if y_true.ndim not in (1, 2) or y_true.size == 0:
        raise ValueError(
            f"y_true has shape {y_true.shape}; expected (n_samples,) or (n_samples, n_outputs)."
        )
    shape = y_true.shape
    one_output = y_pred.ndim > 0 and y_true.size == y_pred.size == len(y_true) == len(y_pred)
    if y_pred.shape != shape and not one_output:
        raise ValueError(f"y_pred has shape {y_pred.shape}; expected {shape}, the shape of y_true.")
    for name, values in (("y_true", y_true), ("y_pred", y_pred)):
        if values.dtype.kind not in "fiub":
            raise ValueError(f"{name} has dtype {values.dtype}; expected numbers.")
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != shape:
            raise ValueError(f"mask has shape {mask.shape}; expected {shape}, the shape of y_true.")
        if mask.dtype != bool:
            raise ValueError(f"mask has dtype {mask.dtype}; expected bool (True where valid).")
        mask = mask.reshape(shape[0], -1)
    return y_true.reshape(shape[0], -1), y_pred.reshape(shape[0], -1), mask


def column_blocks(shape):
    """Yield slices of columns that hold at most BLOCK_ENTRIES entries each, or one column."""
    step = max(1, BLOCK_ENTRIES // shape[0])
    for start in range(0, shape[1], step):
        yield slice(start, min(start + step, shape[1]))


def read_block(y_true, y_pred, mask, columns):
    """Copy one block of columns in float64, with its mask of valid entries.

    Parameters
    ----------
    y_true, y_pred, mask
        As `check_pair` returns them.
    columns : slice

    Returns
    -------
    truth, guess : ndarray of shape (n_samples, n_columns), float64
    valid : ndarray of bool

    Raises
    ------
    ValueError
        NaN in `y_pred` at a valid entry.
    """
    truth = y_true[:, columns].astype(np.float64)
    guess = y_pred[:, columns].astype(np.float64)
    valid = ~np.isnan(truth)
    if mask is not None:
        valid &= mask[:, columns]
    lost = np.isnan(guess) & valid
    if lost.any():
        row, column = np.argwhere(lost)[0]
        raise ValueError(
            f"y_pred is NaN at {int(lost.sum())} valid entries, the first at row {row}, output "
            f"{column + columns.start}; expected numbers, or False in mask there."
        )
    return truth, guess, valid
