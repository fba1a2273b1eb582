import numpy as np
import pytest
from scipy import stats

from skastro.regression import residual_distribution


@pytest.mark.parametrize("m", [200, 5000])
def test_quantiles_are_those_of_the_residuals(m):
    rng = np.random.default_rng(0)
    residuals = rng.gamma([2.0, 5.0], size=(m, 2)) - 1
    prediction = rng.normal(size=(7, 2))
    one = residual_distribution(prediction, residuals)
    assert one.shape == (7, 2)
    for q in (0.05, 0.3, 0.5, 0.9):
        # each of m sorted residuals is the level i / (m + 1): Weibull's definition
        expected = prediction + np.quantile(residuals, q, axis=0, method="weibull")
        np.testing.assert_allclose(one.quantile(q), expected, atol=0.02)
    np.testing.assert_allclose(one.mean() - prediction, [residuals.mean(0)] * 7, atol=0.03)


def test_intervals_hold_for_new_rows_however_few_the_residuals():
    rng = np.random.default_rng(0)
    u = []
    for _ in range(400):
        residuals = rng.standard_t(4, size=(19, 1))
        u.append(residual_distribution([[0.0]], residuals).cdf(rng.standard_t(4, size=(50, 1, 1))))
    u = np.ravel(u)
    for level in (0.5, 0.9):
        inside = (np.abs(u - 0.5) < level / 2).mean()
        assert inside == pytest.approx(level, abs=0.015)
    assert stats.kstest(u[::50], "uniform").pvalue > 0.01


def test_perfect_predictions_have_narrow_distributions():
    one = residual_distribution(np.array([[3.0], [-1e5]]), np.zeros((10, 1)))
    np.testing.assert_allclose(one.median(), [[3.0], [-1e5]], rtol=1e-6)
    assert (one.std() < 1e-5).all() and np.isfinite(one.quantile([0.01, 0.99])).all()


@pytest.mark.parametrize(
    ("prediction", "residuals", "message"),
    [
        (np.zeros(3), np.zeros((5, 1)), r"prediction has shape \(3,\)"),
        (np.zeros((0, 1)), np.zeros((5, 1)), r"prediction has shape \(0, 1\)"),
        (np.zeros((3, 1)), np.zeros((5, 2)), r"residuals has shape \(5, 2\); expected \(m, 1\)"),
        (np.zeros((3, 1)), np.zeros((1, 1)), "m at least 2"),
        (np.full((3, 1), np.nan), np.zeros((5, 1)), "prediction has NaN"),
        (np.zeros((3, 1)), np.full((5, 1), np.inf), "residuals has NaN or infinity"),
    ],
)
def test_bad_input(prediction, residuals, message):
    with pytest.raises(ValueError, match=message):
        residual_distribution(prediction, residuals)
