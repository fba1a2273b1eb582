import numpy as np
import pytest

from skastro.probabilities import check_labels, check_probabilities, check_weights, effective_size


def test_what_has_no_weight_is_left_out():
    y = np.array([[0, 1, 1], [1, 0, 0]])
    p = np.linspace(0, 1, 6).reshape(2, 3)
    weight = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]])
    labels, score, kept = check_labels(y, p, weight)
    np.testing.assert_array_equal(labels, [False, True, True, False])
    np.testing.assert_array_equal(score, p[weight > 0])
    np.testing.assert_array_equal(kept, [1, 2, 3, 4])
    big_endian = check_probabilities(p.astype(">f4"))
    assert big_endian.dtype == np.float64 and big_endian.dtype.isnative
    np.testing.assert_array_equal(check_weights([1.0, 2.0, 3.0], (2, 3))[1], [1, 2, 3])
    assert effective_size(np.full(7, 0.3)) == pytest.approx(7)


@pytest.mark.parametrize(
    ("proba", "match"),
    [
        ([], r"proba has shape \(0,\); expected at least one number"),
        ([0.2, np.nan], "proba has 1 NaN"),
        ([0.2, np.inf], "values from 0.2 to inf; expected 0 to 1"),
        ([-0.1], "values from -0.1"),
        (["a"], "not an array of numbers"),
        ([[0.1], [0.1, 0.2]], "not an array of numbers"),
    ],
)
def test_bad_probabilities(proba, match):
    with pytest.raises(ValueError, match=match):
        check_probabilities(proba)


@pytest.mark.parametrize(
    ("y", "weight", "match"),
    [
        ([0, 1, 1], None, r"y_true has shape \(3,\); expected \(2,\), the shape of proba"),
        ([0, 2], None, "y_true has 2; expected labels 0 and 1"),
        ([0, 0], None, "only the class 0"),
        ([1, 1], None, "only the class 1"),
        ([0, 1], [1, 0], "only the class 0"),
        ([0, np.nan], None, "y_true has 1 NaN"),
        ([0, 1], [1, 1, 1], r"sample_weight has shape \(3,\)"),
        ([0, 1], [1, -1], "sample_weight has values from -1"),
        ([0, 1], [0, 0], "not all 0"),
        ([0, 1], [1, np.inf], "to inf; expected finite"),
    ],
)
def test_bad_labels_and_weights(y, weight, match):
    with pytest.raises(ValueError, match=match):
        check_labels(y, np.array([0.2, 0.7]), weight)
