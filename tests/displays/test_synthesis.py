"""The picture of synthetic maps holds the maps and the measures of both."""

import matplotlib
import numpy as np
import pytest
from astropy import units as u

from skastro.datasets import make_fields
from skastro.displays import SynthesisDisplay
from skastro.field_metrics import histogram_distance, minkowski_functionals, power_spectrum
from skastro.scattering.baselines import HistogramMoments

matplotlib.use("agg")
MAPS = make_fields(7, "lognormal", n_pixels=(24, 32), scatter=0.8, random_state=0).maps


def test_curves_are_those_of_the_metrics():
    target, synthesized = MAPS[0], MAPS[1:]
    display = SynthesisDisplay.from_maps(target, synthesized, pixel_size=2.0, pixel_unit="arcmin")
    for key in ("spectrum", "histogram", "area", "perimeter", "euler"):
        assert len(display.axes_[key].lines) >= 2
    k, power = power_spectrum(synthesized, spacing="log", pixel_size=2.0)
    lines = display.axes_["spectrum"].lines
    np.testing.assert_allclose(lines[1].get_xdata(), k)
    np.testing.assert_allclose(lines[1].get_ydata(), power.mean(axis=0))
    levels = display.axes_["euler"].lines[0].get_xdata()
    found = minkowski_functionals(synthesized, levels, pixel_size=2.0)
    expected = minkowski_functionals(target, levels, pixel_size=2.0)
    for i, key in enumerate(("area", "perimeter", "euler")):
        drawn = display.axes_[key].lines[1].get_ydata()
        np.testing.assert_allclose(drawn, found[i].mean(axis=0))
        worst = np.abs(found[i].mean(axis=0) - expected[i]).max() / np.abs(expected[i]).max()
        assert display.summary[key] == pytest.approx(worst)
    assert display.axes_["spectrum"].get_xlabel() == "k [cycles / arcmin]"
    distance = histogram_distance(synthesized, target).mean()
    assert display.summary["histogram"] == pytest.approx(distance)
    x, density, _ = display.measures["histogram"]
    assert (density.sum(axis=1) * (x[1] - x[0])).tolist() == pytest.approx([1.0])


def test_maps_share_their_colours():
    display = SynthesisDisplay.from_maps(MAPS[0] * u.K, MAPS[1:] * u.K)
    names = ["target", "synthesized 1", "synthesized 2", "synthesized 3"]
    pictures = [display.axes_[name].images[0] for name in names]
    assert len({picture.get_clim() for picture in pictures}) == 1
    assert isinstance(pictures[0].norm, matplotlib.colors.LogNorm)
    assert [display.axes_[name].get_title() for name in names] == names
    assert display.axes_["histogram"].get_xlabel() == "value [K]"
    low = pictures[0].get_clim()[0]
    np.testing.assert_array_equal(pictures[1].get_array(), np.maximum(MAPS[1], low))
    plain = SynthesisDisplay.from_maps(MAPS[0], MAPS[1], log=False)
    assert "synthesized" in plain.axes_
    np.testing.assert_array_equal(plain.axes_["synthesized"].images[0].get_array(), MAPS[1])


def test_a_copy_is_told_from_independent_maps():
    copy = np.roll(MAPS[0], (5, 9), axis=(0, 1))
    display = SynthesisDisplay.from_maps(MAPS[0], copy)
    assert display.summary["copy"] == pytest.approx(1.0, abs=1e-5)
    assert max(display.summary[key] for key in ("spectrum", "area", "euler")) < 1e-5
    fresh = SynthesisDisplay.from_maps(MAPS[0], MAPS[1:])
    assert fresh.summary["copy"] < 1.5 * fresh.summary["copy_noise"] < 0.3


def test_coefficients_of_a_transformer():
    moments = HistogramMoments(4, n_scales=1).fit(MAPS)
    display = SynthesisDisplay.from_maps(MAPS[:2], MAPS[2:], statistics=moments)
    points = display.axes_["coefficients"].lines[1]
    np.testing.assert_allclose(points.get_xdata(), moments.transform(MAPS[:2]).mean(axis=0))
    np.testing.assert_allclose(points.get_ydata(), moments.transform(MAPS[2:]).mean(axis=0))


def test_maps_that_are_not_periodic_and_a_figure_of_ones_own():
    figure = matplotlib.figure.Figure(figsize=(8, 4))
    display = SynthesisDisplay.from_maps(MAPS[0], MAPS[1], periodic=False, figure=figure)
    assert display.figure_ is figure
    _, power = power_spectrum(MAPS[0], spacing="log", window="hann")
    np.testing.assert_allclose(display.measures["spectrum"][1][0], power)


def test_bad_maps():
    with pytest.raises(
        ValueError, match="synthesized has maps of 24 x 31 pixels; expected 24 x 32"
    ):
        SynthesisDisplay.from_maps(MAPS[0], MAPS[1:, :, :31])
    with pytest.raises(ValueError, match="target is constant at 2"):
        SynthesisDisplay.from_maps(np.full((24, 32), 2.0), MAPS[0])
    with pytest.raises(
        ValueError, match=r"target has shape \(1, 7, 24, 32\); expected \(h, w\) or"
    ):
        SynthesisDisplay.from_maps(MAPS[None], MAPS)
