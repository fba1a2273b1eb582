"""The picture of PIT values: its bars and lines against NumPy's, the band against drawn uniform values."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, norm

from skastro.displays import PITDisplay
from skastro.distributions import GaussianMixtureDistribution

matplotlib.use("agg")
rng = np.random.default_rng(0)
MEANS = rng.normal(size=(400, 2))
STDS = np.array([0.5, 2.0])
Y = MEANS + rng.normal(size=MEANS.shape)


def gaussians(means=MEANS, stds=STDS):
    n, k = means.shape
    covariances = np.broadcast_to(np.diag(np.square(stds)), (n, 1, k, k))
    return GaussianMixtureDistribution(np.ones((n, 1)), means[:, None], covariances)


class Known:
    """Predicts what it is given, wider by the side column."""

    target_names_ = ["mass", "age"]

    def predict_distribution(self, X, extra=1.0):
        return gaussians(X, extra * STDS)


def legend(display):
    return [one.get_text() for one in display.figure_.legends[0].get_texts()]


def by_hand(stds=STDS):
    return norm.cdf((Y - MEANS) / stds)


def test_bars_are_the_histogram_of_each_target():
    display = PITDisplay.from_predictions(Y, gaussians(), bins=16, name="mine")
    pit = by_hand()
    for i, curve in enumerate(display.curves_):
        expected, edges = np.histogram(pit[:, i], np.linspace(0, 1, 17), density=True)
        np.testing.assert_allclose(curve.get_data().values, expected, rtol=1e-12)
        np.testing.assert_allclose(curve.get_data().edges, edges)
        test = kstest(pit[:, i], "uniform")
        assert display.ks_[i] == pytest.approx(test.statistic, rel=1e-9)
        assert display.p_value_[i] == pytest.approx(test.pvalue, rel=1e-6)
        assert legend(display)[i].startswith(f"mine, target {i}: KS ")
    assert display.ax_.get_ylim()[1] > max(one.get_data().values.max() for one in display.curves_)


def test_a_prediction_that_cannot_be_and_one_that_is_exact_are_in_the_outer_bins():
    far = PITDisplay.from_predictions(MEANS[:, :1] + 1e3, gaussians(MEANS[:, :1], [1.0]), bins=4)
    assert far.curves_[0].get_data().values.tolist() == [0, 0, 0, 4]
    assert legend(far)[0] == "KS 1.000, p < 0.001"
    exact = PITDisplay.from_predictions(MEANS[:, 0], gaussians(MEANS[:, :1], [1.0]), bins=4)
    assert exact.curves_[0].get_data().values.tolist() == [0, 0, 4, 0]


def band(display):
    return [one for one in display.ax_.collections if (one.get_gid() or "").startswith("band")]


def test_the_band_holds_95_percent_of_uniform_bins():
    display = PITDisplay.from_predictions(Y[:, 0], gaussians(MEANS[:, :1], [1.0]), bins=10)
    heights = band(display)[0].get_paths()[0].vertices[:, 1]
    draws = 10 * rng.multinomial(400, [0.1] * 10, size=4000) / 400
    held = ((draws >= heights.min()) & (draws <= heights.max())).mean()
    # of whole counts: a little more than the band promises
    assert 0.945 < held < 0.975


def test_quantiles_and_their_band():
    display = PITDisplay.from_predictions(Y, gaussians(), kind="qq", targets=1)
    (curve,) = display.curves_
    np.testing.assert_allclose(curve.get_xdata(), (np.arange(400) + 0.5) / 400)
    np.testing.assert_allclose(curve.get_ydata(), np.sort(by_hand()[:, 1]))
    # up along one end of the band, back along the other
    x, y = band(display)[0].get_paths()[0].vertices.T
    inside = np.sort(rng.random((4000, 400)), axis=1)[:, 199]
    ends = np.sort(y[np.isclose(x, 199.5 / 400)])
    assert np.mean((inside > ends[0]) & (inside < ends[-1])) == pytest.approx(0.95, abs=0.015)


def test_many_quantiles_are_thinned():
    means = np.zeros((5000, 1))
    display = PITDisplay.from_predictions(rng.normal(size=5000), gaussians(means, [1.0]), kind="qq")
    assert len(display.curves_[0].get_xdata()) == 501


def test_estimators_share_axes_and_a_band():
    first = PITDisplay.from_estimator(Known(), MEANS, Y, targets="age", name="one")
    second = PITDisplay.from_estimator(Known(), MEANS, Y, targets="age", ax=first.ax_, extra=0.5)
    expected = np.histogram(by_hand(0.5 * STDS)[:, 1], 20, (0, 1), density=True)[0]
    np.testing.assert_allclose(second.curves_[0].get_data().values, expected)
    assert [one.split(":")[0] for one in legend(first)] == ["one", "Known", "95 % if uniform"]
    assert first.curves_[0].get_edgecolor() != second.curves_[0].get_edgecolor()
    assert len(band(first)) == 1
    PITDisplay.from_estimator(Known(), MEANS[:50], Y[:50], targets="age", ax=first.ax_)
    assert len(band(first)) == 2


def test_names_of_a_frame():
    frame = pd.DataFrame(Y, columns=["a", "b"])
    display = PITDisplay.from_predictions(frame, gaussians(), targets=["b", "a"])
    assert [one.split(":")[0] for one in display.labels] == ["b", "a"]
    np.testing.assert_allclose(display.pit[0], by_hand()[:, 1])


@pytest.mark.parametrize(
    "y, options, message",
    [
        (Y, {"kind": "bars"}, "kind='bars'; expected one of"),
        (Y, {"bins": 1}, "bins=1; expected a whole number of 2 or more"),
        (Y, {"bins": 2.5}, "bins=2.5; expected a whole number"),
        (Y, {"targets": 2}, "targets=2; expected an index below 2"),
        (Y, {"targets": "z"}, "targets='z'; expected one of"),
        (Y, {"targets": []}, "targets is empty"),
        (Y, {"target_names": ["a"]}, "target_names has 1 entries; expected 2"),
        (Y[:-1], {}, r"y_true has shape \(399, 2\); expected \(400, 2\)"),
        (np.where(Y > 2, np.nan, Y), {}, "y_true has NaN or infinity"),
        (Y[:0], {}, r"y_true has shape \(0, 2\)"),
    ],
)
def test_bad_input(y, options, message):
    with pytest.raises(ValueError, match=message):
        PITDisplay.from_predictions(y, gaussians(), **options)


def test_no_distribution():
    with pytest.raises(ValueError, match="distribution is a ndarray; expected a Distribution"):
        PITDisplay.from_predictions(Y, MEANS)
    with pytest.raises(ValueError, match="object has no predict_distribution"):
        PITDisplay.from_estimator(object(), MEANS, Y)
