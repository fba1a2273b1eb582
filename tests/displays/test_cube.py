"""The pictures of a cube hold its channels, moments and spectra."""

import matplotlib
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from skastro.datasets import make_line_cube
from skastro.denoising import estimate_sigma
from skastro.denoising.baselines import GaussianSmoother
from skastro.displays import CubeDisplay

matplotlib.use("agg")
LINE = make_line_cube(n_pixels=(20, 24), n_channels=60, random_state=0)
DENOISER = GaussianSmoother().fit(LINE.cube)
AFTER = DENOISER.transform(LINE.cube)


def draw(**options):
    options = {"sigma": LINE.sigma, "velocity": LINE.velocity, "unit": "K"} | options
    return CubeDisplay.from_predictions(LINE.cube, AFTER, **options)


def image(ax):
    return np.asarray(ax.images[0].get_array())


def test_channel_maps():
    display = draw(channels=[30, 5], name="mine")
    axes = display.axes_["channels"]
    assert axes.shape == (3, 2) and display.channels_ == [30, 5]
    for column, channel in enumerate((30, 5)):
        np.testing.assert_array_equal(image(axes[0, column]), LINE.cube[..., channel])
        np.testing.assert_array_equal(image(axes[1, column]), AFTER[..., channel])
        residual = ((LINE.cube - AFTER) / LINE.sigma)[..., channel]
        np.testing.assert_allclose(image(axes[2, column]), residual, rtol=1e-5, atol=1e-5)
    assert axes[0, 0].images[0].get_clim() == axes[1, 1].images[0].get_clim()
    assert axes[2, 0].images[0].get_clim() == (-5, 5)
    assert axes[0, 0].images[0].origin == "lower"
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["before", "mine", "residual"]
    # LINE.velocity is (channel - 29.5) / 2 + 9.75
    assert [ax.get_title() for ax in axes[0]] == ["10 km/s", "-2.5"]


def test_moments():
    moments = draw().axes_["moments"]
    for column, cube in enumerate((LINE.cube, AFTER)):
        np.testing.assert_allclose(image(moments[0, column]), 0.5 * cube.sum(axis=-1), rtol=1e-4,
                                   atol=1e-4)  # fmt: skip
        found = image(moments[1, column])
        y, x = np.unravel_index(np.argmax(AFTER.max(axis=-1)), (20, 24))
        above = cube[y, x] > 3 * LINE.sigma[y, x]
        expected = np.average(LINE.velocity[above], weights=cube[y, x][above])
        assert found[y, x] == pytest.approx(expected, rel=1e-5)
        nothing = ~(cube > 3 * LINE.sigma).any(axis=-1)
        assert np.array_equal(np.isnan(np.ma.filled(found, np.nan)), nothing) and nothing.any()


def test_spectra_and_the_band_of_sigma():
    display = draw(positions=[(3, 7), (12, 2)], name="mine")
    axes = display.axes_["spectra"]
    assert display.positions_ == [(3, 7), (12, 2)] and len(axes) == 2
    for ax, (y, x) in zip(axes, display.positions_, strict=True):
        lines = {line.get_label(): line for line in ax.lines}
        assert set(lines) == {"before", "mine"}
        np.testing.assert_array_equal(lines["before"].get_ydata(), LINE.cube[y, x])
        np.testing.assert_array_equal(lines["mine"].get_ydata(), AFTER[y, x])
        np.testing.assert_array_equal(lines["mine"].get_xdata(), LINE.velocity)
        (band,) = ax.collections
        ends = band.get_paths()[0].vertices[:, 1]
        assert ends.max() == pytest.approx(LINE.sigma[y, x].max(), rel=1e-6)
        assert ends.min() == pytest.approx(-LINE.sigma[y, x].max(), rel=1e-6)
        assert ax.get_title() == f"y = {y}, x = {x}" and ax.get_xlabel() == "velocity [km/s]"
    assert axes[0].get_ylabel() == "intensity [K]"


def test_what_is_chosen_without_a_choice():
    display = draw()
    peak = LINE.truth.sum(axis=(0, 1)).argmax()
    assert display.channels_ == sorted(display.channels_) and len(display.channels_) >= 2
    assert min(abs(channel - peak) for channel in display.channels_) < 6
    snr = (AFTER / np.maximum(LINE.sigma, 0.5 * np.median(LINE.sigma))).max(axis=-1)
    assert display.positions_[0] == np.unravel_index(snr.argmax(), snr.shape)
    assert snr[display.positions_[1]] == pytest.approx(6.0, abs=1.0)


def test_from_estimator_and_an_estimated_noise():
    display = CubeDisplay.from_estimator(DENOISER, LINE.cube)
    np.testing.assert_array_equal(display.denoised, AFTER)
    np.testing.assert_array_equal(display.sigma, estimate_sigma(LINE.cube))
    assert display.name == "GaussianSmoother"
    assert display.axes_["spectra"][0].get_xlabel() == "channel"
    assert display.axes_["channels"][0, 0].get_title().startswith("channel ")


def test_a_file_brings_its_axes_and_unit(tmp_path):
    header = fits.Header({"BUNIT": "Jy/beam", "CTYPE3": "VRAD", "CUNIT3": "m/s", "CRVAL3": 2e3,
                          "CDELT3": 500.0, "CRPIX3": 1.0})  # fmt: skip
    fits.PrimaryHDU(np.moveaxis(LINE.cube, -1, 0), header).writeto(tmp_path / "cube.fits")
    display = CubeDisplay.from_estimator(DENOISER, tmp_path / "cube.fits", sigma=LINE.sigma)
    np.testing.assert_allclose(display.velocity, 2.0 + 0.5 * np.arange(60))
    assert display.velocity_label == "velocity [km/s]" and display.unit == "Jy/beam"


def test_other_spectral_axes():
    frequency = (100 + 0.1 * np.arange(60)) * u.GHz
    display = draw(velocity=frequency)
    assert display.velocity_label == "spectral axis [GHz]"
    assert draw(velocity=LINE.velocity[::-1]).axes_["spectra"][0].get_xlim() == (
        LINE.velocity[0], LINE.velocity[-1],
    )  # fmt: skip


def test_blanks_and_a_cube_without_signal():
    cube = LINE.cube.copy()
    cube[:6] = np.nan
    noise = np.where(np.isnan(cube), np.nan, 0.0)
    display = CubeDisplay.from_predictions(cube, noise, sigma=LINE.sigma)
    display.figure_.canvas.draw()
    assert all(y >= 6 for y, _ in display.positions_)
    assert np.isnan(np.ma.filled(image(display.axes_["moments"][0, 0]), np.nan)[:6]).all()


@pytest.mark.parametrize("shape, n_maps", [((12, 40), 4), ((40, 12), 1)])
def test_no_text_overlaps(shape, n_maps):
    line = make_line_cube(n_pixels=shape, n_channels=60, random_state=0)
    figure = CubeDisplay.from_predictions(
        line.cube, line.truth, sigma=line.sigma, velocity=line.velocity, unit="K",
        channels=np.linspace(10, 50, n_maps).astype(int), name="CubeDenoiser",
    ).figure_  # fmt: skip
    figure.canvas.draw()
    texts = [text for part in figure.findobj(matplotlib.legend.Legend) for text in part.get_texts()]
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if low <= tick.get_loc() <= high:
                    texts += [tick.label1, tick.label2]
    texts = [text for text in texts if text.get_text() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    assert len(boxes) > 20
    for i, (one, box) in enumerate(boxes):
        for other, another in boxes[:i]:
            width = min(box.x1, another.x1) - max(box.x0, another.x0)
            height = min(box.y1, another.y1) - max(box.y0, another.y0)
            assert width <= 1 or height <= 1, (one, other)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"channels": [60]}, "channels has 60; expected numbers below 60"),
        ({"positions": [(20, 3)]}, r"positions has \(20, 3\); expected \(y, x\) below \(20, 24\)"),
        ({"channels": []}, "channels and positions are empty"),
        ({"velocity": np.arange(5)}, r"velocity has shape \(5,\); expected \(60,\)"),
        ({"sigma": -1.0}, "sigma is -1 at"),
    ],
)
def test_bad_arguments(options, match):
    with pytest.raises(ValueError, match=match):
        draw(**options)


def test_cubes_that_do_not_fit():
    with pytest.raises(
        ValueError, match=r"denoised has shape \(20, 24, 59\); expected \(20, 24, 60\)"
    ):
        CubeDisplay.from_predictions(LINE.cube, AFTER[..., 1:])
    with pytest.raises(ValueError, match="denoised has unit 'Jy'; expected 'K', as cube has"):
        CubeDisplay.from_predictions(LINE.cube * u.K, AFTER * u.Jy)
    with pytest.raises(ValueError, match=r"cube has shape \(20, 24\); expected \(n_y, n_x"):
        CubeDisplay.from_predictions(LINE.cube[..., 3], AFTER[..., 3])
