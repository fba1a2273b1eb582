"""Random fields on the sphere: harmonic sums against healpy's, spectra by quadrature, distributions."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import sph_harm_y
from scipy.stats import kstest

from skastro.datasets import make_sphere_fields
from skastro.datasets.sphere_fields import synthesize_harmonics

REFERENCE = Path(__file__).parents[1] / "data" / "healpy" / "reference.npz"


@pytest.fixture(scope="module")
def healpy():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.mark.parametrize("largest", [16, 24])
def test_harmonic_sums_are_those_of_healpy(healpy, largest):
    """Up to three times nside, where the polar rings can't tell all orders apart."""
    maps = synthesize_harmonics(np.stack([healpy[f"harmonics{largest}"]] * 2), 8)
    expected = healpy[f"map{largest}"]
    np.testing.assert_allclose(maps[0], expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_array_equal(maps[0], maps[1])


def test_the_largest_orders_near_the_poles_do_not_underflow():
    """A single harmonic of high degree against scipy, at nside 128."""
    degree, order = 250, 120
    harmonics = np.zeros((1, degree + 1, degree + 1), complex)
    harmonics[0, degree, order] = 0.5
    found = synthesize_harmonics(harmonics, 128)[0]
    # ring 60 of the northern cap, and the equator
    for ring, first in ((60, 2 * 59 * 60), (256, 2 * 128 * 127 + 128 * 4 * 128)):
        size = 4 * min(ring, 128)
        z = 1 - ring**2 / (3 * 128**2) if ring < 128 else 4 / 3 - 2 * ring / (3 * 128)
        shift = 0.5 if ring < 128 or (ring - 128) % 2 == 0 else 0.0
        phi = 2 * np.pi * (np.arange(size) + shift) / size
        expected = sph_harm_y(degree, order, np.arccos(z), phi).real
        np.testing.assert_allclose(found[first : first + size], expected, atol=1e-10)


def test_power_of_each_degree():
    """The mean of |a_lm|^2 by sums over pixels; healpy's pixels integrate low degrees to a few 1e-3."""
    nside, largest, n = 16, 12, 200
    spectrum = 1.0 / (1.0 + np.arange(largest + 1)) ** 2
    maps = make_sphere_fields(n, nside, spectrum=spectrum, random_state=0).maps
    phi, theta = _angles(nside)
    for degree in (0, 1, 5, 12):
        orders = np.arange(degree + 1)
        Y = sph_harm_y(degree, orders[:, None], theta, phi)
        power = np.abs(maps @ Y.conj().T * (4 * np.pi / maps.shape[1])) ** 2
        weights = np.where(orders == 0, 1.0, 2.0)
        found = (power @ weights).mean() / (2 * degree + 1)
        scatter = np.sqrt(2.0 / (n * (2 * degree + 1)))
        assert abs(found / spectrum[degree] - 1) < 4 * scatter + 5e-3


def _angles(nside):
    from skastro.healpix import ring_layout

    z, _, sizes, first = ring_layout(nside)
    phi = np.concatenate(
        [f + 2 * np.pi * np.arange(n) / n for f, n in zip(first, sizes, strict=True)]
    )
    return phi, np.arccos(np.repeat(z, sizes))


def test_scatter_and_distribution():
    scatter = [0.5, 1.0, 2.0]
    gaussian = make_sphere_fields(3, 16, index=1.0, scatter=scatter, random_state=0)
    np.testing.assert_allclose(gaussian.maps.std(axis=1), scatter, rtol=1e-5)
    np.testing.assert_allclose(gaussian.maps.mean(axis=1), 0, atol=1e-6)
    lognormal = make_sphere_fields(3, 16, "lognormal", index=1.0, scatter=scatter, random_state=0)
    squared = np.square(scatter)[:, None]
    np.testing.assert_allclose(np.log(lognormal.maps), gaussian.maps - squared / 2, atol=1e-5)
    assert lognormal.parameters["scatter"].tolist() == scatter
    # pixels of a nearly white field are normal numbers
    white = make_sphere_fields(1, 32, index=-2.0, random_state=1).maps[0]
    assert kstest(white[::7], "norm").pvalue > 0.01


def test_draws_and_orders():
    a = make_sphere_fields(3, 8, random_state=0).maps
    np.testing.assert_array_equal(make_sphere_fields(2, 8, random_state=0).maps, a[:2])
    assert not np.allclose(a[0], a[1])
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    nested = make_sphere_fields(3, 8, order="nested", random_state=0).maps
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    with np.load(REFERENCE) as file:
        np.testing.assert_array_equal(nested[:, file["nested_of_ring"]], a)


def test_maps_made_in_blocks(monkeypatch):
    whole = make_sphere_fields(5, 8, random_state=0).maps
    monkeypatch.setattr("skastro.datasets.sphere_fields.BLOCK", 64 * 8 * 17 * 2)
    np.testing.assert_array_equal(make_sphere_fields(5, 8, random_state=0).maps, whole)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n": 0}, "n=0"),
        ({"n": True}, "n=True"),
        ({"nside": 12}, "nside=12; expected a power of 2 up to 512"),
        ({"nside": 1024}, "nside=1024"),
        ({"kind": "dust"}, "kind='dust'"),
        ({"order": "up"}, "order='up'"),
        ({"index": [1.0]}, "index has shape"),
        ({"scatter": -1.0}, "scatter has a minimum of -1"),
        ({"max_degree": 100}, "max_degree=100; expected an integer from 1 to 24"),
        ({"max_degree": 2.5}, "max_degree=2.5"),
        ({"spectrum": [1.0, 1.0], "index": 1.0}, "spectrum with"),
        ({"spectrum": [1.0, 1.0], "kind": "lognormal"}, "spectrum with"),
        ({"spectrum": [1.0]}, "spectrum has shape"),
        ({"spectrum": ["a", "b"]}, "expected an array of C_l"),
        ({"spectrum": [1.0, -1.0]}, "spectrum is -1"),
        ({"spectrum": [1.0, np.nan]}, "spectrum is nan"),
        ({"spectrum": [1.0, 1.0], "max_degree": 2}, "max_degree=2; expected None or 1"),
        ({"spectrum": np.ones(30)}, "spectrum has degrees up to 29; expected at most 24"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_sphere_fields(**({"n": 2, "nside": 8} | arguments))
