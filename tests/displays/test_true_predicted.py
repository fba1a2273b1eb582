"""True against predicted: the valid entries, with names and units."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from skastro.displays import TruePredictedDisplay
from skastro.emulation.baselines import NearestModelRegressor, RBFInterpolationRegressor

matplotlib.use("agg")
rng = np.random.default_rng(0)
X = rng.random((80, 2))
Y = 10.0 ** (20 * X @ rng.normal(size=(2, 4)) - 40)
MASK = rng.random(Y.shape) < 0.9


@pytest.mark.parametrize("kind", ["true_vs_predicted", "ratio_vs_true"])
def test_points_are_the_valid_entries(kind):
    frame = pd.DataFrame(Y, columns=["CO", "C+", "H2", "O"])
    y_pred = 1.1 * Y
    display = TruePredictedDisplay.from_predictions(
        frame, y_pred, output="H2", mask=MASK, kind=kind, unit="erg/s", name="mine"
    )
    valid = MASK[:, 2]
    np.testing.assert_array_equal(display.points_.get_xdata(), Y[valid, 2])
    expected = np.full(valid.sum(), 1.1) if kind == "ratio_vs_true" else y_pred[valid, 2]
    np.testing.assert_allclose(display.points_.get_ydata(), expected)
    ax = display.ax_
    assert ax.get_title() == "H2" and ax.get_xlabel() == "true [erg/s]"
    label = {"true_vs_predicted": "predicted [erg/s]", "ratio_vs_true": "predicted / true"}[kind]
    assert ax.get_ylabel() == label
    display.figure_.canvas.draw()
    low, high = ax.get_xlim()
    assert low <= Y[valid, 2].min() and high >= Y[valid, 2].max()


def test_from_estimator_and_a_second_one_on_the_same_axes():
    first = TruePredictedDisplay.from_estimator(NearestModelRegressor().fit(X, Y), X, Y, output=1)
    second = TruePredictedDisplay.from_estimator(
        RBFInterpolationRegressor().fit(X, Y), X, Y, output=1, ax=first.ax_
    )
    perfect = [line for line in second.ax_.lines if line.get_gid() == "perfect"]
    assert len(perfect) == 1 and len(second.ax_.lines) == 3


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"output": "CN"}, "output='CN'; expected one of"),
        ({"output": 4}, "output=4; expected an index below 4"),
        ({"kind": "scatter"}, "kind='scatter'; expected 'true_vs_predicted'"),
        ({"mask": np.zeros(Y.shape, dtype=bool)}, "output 0 has no valid entry"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        TruePredictedDisplay.from_predictions(Y, Y, **arguments)
