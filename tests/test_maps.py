"""Maps that are given to transforms and metrics: what is let through and how the rest is refused."""

import numpy as np
import pytest
from astropy import units as u
from scipy.sparse import csr_array

from skastro.maps import check_maps, check_pair_of_maps


def test_types_and_units():
    X = np.arange(60.0).reshape(3, 4, 5)
    assert np.shares_memory(check_maps(X)[0], X)
    assert check_maps(X.astype("f4"))[0].dtype == np.float32
    assert check_maps(X.astype(">f4"))[0].dtype == np.dtype("=f4")
    assert check_maps(X.astype(int))[0].dtype == check_maps(X > 3)[0].dtype == np.float64
    np.testing.assert_array_equal(check_maps(np.ma.MaskedArray(X, np.zeros(X.shape, bool)))[0], X)
    values, unit = check_maps(X * u.Jy)
    np.testing.assert_array_equal(values, X)
    assert unit == "Jy" and check_maps(X * u.Jy, unit="mJy")[0].max() == 59e3


def test_large_finite_numbers_are_no_infinity():
    """The sum that looks for NaN overflows, the maps do not."""
    X = np.full((2, 4, 4), 1e308)
    assert check_maps(X)[0] is X


HIDDEN = np.ma.MaskedArray(np.ones((2, 4, 5)), True)
HOLE = np.ones((2, 4, 5))
HOLE[1, 2, 3] = np.nan


@pytest.mark.parametrize(
    "X, kwargs, message",
    [
        (np.ones(4), {}, r"X has shape \(4,\); expected \(h, w\) or \(n, h, w\) or"),
        (
            np.ones((4, 5)),
            {"ndims": (3, 4)},
            r"X has shape \(4, 5\); expected \(n, h, w\) or .*; for a single map give X\[None\]",
        ),
        (np.ones((0, 4, 5)), {}, r"X has shape \(0, 4, 5\); .* none of them 0"),
        (np.ones((3, 1, 1)), {}, r"X has maps of 1 x 1 pixels; expected at least 2 x 2"),
        (np.ones((2, 4, 5), complex), {}, "Complex data not supported: X is complex128"),
        (np.full((2, 4, 5), "a"), {}, "X has dtype <U1; expected numbers"),
        ([[[1.0]], [[1.0, 2.0]]], {}, "X has maps of different shapes"),
        (np.ones((2, 3, 4, 5)), {"n_channels": 1}, r"X has 3 channel\(s\); expected 1, as in fit"),
        (np.ones((2, 4, 5)), {"n_channels": 2}, r"X has 1 channel\(s\); expected 2"),
        (np.ones((2, 4, 5)), {"shape": (4, 4)}, "X has maps of 4 x 5 pixels; expected 4 x 4"),
        (np.full((2, 4, 5), np.inf), {}, r"X has inf at \(0, 0, 0\); expected finite numbers"),
        (HOLE, {}, r"X has nan at \(1, 2, 3\); expected finite numbers: fill"),
        (HIDDEN, {}, "X has 40 masked pixels; expected all of them"),
        (np.ones((2, 4, 5)), {"unit": "K"}, "X has no unit; it was fitted in 'K'"),
    ],
)
def test_bad_maps(X, kwargs, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_maps(X, **kwargs)
    assert "\n" not in str(caught.value)


def test_sparse_matrices_are_refused():
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        check_maps(csr_array(np.eye(3)))


@pytest.mark.parametrize(
    "X, Y, message",
    [
        (np.ones((3, 4, 4)), np.ones((2, 4, 4)), r"b has shape \(2, 4, 4\); expected \(3, 4, 4\)"),
        (np.ones((3, 4, 4)), np.ones((3, 4, 5)), r"or a single map of that size"),
        (np.ones((4, 4)), np.ones((4, 4)) * u.K, "b has unit 'K'; a has none: expected both"),
        (np.ones((4, 4)) * u.K, np.ones((4, 4)), "b has no unit"),
    ],
)
def test_bad_pairs(X, Y, message):
    with pytest.raises(ValueError, match=message):
        check_pair_of_maps(X, Y, ("a", "b"))


def test_pairs_come_in_one_unit():
    X, Y = check_pair_of_maps(np.ones((2, 4, 4)) * u.K, np.ones((4, 4)) * u.mK, ("a", "b"))
    assert X.max() == 1.0 and Y.max() == 1e-3
