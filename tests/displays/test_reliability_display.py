"""The picture of reliability: its points are the table's, rare classes on logarithmic axes, limits."""

import matplotlib
import numpy as np
import pytest

from skastro.displays import ReliabilityDisplay
from skastro.reliability import reliability_table

matplotlib.use("agg")
rng = np.random.default_rng(0)
RARE = rng.beta(0.05, 20.0, size=(4, 60, 60))
Y = rng.random(RARE.shape) < RARE
COMMON = rng.random((4, 60, 60))
Y_COMMON = rng.random(COMMON.shape) < COMMON


class Known:
    labels_ = ["source"]

    def predict_proba(self, X):
        return COMMON


def legend(display):
    return [one.get_text() for one in display.figure_.legends[0].get_texts()]


def points(curve):
    x, y = curve.get_data()
    return x[np.isfinite(y)], y[np.isfinite(y)]


def test_points_counts_and_ratio_of_common_classes():
    display = ReliabilityDisplay.from_predictions(Y_COMMON, COMMON, n_bins=8)
    table = reliability_table(Y_COMMON, COMMON, n_bins=8)
    x, y = points(display.curves_[0])
    np.testing.assert_allclose(x, table.predicted)
    np.testing.assert_allclose(y, table.observed)
    bars = display.axes_["reliability"].collections[0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], np.stack([table.low, table.high], 1))
    (stairs,) = [one for one in display.axes_["counts"].patches if one.get_gid() == "counts"]
    np.testing.assert_array_equal(stairs.get_data().values, table.counts)
    assert display.axes_["reliability"].get_xscale() == "linear"
    assert legend(display) == [f"{COMMON.sum() / Y_COMMON.sum():.2f}"]


@pytest.mark.parametrize("scale", ["auto", "logit"])
def test_rare_classes(scale):
    display = ReliabilityDisplay.from_predictions(Y, RARE, scale=scale, labels=["hot pixel"])
    above = display.axes_["reliability"]
    assert above.get_xscale() == above.get_yscale() == ("log" if scale == "auto" else scale)
    end = 0.3 / Y.size
    clipped = np.clip(RARE, end, 1 - end if scale == "logit" else 1)
    table = reliability_table(Y, clipped, bins="logit")
    seen = table.observed > 0
    x, y = points(display.curves_[0])
    np.testing.assert_allclose(x, table.predicted[seen])
    np.testing.assert_allclose(y, table.observed[seen])
    # bins without a positive are drawn as the end of their interval
    limits = [line for line in above.lines if line.get_gid() == "limit"]
    found = [np.concatenate(one) for one in zip(*(line.get_data() for line in limits), strict=True)]
    np.testing.assert_allclose(found, [table.predicted[~seen], table.high[~seen]])
    low, high = above.get_xlim()
    assert low <= table.predicted.min() and high >= min(table.predicted.max(), 0.9)
    assert legend(display)[0].startswith("hot pixel: ")


def test_bins_in_which_all_are_positive_have_a_limit():
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.beta(0.05, 20, 5000), np.full(400, 0.9999)])
    y = np.concatenate([rng.random(5000) < p[:5000], np.ones(400, bool)])
    display = ReliabilityDisplay.from_predictions(y, p, scale="logit")
    marks = [
        line for ax in display.axes_.values() for line in ax.lines if line.get_gid() == "limit"
    ]
    assert any(line.get_marker() == "^" for line in marks)


def test_gaps_between_bins():
    p = np.repeat([0.05, 0.95], 50)
    display = ReliabilityDisplay.from_predictions(np.arange(100) % 2, p)
    (stairs,) = [one for one in display.axes_["counts"].patches if one.get_gid() == "counts"]
    edges, values = stairs.get_data().edges, stairs.get_data().values
    np.testing.assert_allclose(edges, [0.0, 0.1, 0.9, 1.0])
    np.testing.assert_array_equal(values, [50, np.nan, 50])


def test_nothing_predicted_and_nothing_true():
    proba = np.stack([np.zeros(RARE.shape), RARE], axis=1)
    truth = np.stack([Y, np.zeros(Y.shape, bool)], axis=1)
    for scale in ("auto", "logit", "linear"):
        display = ReliabilityDisplay.from_predictions(truth, proba, labels=["a", "b"], scale=scale)
        assert legend(display) == ["a: 0.00", "b: no positive"]
        display.figure_.canvas.draw()


def test_estimators_share_axes():
    first = ReliabilityDisplay.from_estimator(Known(), COMMON, Y_COMMON, name="one")
    ReliabilityDisplay.from_estimator(Known(), COMMON, Y_COMMON, axes=first.axes_, n_bins=5)
    assert [one.split(":")[0] for one in legend(first)] == ["one, source", "Known, source"]
    lines = first.axes_["reliability"].lines
    assert sum(line.get_gid() == "perfect" for line in lines) == 1
    # the scale of the first
    rare = ReliabilityDisplay.from_predictions(Y, RARE)
    second = ReliabilityDisplay.from_predictions(Y_COMMON, COMMON, axes=rare.axes_)
    assert second.axes_["reliability"].get_xscale() == "log"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scale": "cubic"}, "scale='cubic'; expected one of auto, linear"),
        ({"bins": "odd"}, "bins='odd'; expected one of"),
        ({"n_bins": 0}, "n_bins=0; expected"),
        ({"show": 1}, "show=1; expected"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        ReliabilityDisplay.from_predictions(Y, RARE, **options)
