"""Minkowski functionals against counts, discs and the expectations of Gaussian fields."""

import numpy as np
import pytest
from astropy import units as u
from scipy.ndimage import gaussian_filter, label
from scipy.stats import multivariate_normal

from skastro import minkowski
from skastro.field_metrics import gaussian_minkowski, minkowski_functionals


def brute_force(maps, level):
    """Area and Euler characteristic of one binary map, by labelling its pieces."""
    inside = np.pad(maps >= level, 1)
    euler = []
    for joined, apart in ((np.ones((3, 3)), None), (None, np.ones((3, 3)))):
        pieces = label(inside, joined)[1]
        holes = label(~inside, apart)[1] - 1
        euler.append(pieces - holes)
    return inside.sum(), np.mean(euler)


def test_pieces_and_holes():
    """Random pixels in the middle of a map: pieces minus holes, with diagonals joined and apart."""
    rng = np.random.default_rng(0)
    maps = np.zeros((6, 20, 23))
    maps[:, 2:-2, 2:-2] = rng.normal(size=(6, 16, 19))
    levels = [0.8, 0.1, 1.5]
    for periodic in (True, False):
        found = minkowski_functionals(maps, levels, periodic=periodic)
        # periodic or not: what lies inside has the same Euler characteristic
        cells = 20 * 23 if periodic else 19 * 22
        for i, one in enumerate(maps):
            for j, level in enumerate(levels):
                area, euler = brute_force(one, level)
                assert found.area[i, j] * 20 * 23 == pytest.approx(area)
                assert found.euler_characteristic[i, j] * cells == pytest.approx(euler)


def test_discs_and_rings():
    y, x = np.mgrid[-50:50, -60:60]
    r = np.hypot(y + 0.3, x - 0.2)
    for radius in (12.0, 30.0):
        for periodic in (True, False):
            found = minkowski_functionals(-r, [-radius], periodic=periodic, pixel_size=0.5)
            cells = (100 * 120 if periodic else 99 * 119) * 0.25
            assert found.area[0] * 12000 * 0.25 == pytest.approx(np.pi * radius**2 / 4, rel=0.01)
            assert found.perimeter[0] * cells == pytest.approx(np.pi * radius, rel=0.02)
            assert found.euler_characteristic[0] * cells == pytest.approx(1)
    ring = minkowski_functionals((r > 10) & (r < 30), [0.5])
    assert ring.euler_characteristic[0] == pytest.approx(0, abs=1e-12)
    assert ring.perimeter[0] * 12000 == pytest.approx(2 * np.pi * 40, rel=0.02)


@pytest.mark.parametrize("degrees", range(0, 95, 15))
def test_straight_edges_of_any_direction(degrees):
    """Lines in four directions see a straight contour within 6 %."""
    y, x = np.mgrid[:100, :100] - 49.5
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    found = minkowski_functionals(cos * y + sin * x, [0.1], periodic=False)
    # a line through the middle of the square of 99 pixels between the outermost centres
    length = 99 / max(cos, sin)
    assert found.perimeter[0] * 99**2 == pytest.approx(length, rel=0.06)


def smooth_fields(n, shape, scale, rng):
    return np.stack([gaussian_filter(rng.normal(size=shape), scale, mode="wrap") for _ in range(n)])


def test_gaussian_fields():
    """A smooth field: the closed forms; the variance of a derivative is sigma^2 / (2 scale^2)."""
    rng = np.random.default_rng(0)
    scale = 3.0
    fields = smooth_fields(40, (96, 96), scale, rng)
    sigma = 1 / np.sqrt(4 * np.pi * scale**2)
    levels = np.array([-2.0, -1.0, 0.0, 0.7, 1.5, 2.5])
    for periodic in (True, False):
        found = minkowski_functionals(fields, levels * sigma, periodic=periodic)
        expected = gaussian_minkowski(levels * sigma, 0.0, sigma**2, sigma**2 / (2 * scale**2))
        error = [one.std(axis=0, ddof=1) / np.sqrt(40) for one in found]
        for got, want, scatter, systematic in zip(
            found, expected, error, (0.0, 0.02, 0.03), strict=True
        ):
            limit = 4 * scatter + systematic * np.abs(want).max()
            assert (np.abs(got.mean(axis=0) - want) < limit).all()


def test_rough_gaussian_fields_exactly():
    """White noise: pairs and squares of independent pixels."""
    fields = np.random.default_rng(0).normal(size=(60, 64, 64))
    level = 0.4
    p = 1 - multivariate_normal().cdf(level)
    q = 1 - p
    for periodic in (True, False):
        found = minkowski_functionals(fields, [level], periodic=periodic)
        apart = p - 2 * p**2 + p**4
        joined = -(q - 2 * q**2 + q**4)
        expected = 0.5 * (apart + joined)
        scatter = found.euler_characteristic.std() / np.sqrt(60)
        assert abs(found.euler_characteristic.mean() - expected) < 4 * scatter
        crossings = 2 * p * q * np.pi / 2 * np.mean([1, np.sqrt(0.5)])
        scatter = found.perimeter.std() / np.sqrt(60)
        assert abs(found.perimeter.mean() - crossings) < 4 * scatter


def test_symmetries():
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(3, 2, 15, 18))
    levels = rng.normal(size=7)
    found = minkowski_functionals(fields, levels)
    flipped = minkowski_functionals(-fields, -levels)
    np.testing.assert_allclose(found.area, 1 - flipped.area)
    np.testing.assert_allclose(found.perimeter, flipped.perimeter)
    np.testing.assert_allclose(
        found.euler_characteristic, -flipped.euler_characteristic, atol=1e-14
    )
    assert found.area.shape == (3, 2, 7)
    rolled = minkowski_functionals(np.roll(fields, (4, -5), axis=(-2, -1)), levels)
    np.testing.assert_allclose(found, rolled, atol=1e-14)
    turned = minkowski_functionals(np.swapaxes(fields, -1, -2), levels)
    np.testing.assert_allclose(found, turned, atol=1e-14)


def test_units_and_blocks(monkeypatch):
    fields = np.random.default_rng(0).normal(size=(7, 8, 8))
    whole = minkowski_functionals(fields, [0.2])
    assert np.array_equal(minkowski_functionals(fields * u.K, [200.0] * u.mK), whole)
    blocks = minkowski.row_blocks
    monkeypatch.setattr(minkowski, "row_blocks", lambda n, size: blocks(n, size, 3 * size))
    assert np.array_equal(minkowski_functionals(fields, [0.2]), whole)


@pytest.mark.parametrize(
    "maps, thresholds, options, message",
    [
        (np.ones((4, 4)), 0.5, {}, r"thresholds has shape \(\) and values such as \[0.5\]"),
        (np.ones((4, 4)), [np.nan], {}, "expected a vector of finite numbers"),
        (np.ones((4, 4)), [], {}, r"thresholds has shape \(0,\)"),
        (np.full((4, 4), np.nan), [0.0], {}, r"maps has nan at \(0, 0\)"),
        (np.ones((4, 4)), [0.0], {"pixel_size": 0}, "pixel_size=0; expected a number above 0"),
    ],
)
def test_bad_arguments(maps, thresholds, options, message):
    with pytest.raises(ValueError, match=message):
        minkowski_functionals(maps, thresholds, **options)
