"""Random fields: spectra and distributions against the closed forms."""

import numpy as np
import pytest
from scipy.stats import kstest, kurtosis, skew

from skastro.datasets import make_fields
from skastro.field_metrics import power_spectrum, structure_functions

SHAPES = [(32, 32), (27, 40), (31, 31)]


def slope(maps, k_max=0.5):
    """Index of the power spectrum, from narrow rings."""
    k, power = power_spectrum(maps, k_max=k_max)
    return -np.polyfit(np.log(k), np.log(power.mean(axis=0)), 1)[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_of_an_index(shape):
    fields = make_fields(200, n_pixels=shape, index=1.5, scatter=3.0, random_state=0)
    assert fields.maps.shape == (200, *shape) and fields.maps.dtype == np.float32
    np.testing.assert_allclose(fields.maps.std(axis=(1, 2)), 3.0, rtol=1e-5)
    np.testing.assert_allclose(fields.maps.mean(axis=(1, 2)), 0.0, atol=1e-5)
    assert abs(slope(fields.maps) - 1.5) < 0.06
    # far apart, the pixels of different maps are independent normal numbers
    assert kstest(fields.maps[:, 0, 0] / 3.0, "norm").pvalue > 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_of_a_spectrum_has_that_power(shape):
    def spectrum(k):
        return 5.0 / (0.05 + k) ** 2

    by_function = make_fields(150, n_pixels=shape, spectrum=spectrum, random_state=1).maps
    power = power_spectrum(by_function)[1] / spectrum(power_spectrum(by_function)[0])
    np.testing.assert_allclose(power.mean(), 1.0, atol=0.02)
    k, power = power_spectrum(by_function)
    # narrow rings: the mean of the spectrum over a ring is nearly that at its mean wave number
    np.testing.assert_allclose(power.mean(axis=0)[2:] / spectrum(k)[2:], 1.0, atol=0.08)
    knots = np.geomspace(0.01, 0.8, 400)
    table = knots, spectrum(knots)
    by_table = make_fields(150, n_pixels=shape, spectrum=table, random_state=1)
    np.testing.assert_allclose(by_table.maps, by_function, rtol=2e-3, atol=2e-3)
    assert by_table.parameters == {}


def test_a_table_ends_where_it_ends():
    maps = make_fields(2, n_pixels=32, spectrum=([0.1, 0.2], [1.0, 1.0]), random_state=0).maps
    k, power = power_spectrum(maps, 50)
    assert (power[:, (k > 0.21) | (k < 0.09)] < 1e-10).all()
    assert power[:, (k > 0.11) & (k < 0.19)].min() > 0


def test_lognormal():
    """The logarithm is Gaussian, and the spectrum is that of exp(s^2 c) - 1."""
    side, scatter, index = 32, 0.7, 1.2
    maps = make_fields(
        400, "lognormal", n_pixels=side, index=index, scatter=scatter, random_state=0
    ).maps
    logs = np.log(maps)
    np.testing.assert_allclose(logs.std(axis=(1, 2)), scatter, rtol=1e-5)
    np.testing.assert_allclose(logs.mean(), -0.5 * scatter**2, rtol=1e-4)
    assert kstest((logs[:, 3, 3] + 0.5 * scatter**2) / scatter, "norm").pvalue > 0.01
    np.testing.assert_allclose(maps.mean(), 1.0, atol=0.01)
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    k[0, 0] = np.inf
    correlation = np.fft.ifft2(k**-index).real
    correlation = np.expm1(scatter**2 * correlation / correlation[0, 0])
    expected = np.fft.fft2(correlation).real
    measured = np.mean(np.abs(np.fft.fft2(maps)) ** 2, axis=0) / side**2
    ratio = [
        measured[(k > low) & (k <= low + 0.1)].sum() / expected[(k > low) & (k <= low + 0.1)].sum()
        for low in (0.0, 0.1, 0.2, 0.3, 0.4)
    ]
    np.testing.assert_allclose(ratio, 1.0, atol=0.05)


def test_filaments():
    """Mass is kept; small displacements have the spectrum asked for; large ones make a skewed web."""
    maps = make_fields(4, "filaments", n_pixels=(32, 45), random_state=0).maps
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), 1.0, rtol=1e-5)
    assert maps.min() >= 0 and (skew(maps.reshape(4, -1), axis=1) > 1.5).all()
    gaussian = make_fields(
        60, "gaussian", n_pixels=48, index=1.0, scatter=0.01, random_state=0
    ).maps
    linear = make_fields(60, "filaments", n_pixels=48, index=1.0, scatter=0.01, random_state=0).maps
    # the same field, but that sharing among four pixels smooths the smallest scales
    one, other = (np.fft.rfft2(x)[:, :6, :6] for x in (gaussian, linear - 1.0))
    assert np.abs(one - other).max() < 0.07 * np.abs(one).max()
    assert abs(slope(linear, 0.12) - slope(gaussian, 0.12)) < 0.1


@pytest.mark.parametrize("scatter", [0.0, 0.8])
def test_turbulence_keeps_its_spectrum_and_is_intermittent(scatter):
    maps = make_fields(
        150, "turbulence", n_pixels=48, index=2.5, scatter=scatter, random_state=0
    ).maps
    np.testing.assert_allclose(maps.std(axis=(1, 2)), 1.0, rtol=1e-5)
    assert abs(slope(maps, 0.3) - 2.5) < 0.12
    assert abs(skew(maps[:, ::8, ::8], axis=None)) < 0.3
    _, moments = structure_functions(maps, [1, 2, 4, 8, 16], orders=(2, 4))
    second, fourth = moments.mean(axis=0).T
    flatness = fourth / second**2
    if scatter:
        assert (np.diff(flatness) < 0).all() and flatness[0] > 1.5 * flatness[-1]
    else:
        np.testing.assert_allclose(flatness, 3.0, rtol=0.15)


def test_unfiltered_turbulence_is_a_product_of_a_normal_and_a_lognormal_law():
    """Of kurtosis 3 exp(4 s^2)."""
    maps = make_fields(300, "turbulence", n_pixels=32, index=0.0, scatter=0.3, random_state=0).maps
    found = kurtosis(maps, axis=None, fisher=False)
    assert found == pytest.approx(3 * np.exp(4 * 0.09), rel=0.05)


@pytest.mark.parametrize("kind", ["gaussian", "lognormal", "filaments", "turbulence"])
def test_one_value_for_each_map(kind):
    index, scatter = [1.0, 2.0, 3.0], [0.3, 0.2, 0.1]
    options = {"n_pixels": 16, "random_state": 3}
    fields = make_fields(3, kind, index=index, scatter=scatter, **options)
    assert fields.kind == kind and fields.DESCR
    assert fields.parameters["index"].tolist() == index
    assert fields.parameters["scatter"].tolist() == scatter
    # each map depends on its own values and number alone
    same = make_fields(5, kind, index=2.0, scatter=0.2, **options).maps
    np.testing.assert_array_equal(fields.maps[1], same[1])
    assert len({one.tobytes() for one in same}) == 5
    assert np.isfinite(same).all()
    other = make_fields(3, kind, index=index, scatter=scatter, n_pixels=16, random_state=4)
    assert not np.array_equal(other.maps, fields.maps)


@pytest.mark.parametrize(
    "args, options, message",
    [
        ((0,), {}, "n=0: expected an integer of at least 1"),
        ((2, "dust"), {}, "kind='dust': expected one of 'gaussian', 'lognormal'"),
        ((2,), {"n_pixels": 3}, "n_pixels=3: expected an integer of at least 4 or a pair"),
        ((2,), {"n_pixels": (8, 8, 8)}, r"n_pixels=\(8, 8, 8\)"),
        ((2,), {"n_pixels": 8.5}, "n_pixels=8.5"),
        (
            (2,),
            {"index": [1.0, 2.0, 3.0]},
            r"index has shape \(3,\): expected a number, or an array",
        ),
        ((2,), {"index": "flat"}, "index='flat': expected a number"),
        ((2,), {"scatter": [-1.0, 1.0]}, "scatter has a minimum of -1: expected at least 0"),
        ((2,), {"index": np.nan}, "index has a minimum of nan"),
        ((2, "turbulence"), {"spectrum": np.sqrt}, "spectrum with kind='turbulence'.* expected a"),
        ((2,), {"spectrum": np.sqrt, "index": 2}, "spectrum with .*index=2"),
        ((2,), {"spectrum": 3.0}, "spectrum: expected a function of k, or a pair"),
        ((2,), {"spectrum": ([1, 2, 3], [1, 2])}, r"spectrum has k of shape \(3,\) and power of"),
        ((2,), {"spectrum": ([2, 1], [1, 1])}, "k growing from above 0"),
        ((2,), {"spectrum": np.negative}, "spectrum is -0.* somewhere: expected finite power"),
    ],
)
def test_bad_arguments(args, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_fields(*args, **{"n_pixels": 8} | options)
    assert "\n" not in str(caught.value)
