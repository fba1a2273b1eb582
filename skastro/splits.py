"""Training and test rows of a data set, masked targets as NaN."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from skastro.validation import split_unit

__all__ = ["Split", "make_split"]


@dataclass
class Split:
    """Training and test part of a data set.

    Attributes
    ----------
    X_train, Y_train, X_test, Y_test : array-like
        Targets in linear units; NaN where masked.
    output_names : list of str
    unit : str or None
        Of the targets, for the axes of pictures.
    """

    X_train: Any
    Y_train: Any
    X_test: Any
    Y_test: Any
    output_names: list = field(default_factory=list)
    unit: str | None = None

    @property
    def summary(self):
        """What is fitted and scored, in a few words."""
        return f"{len(self.X_train):,} rows to fit, scored on {len(self.X_test):,} others"


def make_split(data, test_size=0.2, random_state=None):
    """Split a data set, or take the test rows that it comes with.

    Parameters
    ----------
    data : Bunch or tuple (X, Y) or (X, Y, mask)
        A Bunch has `data`, `target` and perhaps `mask`, `target_names`, `target_unit`, `data_test`,
        `target_test` and `mask_test`.
    test_size : float or int, default=0.2
        Fraction or number of rows held out, where the data has no test rows.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    split : Split

    Raises
    ------
    ValueError
        Data of another form, or a mask of another shape.

    Examples
    --------
    >>> from skastro.datasets import load_nebular_grid
    >>> from skastro.splits import make_split
    >>> split = make_split(load_nebular_grid(), random_state=0)
    >>> split.X_train.shape, split.Y_test.shape
    ((1232, 4), (308, 126))
    """
    if isinstance(data, (tuple, list)):
        if len(data) not in (2, 3):
            raise ValueError(f"data has {len(data)} parts; expected (X, Y) or (X, Y, mask).")
        data = dict(zip(("data", "target", "mask"), data, strict=False))
    if not isinstance(data, Mapping) or not {"data", "target"} <= set(data):
        raise ValueError(
            f"data is a {type(data).__name__}; expected a Bunch with 'data' and 'target', or a "
            "tuple (X, Y)."
        )
    X, Y = data["data"], _masked(data["target"], data.get("mask"))
    names = list(getattr(data["target"], "columns", data.get("target_names", ())))
    names = [str(name) for name in names]
    unit = getattr(data["target"], "unit", None)
    unit = data.get("target_unit") if unit is None else str(unit)
    if data.get("data_test") is not None:
        Y_test = _masked(data["target_test"], data.get("mask_test"))
        return Split(X, Y, data["data_test"], Y_test, names, unit)
    X_train, X_test, Y_train, Y_test = train_test_split(
        X, Y, test_size=test_size, random_state=random_state
    )
    return Split(X_train, Y_train, X_test, Y_test, names, unit)


def _masked(Y, mask):
    """Targets with NaN where `mask` is False."""
    if mask is None or np.all(mask):
        return Y
    mask = np.asarray(mask)
    if mask.shape != np.shape(Y) or mask.dtype != bool:
        raise ValueError(
            f"mask has shape {mask.shape} and dtype {mask.dtype}; expected bool of shape "
            f"{np.shape(Y)}."
        )
    if hasattr(Y, "columns"):
        return Y.where(mask)
    values, unit = split_unit(Y, "Y")
    values = np.array(values, dtype=np.result_type(values, np.float32))
    values[~mask] = np.nan
    if unit is None:
        return values
    from astropy.units import Quantity

    return Quantity(values, unit, copy=False)
