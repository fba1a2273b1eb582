"""The curve of error quantiles holds the errors, with readable labels."""

import matplotlib
import numpy as np
import pytest

from skastro.displays import ErrorQuantilesDisplay
from skastro.emulation.baselines import NearestModelRegressor, RBFInterpolationRegressor
from skastro.metrics import error_factor

matplotlib.use("agg")
rng = np.random.default_rng(0)
X = rng.random((80, 2))
Y = 10.0 ** (20 * X @ rng.normal(size=(2, 4)) - 40)
MASK = rng.random(Y.shape) < 0.9


def test_quantiles_are_those_of_the_errors():
    y_pred = Y * 10.0 ** rng.normal(0, 0.1, Y.shape)
    display = ErrorQuantilesDisplay.from_predictions(Y, y_pred, mask=MASK, name="mine")
    errors = error_factor(Y, y_pred, mask=MASK, aggregate=None)
    errors = errors[MASK]
    for worse, quantile in zip(display.worse, display.quantiles, strict=True):
        assert (errors >= quantile).sum() == round(worse * errors.size)
    assert display.quantiles[-1] == errors.max() and display.worse[0] == 1.0
    np.testing.assert_array_equal(display.line_.get_ydata(), np.maximum(display.quantiles, 1e-6))
    assert display.ax_.get_legend_handles_labels()[1] == ["mine"]


def test_labels_of_the_quantiles():
    y_pred = Y * 10.0 ** rng.normal(0, 0.5, Y.shape)
    display = ErrorQuantilesDisplay.from_predictions(Y, y_pred)
    display.figure_.canvas.draw()
    shown = [t.get_text() for t in display.ax_.get_xticklabels()]
    assert shown == ["50 %", "90 %", "99 %", "max"]
    left, right = display.ax_.get_xlim()
    assert left == 1.0 and right == pytest.approx(1 / Y.size)
    shown = {t.get_text() for t in display.ax_.get_yticklabels()}
    assert {"10 %", "1 %", "×2", "×10"} <= shown


def test_exact_and_infinite_errors_are_drawn():
    display = ErrorQuantilesDisplay.from_predictions([1.0, 2.0, 3.0], [1.0, 0.0, 3.3])
    assert np.isinf(display.quantiles[-1]) and np.isfinite(display.line_.get_ydata()).all()


def test_curves_share_axes():
    first = ErrorQuantilesDisplay.from_estimator(NearestModelRegressor().fit(X, Y), X + 0.01, Y)
    second = ErrorQuantilesDisplay.from_estimator(
        RBFInterpolationRegressor().fit(X, Y), X + 0.01, Y, ax=first.ax_, color="red"
    )
    assert second.ax_ is first.ax_ and second.line_.get_color() == "red"
    labels = first.ax_.get_legend_handles_labels()[1]
    assert labels == ["NearestModelRegressor", "RBFInterpolationRegressor"]
