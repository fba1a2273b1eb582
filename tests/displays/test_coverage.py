"""The picture of coverage: its curves against counts of intervals that hold the truth."""

import matplotlib
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from skastro.displays import CoverageDisplay
from skastro.distributions import GaussianMixtureDistribution, PiecewiseDistribution

matplotlib.use("agg")
rng = np.random.default_rng(0)
N = 300
MEANS = np.sort(rng.normal(0, 2, size=(N, 2, 2)), axis=1)
STDS = np.array([[0.5, 1.0], [1.0, 0.3]])
WEIGHTS = np.tile([0.3, 0.7], (N, 1))
MIXTURE = GaussianMixtureDistribution(
    WEIGHTS, MEANS, np.broadcast_to([np.diag(s**2) for s in STDS], (N, 2, 2, 2))
)
Y = MIXTURE.sample(1, random_state=1)[0] * [1.0, 1.3]
LEVELS = np.array([0.1, 0.5, 0.68, 0.9, 0.95])


class Known:
    def predict_distribution(self, X, extra=None):
        return MIXTURE if extra is None else MIXTURE.rescaled([0, 0], [extra, extra])


def cdf(i, target, y):
    return WEIGHTS[i] @ norm.cdf((y - MEANS[i, :, target]) / STDS[:, target])


def invert(i, target, q):
    return brentq(lambda y: cdf(i, target, y) - q, -30, 30)


def test_central_intervals_hold_what_is_counted():
    display = CoverageDisplay.from_predictions(Y, MIXTURE, levels=LEVELS, target_names=["a", "b"])
    for target, curve in enumerate(display.curves_):
        np.testing.assert_array_equal(curve.get_xdata(), LEVELS)
        expected = []
        for level in LEVELS:
            ends = [
                [invert(i, target, q) for q in (0.5 - level / 2, 0.5 + level / 2)] for i in range(N)
            ]
            low, high = np.transpose(ends)
            expected.append(np.mean((Y[:, target] >= low) & (Y[:, target] <= high)))
        np.testing.assert_allclose(curve.get_ydata(), expected, atol=1e-12)
        worst = 100 * np.abs(np.array(expected) - LEVELS).max()
        label = display.ax_.get_legend_handles_labels()[1][target]
        assert label == f"{'ab'[target]}: at most {worst:.1f} points off"


def test_highest_densities_hold_what_is_counted():
    display = CoverageDisplay.from_predictions(Y, MIXTURE, kind="hpd", levels=LEVELS, targets=0)
    grid = np.linspace(-12, 12, 24001)
    needed = []
    for i in range(N):

        def density(y, i=i):
            parts = norm.pdf((y[..., None] - MEANS[i, :, 0]) / STDS[:, 0]) / STDS[:, 0]
            return parts @ WEIGHTS[i]

        f = density(grid)
        needed.append(f[f >= density(Y[i, :1])].sum() * (grid[1] - grid[0]))
    expected = [(np.array(needed) <= level).mean() for level in LEVELS]
    # a row or two at a level's edge, where the tables differ
    np.testing.assert_allclose(display.fractions[0], expected, atol=1.5 / N)


def test_both_kinds_and_their_labels():
    display = CoverageDisplay.from_predictions(
        Y, MIXTURE, kind=["central", "hpd"], targets=[1], name="mine"
    )
    assert [one.split(":")[0] for one in display.labels] == ["mine, central", "mine, hpd"]
    for row, kind in zip(display.fractions, ("central", "hpd"), strict=True):
        alone = CoverageDisplay.from_predictions(Y, MIXTURE, kind=kind, targets=1)
        np.testing.assert_array_equal(row, alone.fractions[0])
    assert display.fractions.shape == (2, 99) and (np.diff(display.fractions) >= 0).all()


def test_the_band_is_the_error_of_the_fraction():
    display = CoverageDisplay.from_predictions(Y, MIXTURE, levels=LEVELS, targets=0)
    p = display.fractions[0]
    low, high = display.low_[0], display.high_[0]
    middle = slice(1, 4)
    expected = 1.96 * np.sqrt(p * (1 - p) / N)
    np.testing.assert_allclose((high - low)[middle] / 2, expected[middle], rtol=0.02)
    assert (low < p).all() and (p < high).all()
    # the band is drawn where it is said to be
    vertices = display.ax_.collections[0].get_paths()[0].vertices
    for x, bottom, top in zip(LEVELS, low, high, strict=True):
        y = vertices[np.isclose(vertices[:, 0], x), 1]
        assert y.min() == pytest.approx(bottom) and y.max() == pytest.approx(top)


def test_all_and_none_inside():
    narrow = PiecewiseDistribution([0.0, 1.0], np.tile([0.0, 1.0], (20, 1, 1)))
    out = CoverageDisplay.from_predictions(np.full(20, 5.0), narrow, levels=[0.5, 0.99])
    assert out.fractions.tolist() == [[0, 0]] and out.low_.tolist() == [[0, 0]]
    assert (out.high_ > 0.05).all() and (out.high_ < 0.2).all()
    inside = CoverageDisplay.from_predictions(np.full(20, 0.5), narrow, levels=[0.5, 0.99])
    assert inside.fractions.tolist() == [[1, 1]] and inside.high_.tolist() == [[1, 1]]
    # an interval ends where it holds the truth: 20 values, as many as the levels say
    y = (np.arange(20) + 0.5) / 20
    edge = CoverageDisplay.from_predictions(y, narrow, levels=[0.05, 0.15, 0.55, 0.95])
    np.testing.assert_allclose(edge.fractions, [[0.1, 0.2, 0.6, 1.0]])


def test_estimators_share_axes():
    first = CoverageDisplay.from_estimator(Known(), None, Y, targets=0)
    second = CoverageDisplay.from_estimator(
        Known(), None, Y, targets=0, ax=first.ax_, name="wide", extra=3.0
    )
    labels = [one.split(":")[0] for one in first.ax_.get_legend_handles_labels()[1]]
    assert labels == ["Known", "wide"] and second.ax_ is first.ax_
    assert first.curves_[0].get_color() != second.curves_[0].get_color()
    wider = CoverageDisplay.from_predictions(Y, MIXTURE.rescaled([0, 0], [3, 3]), targets=0)
    np.testing.assert_array_equal(second.fractions, wider.fractions)
    assert sum(line.get_gid() == "perfect" for line in first.ax_.lines) == 1


@pytest.mark.parametrize(
    "y, options, message",
    [
        (Y, {"kind": "shortest"}, "kind='shortest'; expected one of"),
        (Y, {"kind": []}, r"kind=\[\]; expected one of"),
        (Y, {"levels": [0.5, 1.2]}, "levels has 1.2; expected probabilities from 0 to 1"),
        (Y, {"levels": [np.nan]}, "levels has nan; expected probabilities"),
        (Y, {"targets": -1}, "targets=-1; expected an index below 2"),
        (Y[:, :1], {}, r"y_true has shape \(300, 1\); expected \(300, 2\)"),
        (np.where(Y > 2, np.inf, Y), {}, "y_true has NaN or infinity"),
    ],
)
def test_bad_input(y, options, message):
    with pytest.raises(ValueError, match=message):
        CoverageDisplay.from_predictions(y, MIXTURE, **options)
