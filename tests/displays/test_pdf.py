"""Densities of a few rows: the curves, the shaded intervals, the rows that are chosen."""

import matplotlib
import numpy as np
import pytest
from scipy.stats import norm

from skastro.displays import PDFDisplay
from skastro.distributions import GaussianMixtureDistribution, PiecewiseDistribution

matplotlib.use("agg")
rng = np.random.default_rng(0)
N = 40
Y = rng.uniform(0, 1, (N, 2))
# a wide and a narrow peak
MEANS = np.stack([Y, Y + 0.4], axis=1)
STDS = np.array([[0.05, 0.1], [0.002, 0.01]])
MIXTURE = GaussianMixtureDistribution(
    np.tile([0.8, 0.2], (N, 1)), MEANS, np.broadcast_to([np.diag(s**2) for s in STDS], (N, 2, 2, 2))
)


class Known:
    target_names_ = ["z", "mass"]

    def predict_distribution(self, X, extra=0.0):
        return MIXTURE.rescaled([extra, extra], [1, 1])


def by_gid(ax, gid):
    return [one for one in (*ax.lines, *ax.collections) if one.get_gid() == gid]


@pytest.mark.parametrize("target", [0, 1])
def test_curves_are_the_densities(target):
    rows = [3, 0, -1]
    display = PDFDisplay.from_predictions(Y, MIXTURE, rows=rows, target=target, level=0.5)
    assert display.rows.tolist() == [3, 0, N - 1]
    for i, row in enumerate(display.rows):
        x, density = display.curves_[i].get_data()
        expected = (
            norm.pdf((x[:, None] - MEANS[row, :, target]) / STDS[:, target]) / STDS[:, target]
        )
        np.testing.assert_allclose(density, expected @ [0.8, 0.2], rtol=1e-9)
        # the narrow peak is not missed
        assert np.trapezoid(density, x) == pytest.approx(1, abs=0.01)
        (line,) = by_gid(display.axes_[i], "truth")
        assert line.get_xdata()[0] == Y[row, target]
        assert display.axes_[i].get_ylim()[1] > density.max()
        (shaded,) = by_gid(display.axes_[i], "interval")
        low, high = MIXTURE[[row]].interval(0.5)
        vertices = shaded.get_paths()[0].vertices[:, 0]
        step = 0.02 * (x[-1] - x[0])
        assert vertices.min() == pytest.approx(low[0, target], abs=step)
        assert vertices.max() == pytest.approx(high[0, target], abs=step)


def test_rows_divide_the_truth_evenly():
    display = PDFDisplay.from_predictions(Y, MIXTURE, target=1)
    order = np.argsort(Y[:, 1])
    # the middle of each sixth
    assert display.rows.tolist() == [order[int((i + 0.5) * N / 6)] for i in range(6)]
    assert display.titles[0] == f"true {Y[display.rows[0], 1]:.4g}"
    few = PDFDisplay.from_predictions(Y[:2], MIXTURE[:2])
    assert sorted(few.rows) == [0, 1] and len(few.axes_) == 2


def test_without_truth():
    display = PDFDisplay.from_predictions(None, MIXTURE)
    assert display.rows.tolist() == list(range(6)) and display.titles[2] == "row 2"
    assert display.y_true is None and by_gid(display.axes_[0], "truth") == []


def test_estimators_share_axes():
    grid = np.linspace(0, 2, 50)
    first = PDFDisplay.from_estimator(Known(), None, Y, grid=grid, target="mass", unit="kpc")
    second = PDFDisplay.from_estimator(
        Known(), None, Y, grid=grid, target="mass", axes=first.axes_, name="shifted", extra=0.1
    )
    np.testing.assert_array_equal(second.curves_[0].get_xdata(), grid)
    row = second.rows[0]
    expected = MIXTURE.pdf((grid - 0.1)[:, None, None])[:, row, 1]
    np.testing.assert_allclose(second.curves_[0].get_ydata(), expected, rtol=1e-6)
    assert len(by_gid(first.axes_[0], "truth")) == 1
    assert first.curves_[0].get_color() != second.curves_[0].get_color()
    (legend,) = first.figure_.legends
    labels = [one.get_text() for one in legend.get_texts()]
    assert sorted(labels) == ["68 % interval", "Known", "shifted", "true"]
    assert first.axes_[5].get_xlabel() == "mass [kpc]"


def test_axes_of_a_figure_without_layout():
    axes = matplotlib.figure.Figure().subplots(2, 3)
    display = PDFDisplay.from_predictions(Y, MIXTURE, axes=axes)
    assert display.figure_ is axes[0, 0].figure and axes[0, 0].get_legend() is not None


def test_a_mass_at_one_value():
    step = PiecewiseDistribution([0.0, 0.5, 0.5, 1.0], [[[0.0, 0.2, 0.7, 1.0]]])
    display = PDFDisplay.from_predictions([0.5], step)
    display.figure_.canvas.draw()
    assert np.isfinite(display.axes_[0].get_ylim()).all()


@pytest.mark.parametrize(
    "y, options, message",
    [
        (Y, {"rows": [N]}, r"rows=\[40\]; expected indices below 40"),
        (Y, {"rows": []}, r"rows=\[\]; expected a sequence of indices"),
        (Y, {"rows": [0.5]}, r"rows=\[0.5\]; expected a sequence of indices"),
        (Y, {"target": 2}, "targets=2; expected an index below 2"),
        (Y, {"level": 1.0}, "level=1.0; expected a probability between 0 and 1"),
        (Y, {"level": np.nan}, "level=nan; expected a probability"),
        (Y, {"grid": [1.0, 0.0]}, r"grid has shape \(2,\); expected increasing numbers"),
        (Y, {"grid": [np.nan, 0.0]}, r"grid has shape \(2,\); expected increasing numbers"),
        (Y, {"titles": ["a"]}, "titles has 1 entries; expected 6"),
        (Y[1:], {}, r"y_true has shape \(39, 2\); expected \(40, 2\)"),
        (Y * np.inf, {}, "y_true has NaN or infinity"),
    ],
)
def test_bad_input(y, options, message):
    with pytest.raises(ValueError, match=message):
        PDFDisplay.from_predictions(y, MIXTURE, **options)


def test_other_axes_and_no_distribution():
    first = PDFDisplay.from_predictions(Y, MIXTURE)
    with pytest.raises(ValueError, match="axes has 5 panels; expected 6"):
        PDFDisplay.from_predictions(Y, MIXTURE, axes=first.axes_[:5])
    with pytest.raises(ValueError, match="distribution is a ndarray; expected a Distribution"):
        PDFDisplay.from_predictions(None, Y)
