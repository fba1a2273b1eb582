"""Splits of every form of data."""

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from skastro.splits import make_split

X = np.arange(40.0).reshape(20, 2)
Y = X[:, :1] ** 2 + np.arange(3.0) + 1.0
MASK = np.arange(60).reshape(20, 3) % 7 > 0


def test_it_is_scikit_learns_split_with_nan_for_the_masked():
    split = make_split((X, Y, MASK), random_state=3)
    expected = train_test_split(X, np.where(MASK, Y, np.nan), test_size=0.2, random_state=3)
    found = split.X_train, split.X_test, split.Y_train, split.Y_test
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    # the caller's arrays are as they were
    assert np.isfinite(Y).all()


def test_test_rows_of_the_data_are_kept():
    data = Bunch(data=X, target=Y, mask=MASK, data_test=X + 0.5, target_test=Y + 1.0)
    split = make_split(data)
    assert split.X_train is X and split.X_test is data.data_test
    np.testing.assert_array_equal(split.Y_train, np.where(MASK, Y, np.nan))
    np.testing.assert_array_equal(split.Y_test, Y + 1.0)
    split = make_split(data | {"mask_test": MASK})
    np.testing.assert_array_equal(split.Y_test, np.where(MASK, Y + 1.0, np.nan))


def test_frames_units_and_types_are_kept():
    frame = pd.DataFrame(Y, columns=["CO", "C+", "H2"])
    split = make_split((X, frame, MASK), test_size=5)
    assert isinstance(split.Y_test, pd.DataFrame) and len(split.Y_test) == 5
    assert split.output_names == ["CO", "C+", "H2"]
    split = make_split((X, Y * u.erg, MASK))
    assert split.Y_train.unit == u.erg and split.unit == "erg"
    assert make_split((X, Y.astype(np.float32), MASK)).Y_train.dtype == np.float32
    assert make_split((X, Y.astype(int), MASK)).Y_train.dtype == np.float64
    named = make_split(Bunch(data=X, target=Y, target_names=["a", "b", "c"], target_unit="K"))
    assert named.output_names == ["a", "b", "c"] and named.unit == "K"


@pytest.mark.parametrize(
    "data, match",
    [
        ((X,), "data has 1 parts; expected"),
        (X, "data is a ndarray; expected a Bunch"),
        (Bunch(data=X), "data is a Bunch; expected a Bunch with 'data' and 'target'"),
        ((X, Y, MASK[:5]), r"mask has shape \(5, 3\) .*; expected bool of shape \(20, 3\)"),
        ((X, Y, MASK * 1.0), "dtype float64; expected bool"),
    ],
)  # fmt: skip
def test_bad_data_is_one_line(data, match):
    with pytest.raises(ValueError, match=match) as error:
        make_split(data)
    assert "\n" not in str(error.value)
