import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skastro.regression.targets import learn_bounds, outside, read_bounds


def test_bounds_in_every_form():
    expected = [[0, 1], [0, 1]]
    for given in ((0, 1), [(0, 1), (0, 1)], np.array(expected), {"a": (0, 1), "b": (0, 1)}):
        np.testing.assert_array_equal(read_bounds(given, 2, ["a", "b"]), expected)
    np.testing.assert_array_equal(
        read_bounds({"b": (0, 1)}, 2, ["a", "b"]), [[np.nan, np.nan], [0, 1]]
    )
    np.testing.assert_array_equal(read_bounds((0, None), 1), [[0, np.nan]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1, 0), r"target_bounds of target 0 are \(1.0, 0.0\)"),
        ((0, np.inf), "expected finite ones"),
        ((0, 1, 2), r"target_bounds has shape \(3,\); expected \(2,\) or \(2, 2\)"),
        ({"c": (0, 1)}, "target_bounds has the name 'c'"),
        ("narrow", "expected pairs"),
    ],
)
def test_wrong_bounds(given, message):
    with pytest.raises(ValueError, match=message):
        read_bounds(given, 2, ["a", "b"])


def test_learnt_bounds_are_a_little_wider():
    y = np.array([[0.0, 5.0], [10.0, 6.0]])
    np.testing.assert_allclose(learn_bounds(y), [[-0.5, 10.5], [4.95, 6.05]])
    given = np.array([[np.nan, 20.0], [0.0, 9.0]])
    np.testing.assert_allclose(learn_bounds(y, given), [[-0.5, 20], [0, 9]])


def test_a_constant_is_told_of_unless_its_bounds_are_given():
    y = np.full((3, 1), 2.0)
    with pytest.warns(ConvergenceWarning, match="y is constant in target 0, at 2"):
        low, high = learn_bounds(y)[0]
    assert low < 2 < high < 2.001
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn_bounds(y, np.array([[0.0, 9.0]]))


def test_the_first_outside():
    y = np.array([[0.5, 0.5], [0.5, 1.5]])
    assert outside(y, np.array([[0, 1], [0, 1.0]])) == (1, 1)
    assert outside(y, np.array([[0, 1], [0, np.nan]])) is None
