"""ROC curves on a logarithmic axis: against scikit-learn's, the limits where none is false, other classes."""

import matplotlib
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from skastro.displays import ROCDisplay

matplotlib.use("agg")
rng = np.random.default_rng(0)
Y = rng.random((3, 2, 40, 40)) < np.array([0.02, 0.2])[:, None, None]
P = 1 / (1 + np.exp(-(rng.normal(size=Y.shape) + 4.0 * Y - 2.0)))


class Known:
    labels_ = ["star", "galaxy"]

    def predict_proba(self, X):
        return P[: len(X)]


def legend(display):
    return [one.get_text() for one in display.figure_.legends[0].get_texts()]


def test_curves_areas_and_rates():
    display = ROCDisplay.from_predictions(Y, P, labels=["star", "galaxy"], at=0.01)
    for k, curve in enumerate(display.curves_):
        y, p = Y[:, k].ravel(), P[:, k].ravel()
        fpr, tpr, _ = roc_curve(y, p)
        np.testing.assert_array_equal(curve.get_xdata(), fpr[fpr > 0])
        np.testing.assert_array_equal(curve.get_ydata(), tpr[fpr > 0])
        area = roc_auc_score(y, p)
        assert display.auc[k] == pytest.approx(area, abs=1e-12)
        # by hand: the threshold that at most 1 % of the negatives pass
        cuts = np.unique(p)
        rates = [((p[~y] >= c).mean(), (p[y] >= c).mean()) for c in cuts]
        best = max(found for false, found in rates if false <= 0.01)
        assert display.tpr_at_[k] == pytest.approx(best)
        # before the first false positive
        (x, _), (height, _) = display.limits_[k].get_xdata()[::-1], display.limits_[k].get_ydata()
        assert x == pytest.approx(3 / (~y).sum())
        assert height == pytest.approx((p[y] > p[~y].max()).mean())
        assert legend(display)[k].endswith(f"{area:.4f}, {best:.3f}")
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlim()[0] < 1 / Y[:, 1].size


def test_many_points_are_thinned_to_what_can_be_seen():
    y = rng.random(200_000) < 0.5
    p = 1 / (1 + np.exp(-rng.normal(size=y.size) - y))
    curve = ROCDisplay.from_predictions(y, p).curves_[0]
    fpr, tpr, _ = roc_curve(y, p)
    x, height = curve.get_xdata(), curve.get_ydata()
    assert len(x) < 5000 < len(fpr)
    exact = tpr[np.searchsorted(fpr, x, side="right") - 1]
    np.testing.assert_allclose(height, exact, atol=2e-3)


def test_exclusive_classes_and_what_is_not_scored():
    index = rng.integers(3, size=(2, 20, 20))
    proba = rng.dirichlet(np.ones(3), size=(2, 20, 20)).transpose(0, 3, 1, 2)
    hidden = index.copy()
    hidden[0, :5] = 255
    display = ROCDisplay.from_predictions(hidden, proba, show=[1, 2])
    kept = hidden != 255
    assert display.labels == ["class 1", "class 2"]
    for k in (1, 2):
        area = roc_auc_score(index[kept] == k, proba[:, k][kept])
        assert display.auc[k - 1] == pytest.approx(area)


def test_one_class_only_and_never_predicted():
    y, p = Y.copy(), P.copy()
    y[:, 0], p[:, 1] = False, 0.0
    display = ROCDisplay.from_predictions(y, p, labels=["a", "b"])
    assert np.isnan(display.auc[0]) and display.auc[1] == 0.5
    assert legend(display) == ["a: one class only", "b: 0.5000, 0.000"]
    assert display.limits_ == []


def test_estimators_share_axes():
    first = ROCDisplay.from_estimator(Known(), np.zeros((3, 40, 40)), Y, name="one")
    second = ROCDisplay.from_estimator(Known(), np.zeros((3, 40, 40)), Y, show="star", ax=first.ax_)
    assert [one.split(":")[0] for one in legend(first)] == [
        "one, star",
        "one, galaxy",
        "Known, star",
    ]
    assert sum(line.get_gid() == "chance" for line in first.ax_.lines) == 1
    assert second.curves_[0].get_color() != first.curves_[0].get_color()


@pytest.mark.parametrize(
    "y, p, options, message",
    [
        (Y, P[:, :1], {}, r"y_true has shape \(3, 2, 40, 40\); expected \(3, 1, 40, 40\)"),
        (Y, P + 1, {}, "proba"),
        (Y, np.where(P > 0.9, np.nan, P), {}, "proba"),
        (Y + 3, P, {}, "y_true has values from 3 to 4; expected whole numbers from 0 to 1"),
        (np.full(Y.shape, 255), P, {}, "nothing that is scored"),
        (Y, P, {"labels": ["a"]}, "labels has 1 entries; expected 2"),
        (Y, P, {"show": "a"}, "show='a'; expected"),
        (Y, P, {"show": []}, "show is empty"),
        (Y, P, {"at": 1.5}, "at=1.5; expected a false positive rate"),
        (Y[:0], P[:0], {}, r"proba has shape \(0, 2, 40, 40\); expected at least one"),
    ],
)
def test_bad_input(y, p, options, message):
    with pytest.raises(ValueError, match=message):
        ROCDisplay.from_predictions(y, p, **options)


def test_no_probabilities():
    with pytest.raises(ValueError, match="object has no predict_proba"):
        ROCDisplay.from_estimator(object(), P, Y)
