"""Predicted against true: points, intervals and statistics are those of the distributions."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from scipy.stats import norm

from skastro.displays import PredictionDisplay
from skastro.displays.running import running_quantiles
from skastro.distributions import GaussianMixtureDistribution, PiecewiseDistribution

matplotlib.use("agg")
rng = np.random.default_rng(0)
FEW, MANY = 60, 3000
STD = np.array([0.02, 3.0])


def gaussians(means, std=STD):
    n, k = means.shape
    covariances = np.broadcast_to(np.diag(np.square(std)), (n, 1, k, k))
    return GaussianMixtureDistribution(np.ones((n, 1)), means[:, None], covariances)


def draw_truth(n):
    y = rng.uniform(0, 1, (n, 2)) * [0.4, 50.0]
    return y, y + rng.normal(0, STD, (n, 2))


Y, MEANS = draw_truth(FEW)
MANY_Y, MANY_MEANS = draw_truth(MANY)


class Known:
    target_names_ = ["z", "mass"]

    def predict_distribution(self, X, extra=0.0):
        return gaussians(X + extra)


def by_gid(ax, gid):
    return [one for one in (*ax.lines, *ax.collections) if one.get_gid() == gid]


def ends(level, means=MEANS):
    reach = norm.ppf(0.5 + level / 2) * STD
    return means - reach, means + reach


def test_few_rows_have_error_bars():
    display = PredictionDisplay.from_predictions(Y, gaussians(MEANS), levels=[0.68, 0.95])
    for i in range(2):
        ax = display.axes_["prediction"][i]
        (points,) = by_gid(ax, "points")
        np.testing.assert_array_equal(points.get_xdata(), Y[:, i])
        np.testing.assert_allclose(points.get_ydata(), MEANS[:, i])
        widths = []
        for level in (0.95, 0.68):
            (bars,) = by_gid(ax, f"interval {level}")
            found = np.array(bars.get_segments())
            np.testing.assert_array_equal(found[:, 0, 0], Y[:, i])
            for end, side in zip(ends(level), (0, 1), strict=True):
                np.testing.assert_allclose(found[:, side, 1], end[:, i], rtol=1e-6, atol=1e-9)
            widths.append(bars.get_linewidth()[0])
        assert widths[0] < widths[1]
        low, high = ax.get_xlim()
        assert low < min(Y[:, i].min(), MEANS[:, i].min()) and ax.get_ylim() == (low, high)
        (points,) = by_gid(display.axes_["residual"][i], "points")
        np.testing.assert_allclose(points.get_ydata(), (MEANS - Y)[:, i])
        mae = np.abs(MEANS - Y)[:, i].mean()
        assert display.summary_[i]["mae"] == pytest.approx(mae)
        assert ax.get_title() == f"MAE {mae:.3g}"


def test_many_rows_are_a_density_with_bands():
    display = PredictionDisplay.from_predictions(MANY_Y, gaussians(MANY_MEANS), targets=1)
    above, below = display.axes_["prediction"][0], display.axes_["residual"][0]
    cells = above.collections[0]
    # every row is counted once
    assert np.nansum(cells.get_array()) == MANY
    y, means = MANY_Y[:, 1], MANY_MEANS[:, 1]
    order = np.argsort(y)
    parts = np.split(order, 20)
    centre = [np.median(y[part]) for part in parts]
    (line,) = by_gid(above, "median")
    np.testing.assert_allclose(line.get_xdata(), centre)
    np.testing.assert_allclose(line.get_ydata(), [np.median(means[part]) for part in parts])
    for level in (0.68, 0.95):
        vertices = by_gid(above, f"interval {level}")[0].get_paths()[0].vertices
        reach = norm.ppf(0.5 + level / 2) * STD[1]
        for part, x in zip(parts, centre, strict=True):
            at = vertices[np.isclose(vertices[:, 0], x), 1]
            middle = np.median(means[part])
            np.testing.assert_allclose([at.min(), at.max()], [middle - reach, middle + reach])
    residual = means - y
    (line,) = by_gid(below, "median")
    np.testing.assert_allclose(line.get_ydata(), [np.median(residual[part]) for part in parts])
    vertices = by_gid(below, "band")[0].get_paths()[0].vertices
    for part, x in zip(parts, centre, strict=True):
        at = vertices[np.isclose(vertices[:, 0], x), 1]
        np.testing.assert_allclose([at.min(), at.max()], np.quantile(residual[part], [0.16, 0.84]))
    # those off the axis are told
    end = below.get_ylim()[1]
    beyond = (np.abs(residual) > end).sum()
    assert [one.get_text() for one in below.texts] == ([f"{beyond} beyond"] if beyond else [])
    assert np.nansum(below.collections[0].get_array()) == MANY - beyond


def test_redshifts():
    y, means = MANY_Y[:, :1], MANY_MEANS[:, :1].copy()
    means[:100] += 0.3
    display = PredictionDisplay.from_predictions(
        y, gaussians(means, STD[:1]), kind="redshift", threshold=0.1
    )
    dz = ((means - y) / (1 + y))[:, 0]
    np.testing.assert_allclose(display.residuals_[:, 0], dz)
    found = display.summary_[0]
    assert found["bias"] == pytest.approx(dz.mean())
    mad = 1.4826 * np.median(np.abs(dz - np.median(dz)))
    assert found["sigma_mad"] == pytest.approx(mad)
    assert found["outlier_fraction"] == pytest.approx((np.abs(dz) > 0.1).mean())
    above, below = display.axes_["prediction"][0], display.axes_["residual"][0]
    assert sorted(line.get_ydata()[0] for line in by_gid(below, "threshold")) == [-0.1, 0.1]
    for line, sign in zip(by_gid(above, "threshold"), (-1, 1), strict=True):
        z = line.get_xdata()
        np.testing.assert_allclose((line.get_ydata() - z) / (1 + z), sign * 0.1)
    told = above.get_title()
    assert f"{mad:.4f}" in told and f"{100 * (np.abs(dz) > 0.1).mean():.2f} %" in told
    assert above.get_ylabel() == "predicted redshift (median)"


def test_points_of_a_skewed_distribution():
    skewed = PiecewiseDistribution.from_masses(
        [0.0, 1.0, 2.0, 6.0], np.tile([0.2, 0.5, 0.3], (5, 1, 1))
    )
    expected = {"mean": 2.05, "median": 1.6}
    for point, value in expected.items():
        display = PredictionDisplay.from_predictions(np.ones(5), skewed, point=point)
        np.testing.assert_allclose(display.y_pred, value)
        assert display.axes_["prediction"][0].get_ylabel() == f"predicted {point}"
    # outside of its 68 % interval a mode is still drawn
    edge = PiecewiseDistribution.from_masses([0.0, 0.1, 2.0], np.tile([0.15, 0.85], (5, 1, 1)))
    display = PredictionDisplay.from_predictions(np.ones(5), edge, point="mode")
    assert (display.y_pred <= 0.1).all() and (display.intervals[1, 0] > 0.1).all()


def test_names_units_and_context():
    frame = pd.DataFrame(Y, columns=["a", "b"])
    display = PredictionDisplay.from_predictions(
        frame, gaussians(MEANS), targets=["b"], units=["", "kpc"], name="mine", draw="density"
    )
    ax = display.axes_["prediction"][0]
    mae = np.abs(MEANS - Y)[:, 1].mean()
    assert (
        ax.get_title() == f"mine: b\nMAE {mae:.3g} kpc"
        and ax.get_ylabel() == "predicted median [kpc]"
    )
    assert display.axes_["residual"][0].get_xlabel() == "true [kpc]"
    one = PredictionDisplay.from_predictions(Y[:, :1] * u.kpc, gaussians(MEANS[:, :1], STD[:1]))
    assert one.units == ["kpc"]
    shifted = PredictionDisplay.from_estimator(Known(), MEANS, Y, extra=1.0)
    np.testing.assert_allclose(shifted.y_pred, MEANS + 1.0)
    assert shifted.titles == ["Known: z", "Known: mass"]


@pytest.mark.parametrize("n", [1, 2, 39])
def test_few_rows_or_equal_ones(n):
    display = PredictionDisplay.from_predictions(np.ones((n, 2)), gaussians(np.ones((n, 2))))
    display.figure_.canvas.draw()
    assert len(by_gid(display.axes_["residual"][0], "median")[0].get_xdata()) == 0
    assert display.summary_[0]["mae"] == 0
    dense = PredictionDisplay.from_predictions(
        np.ones((n, 2)), gaussians(np.ones((n, 2))), draw="density"
    )
    dense.figure_.canvas.draw()


def test_running_quantiles_take_all_rows():
    x, values = rng.random(105), rng.random(105)
    centre, (lowest, highest) = running_quantiles(x, values, [0.0, 1.0])
    assert len(centre) == 5 and (np.diff(centre) > 0).all()
    assert lowest.min() == values.min() and highest.max() == values.max()


def test_a_grid_of_many_targets():
    y = rng.random((30, 5))
    display = PredictionDisplay.from_predictions(y, gaussians(y, np.full(5, 0.1)))
    assert len(display.axes_["prediction"]) == len(display.axes_["residual"]) == 5
    visible = [ax for ax in display.figure_.axes if ax.axison]
    assert len(visible) == 10


@pytest.mark.parametrize(
    "y, options, message",
    [
        (Y, {"kind": "photoz"}, "kind='photoz'; expected one of"),
        (Y, {"point": "best"}, "point='best'; expected one of"),
        (Y, {"draw": "bars"}, "draw='bars'; expected one of"),
        (Y, {"levels": [0.68, 2]}, "levels has 2; expected probabilities"),
        (Y, {"levels": []}, "levels is empty"),
        (Y, {"units": ["kpc"]}, "units has 1 entries; expected 2"),
        (Y, {"targets": ["z"]}, "targets='z'; expected one of"),
        (Y - 2, {"kind": "redshift"}, "expected redshifts above -1"),
        (Y, {"kind": "redshift", "threshold": 0}, "threshold=0; expected a positive number"),
        (Y[1:], {}, r"y_true has shape \(59, 2\); expected \(60, 2\)"),
        (Y[:, 0], {}, r"y_true has shape \(60,\); expected \(60, 2\)"),
        (np.where(Y > 30, np.nan, Y), {}, "y_true has NaN or infinity"),
    ],
)
def test_bad_input(y, options, message):
    with pytest.raises(ValueError, match=message):
        PredictionDisplay.from_predictions(y, gaussians(MEANS), **options)
