"""The picture of a separation holds the maps and the measures of both parts."""

import matplotlib
import numpy as np
import pytest
from astropy import units as u

from skastro.datasets import make_fields
from skastro.displays import SeparationDisplay
from skastro.field_metrics import histogram_distance, power_spectrum
from skastro.separation_metrics import power_error, relative_rmse, scale_correlation

matplotlib.use("agg")
RNG = np.random.default_rng(0)
TRUTH = make_fields(2, "lognormal", n_pixels=(24, 32), scatter=0.8, random_state=0).maps
SAMPLES = RNG.normal(size=(5, 24, 32)).astype(np.float32)
MIXTURE = TRUTH + SAMPLES[:2]
SIGNAL = 0.9 * TRUTH + 0.3 * SAMPLES[:2]


def test_curves_and_summary_are_those_of_the_metrics():
    display = SeparationDisplay.from_maps(
        MIXTURE, SIGNAL, TRUTH, SAMPLES[2:], pixel_size=2.0, pixel_unit="arcmin"
    )
    sets = {
        "truth": TRUTH, "signal": SIGNAL, "mixture": MIXTURE, "contamination": MIXTURE - SIGNAL,
        "samples": SAMPLES[2:],
    }  # fmt: skip
    lines = {line.get_label(): line for line in display.axes_["spectrum"].lines}
    assert list(lines) == list(sets)
    for name, maps in sets.items():
        k, power = power_spectrum(maps, spacing="log", pixel_size=2.0)
        np.testing.assert_allclose(lines[name].get_xdata(), k)
        np.testing.assert_allclose(lines[name].get_ydata(), power.mean(axis=0), rtol=1e-5)
    cycles, correlation = scale_correlation(SIGNAL, TRUTH)
    line = display.axes_["correlation"].lines[0]
    np.testing.assert_allclose(line.get_xdata(), cycles / 64.0)
    np.testing.assert_allclose(line.get_ydata(), correlation.mean(axis=0))
    x, densities = display.measures["histogram"]
    for name, values in densities.items():
        inside = values.sum(axis=1) * (x[1] - x[0])
        np.testing.assert_allclose(inside, 1.0, err_msg=name)
    expected = {
        "spectrum": np.abs(power_error(SIGNAL, TRUTH)[1]).max(axis=1).mean(),
        "correlation": correlation.mean(),
        "histogram": np.mean([histogram_distance(SIGNAL[i], TRUTH[i]) for i in (0, 1)]),
        "rmse": relative_rmse(SIGNAL, TRUTH).mean(),
    }
    for key, value in expected.items():
        assert display.summary[key] == pytest.approx(value)
    assert display.axes_["spectrum"].get_xlabel() == "k [cycles / arcmin]"


def test_contamination_beside_samples_by_hand():
    # three times the power of the only sample, in every octave
    display = SeparationDisplay.from_maps(
        TRUTH[0] + SAMPLES[0] * 3**0.5, TRUTH[0], contamination=SAMPLES[0]
    )
    assert display.summary == {"contamination": pytest.approx(2.0, rel=1e-4)}
    assert list(display.measures) == ["spectrum", "histogram"]
    assert "truth" not in display.axes_ and "residual" not in display.axes_


def test_maps_share_their_colours():
    display = SeparationDisplay.from_maps(MIXTURE * u.K, SIGNAL * u.K, TRUTH[0] * u.K)
    names = ["mixture", "signal", "contamination", "truth", "residual"]
    pictures = {name: display.axes_[name].images[0] for name in names}
    assert len({picture.get_clim() for picture in pictures.values()}) == 1
    low, high = np.percentile([TRUTH[0], (MIXTURE - SIGNAL)[0]], [0.5, 99.5])
    assert pictures["truth"].get_clim() == pytest.approx((low, high))
    np.testing.assert_array_equal(pictures["contamination"].get_array(), (MIXTURE - SIGNAL)[0])
    np.testing.assert_array_equal(pictures["residual"].get_array(), SIGNAL[0] - TRUTH[0])
    assert display.axes_["histogram"].get_xlabel() == "value [K]"
    assert pictures["residual"].colorbar.ax.get_ylabel() == "value [K]"
    # one truth of all mixtures is one line, without a band
    assert len(display.measures["spectrum"][1]["truth"]) == 1


def test_the_quantity_is_on_the_axes():
    temperature = {"quantity": "brightness temperature", "unit": "K"}
    for named, label in (
        (temperature, "brightness temperature [K]"), ({"quantity": "Stokes Q"}, "Stokes Q"), ({}, "value"),
    ):  # fmt: skip
        axes = SeparationDisplay.from_maps(MIXTURE, SIGNAL, **named).axes_
        assert axes["signal"].images[0].colorbar is None  # one bar of all, at the last
        assert axes["contamination"].images[0].colorbar.ax.get_ylabel() == label
        assert axes["histogram"].get_xlabel() == label


def test_maps_that_are_not_periodic_and_a_figure_of_ones_own():
    figure = matplotlib.figure.Figure(figsize=(8, 4))
    display = SeparationDisplay.from_maps(
        MIXTURE[0], SIGNAL[0], TRUTH[0], periodic=False, figure=figure
    )
    assert display.figure_ is figure
    power = power_spectrum(TRUTH[0], spacing="log", window="hann")[1]
    np.testing.assert_allclose(display.measures["spectrum"][1]["truth"][0], power)
    worst = np.abs(power_error(SIGNAL[0], TRUTH[0], window="hann")[1]).max()
    assert display.summary["spectrum"] == pytest.approx(worst)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((MIXTURE, SIGNAL[:, :, 1:]), "signal has maps of 24 x 31 pixels; expected 24 x 32"),
        ((MIXTURE, SIGNAL[0]), "signal has 1 maps; expected 2, one a mixture"),
        ((MIXTURE, SIGNAL, SAMPLES[:3]), "truth has 3 maps; expected 2, one a mixture, or one"),
        ((MIXTURE, SIGNAL, np.ones((24, 32))), "truth has a constant map, at 1"),
        ((MIXTURE, SIGNAL, None, SAMPLES[:, 1:]), "contamination has maps of 23 x 32 pixels"),
        ((MIXTURE * np.nan, SIGNAL), "mixture"),
        ((MIXTURE[None], SIGNAL), r"mixture has shape \(1, 2, 24, 32\)"),
    ],
)
def test_bad_maps(arguments, message):
    with pytest.raises(ValueError, match=message):
        SeparationDisplay.from_maps(*arguments)
