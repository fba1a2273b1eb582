"""The residual beside the noise: histograms and autocorrelations."""

import matplotlib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skastro.datasets import make_line_cube
from skastro.denoising import dilate, find_signal
from skastro.denoising.baselines import GaussianSmoother
from skastro.displays import DenoiserDisplay
from skastro.displays.denoiser import masked_autocorrelation

matplotlib.use("agg")
rng = np.random.default_rng(0)
LINE = make_line_cube("B", n_pixels=24, n_channels=60, random_state=0)


def draw(denoised=LINE.truth, **options):
    return DenoiserDisplay.from_predictions(
        LINE.cube, denoised, **({"sigma": LINE.sigma} | options)
    )


def by_hand(values, mask, lag, axes):
    """Mean product of the pairs so far apart, one by one."""
    products, squares, places = [], [], {tuple(p) for p in np.argwhere(mask)}
    for axis in axes:
        for place in places:
            squares.append(values[place] ** 2)
            other = list(place)
            other[axis] += lag
            if tuple(other) in places:
                products.append(values[place] * values[tuple(other)])
    return np.mean(products) / np.mean(squares), len(products)


@pytest.mark.parametrize("axes", [[2], [0, 1]])
def test_autocorrelation(axes):
    values = gaussian_filter(rng.normal(size=(7, 8, 9)), 1.0)
    mask = rng.random(values.shape) < 0.6
    found, n_pairs = masked_autocorrelation(np.where(mask, values, np.nan), mask, 4, axes)
    expected = [by_hand(values, mask, lag, axes) for lag in range(5)]
    np.testing.assert_allclose(found, [value for value, _ in expected], rtol=1e-10)
    assert n_pairs.tolist() == [n for _, n in expected]


def test_a_lag_longer_than_the_axis():
    found, n_pairs = masked_autocorrelation(np.ones((3, 1, 1)), np.ones((3, 1, 1), bool), 4, [0])
    assert found[:3].tolist() == [1, 1, 1] and np.isnan(found[3:]).all()
    assert n_pairs.tolist() == [3, 2, 1, 0, 0]


def test_residuals_and_line_free_voxels():
    estimate = LINE.truth + 0.1
    display = draw(estimate)
    mask = find_signal(LINE.cube, LINE.sigma)
    residual = ((LINE.cube - estimate) / LINE.sigma)[mask]
    np.testing.assert_allclose(display.residual, residual, rtol=1e-4, atol=1e-4)
    free = ~dilate(mask, 4)
    np.testing.assert_allclose(display.line_free, (LINE.cube / LINE.sigma)[free], rtol=1e-5)
    assert set(display.spectral) == set(display.spatial) == {"residual", "line_free"}


def test_a_perfect_denoiser_leaves_noise():
    display = draw()
    assert display.residual.std() == pytest.approx(1.0, abs=0.05)
    for correlation in (display.spectral, display.spatial):
        values, n_pairs = correlation["residual"]
        # chosen where the noise is high and neighbours are: a mask is not blind
        assert (np.abs(values[1:]) < 0.05 + 4 / np.sqrt(n_pairs[1:])).all()


def test_a_smoother_that_bends_lines_is_seen():
    line = make_line_cube("A", n_pixels=24, n_channels=60, random_state=0)
    display = DenoiserDisplay.from_estimator(
        GaussianSmoother(4.0).fit(line.cube), line.cube, sigma=line.sigma
    )
    assert display.residual.std() > 1.3
    assert display.spatial["residual"][0][1] > display.spatial["line_free"][0][1] + 0.1
    assert display.name == "GaussianSmoother"


def test_what_is_drawn():
    display = draw(name="mine", max_lag=3)
    histogram, spectral, spatial = display.axes_
    labels = histogram.get_legend_handles_labels()[1]
    assert labels[1].startswith("removed by mine: ") and labels[1].endswith("σ")
    assert labels[2] == "unit normal" and labels[0].startswith("line-free channels: ")
    removed = histogram.lines[1].get_ydata()
    assert np.nansum(removed) * 0.2 == pytest.approx(1.0)
    assert histogram.get_yscale() == "log"
    for ax, correlation, label in (
        (spectral, display.spectral, "lag [channels]"), (spatial, display.spatial, "lag [pixels]"),
    ):  # fmt: skip
        assert ax.get_xlabel() == label and ax.get_xticks().tolist() == [0, 1, 2, 3]
        drawn = {bar.get_label(): bar[0].get_ydata() for bar in ax.containers}
        np.testing.assert_array_equal(drawn["removed"], correlation["residual"][0])
        np.testing.assert_array_equal(drawn["line-free"], correlation["line_free"][0])


def test_given_masks_blanks_and_axes():
    mask = np.zeros(LINE.cube.shape, bool)
    mask[5:15, 5:15, 20:40] = True
    cube = LINE.cube.copy()
    cube[7] = np.nan
    figure, axes = matplotlib.pyplot.subplots(1, 3)
    display = DenoiserDisplay.from_predictions(
        cube, LINE.truth, sigma=LINE.sigma, signal_mask=mask, axes=axes
    )
    assert display.figure_ is figure and display.axes_[2] is axes[2]
    assert len(display.residual) == 9 * 10 * 20
    assert np.isfinite(display.residual).all() and np.isfinite(display.line_free).all()


def test_an_estimated_noise():
    display = draw(sigma=None)
    assert display.line_free.std() == pytest.approx(1.0, abs=0.05)


def test_no_text_overlaps_the_curves():
    display = draw(LINE.truth, name="WaveletDenoiser")
    display.figure_.canvas.draw()
    ax = display.axes_[0]
    top = max(np.nanmax(line.get_ydata()) for line in ax.lines)
    legend = ax.get_legend().get_window_extent()
    assert ax.transData.transform((0, top))[1] < legend.y0


@pytest.mark.parametrize(
    "options, match",
    [
        (
            {"denoised": LINE.truth[1:]},
            r"denoised has shape \(23, 24, 60\); expected \(24, 24, 60\)",
        ),
        (
            {"signal_mask": np.zeros(LINE.cube.shape, bool)},
            "signal_mask leaves 0 voxels with signal",
        ),
        ({"signal_mask": np.ones(LINE.cube.shape, bool)}, "signal_mask leaves 0 voxels free of it"),
        ({"axes": [None, None]}, "axes has 2 Axes; expected 3"),
    ],
)
def test_bad_arguments(options, match):
    with pytest.raises(ValueError, match=match):
        draw(**options)
