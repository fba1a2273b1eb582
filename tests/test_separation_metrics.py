"""Measures of separation against the full plane of a complex FFT, scipy and counts by hand."""

import numpy as np
import pytest
from scipy.stats import kurtosis, wasserstein_distance

from skastro.field_metrics import minkowski_functionals
from skastro.separation_metrics import (
    increment_kurtosis,
    minkowski_difference,
    power_error,
    relative_rmse,
    scale_correlation,
    separation_summary,
)

FUNCTIONS = [
    power_error,
    scale_correlation,
    relative_rmse,
    minkowski_difference,
    separation_summary,
]


def pair(shape, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    truth = np.exp(rng.normal(size=shape))
    return truth + noise * rng.normal(size=shape), truth


def by_hand(maps, truth, low, high):
    """Power error and correlation of one ring, from the full plane; k in cycles per longer side."""
    size = maps.shape[-2:]
    k = max(size) * np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in size), indexing="ij"))
    ring = (k >= low) & (k < high) & (k > 0)
    a, b = (np.fft.fft2(x - x.mean())[ring] for x in (maps, truth))
    power = np.sum(np.abs(a) ** 2), np.sum(np.abs(b) ** 2)
    return power[0] / power[1] - 1, np.vdot(a, b).real / np.sqrt(power[0] * power[1])


@pytest.mark.parametrize(
    "shape, bounds",
    [
        ((64, 64), [1, 2, 4, 8, 16, 32]),
        ((32, 48), [1, 3, 6, 12, 24]),
        ((33, 33), [1, 2.0625, 4.125, 8.25, 16.5]),
        ((4, 4), [1, 2]),
    ],
)
def test_octaves(shape, bounds):
    maps, truth = pair(shape)
    k, error = power_error(maps, truth)
    _, correlation = scale_correlation(maps, truth)
    rings = list(zip(bounds, bounds[1:], strict=False))
    assert len(k) == len(rings)
    expected = np.array([by_hand(maps, truth, *ring) for ring in rings])
    np.testing.assert_allclose(error, expected[:, 0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(correlation, expected[:, 1], rtol=1e-10)
    assert all(low <= one < high for one, (low, high) in zip(k, rings, strict=True))


@pytest.mark.parametrize("shape", [(256, 256), (64, 64), (40, 64), (9, 9)])
def test_fine_rings_are_narrow_and_reach_the_corner(shape):
    maps, truth = pair(shape)
    k, error = power_error(maps, truth, "fine")
    corner = max(shape) / np.sqrt(2)
    edges = np.linspace(0.5, corner, int(np.ceil((corner - 0.5) / 8)) + 1)
    assert np.diff(edges).max() <= 8.0
    edges[-1] += 1e-6
    expected = [by_hand(maps, truth, *ring)[0] for ring in zip(edges, edges[1:], strict=False)]
    np.testing.assert_allclose(error, expected, rtol=1e-9)
    assert len(k) == len(expected) and k[-1] > corner - 8


def test_a_window_is_that_of_the_spectra():
    maps, truth = pair((32, 32))
    window = np.hanning(34)[1:-1]
    window = window[:, None] * window
    a, b = (window * (x - np.average(x, weights=window)) for x in (maps, truth))
    k = 32 * np.hypot(*np.meshgrid(*[np.fft.fftfreq(32)] * 2))
    ring = (k >= 8) & (k < 16)
    power = [np.sum(np.abs(np.fft.fft2(x))[ring] ** 2) for x in (a, b)]
    found = power_error(maps, truth, window="hann")[1][-1]
    assert found == pytest.approx(power[0] / power[1] - 1, rel=1e-10)


def test_rmse():
    maps, truth = pair((5, 16, 20))
    expected = [np.sqrt(np.mean((a - b) ** 2)) / b.std() for a, b in zip(maps, truth, strict=True)]
    np.testing.assert_allclose(relative_rmse(maps, truth), expected, rtol=1e-12)
    # an offset counts
    assert relative_rmse(truth[0] + truth[0].std(), truth[0]) == pytest.approx(1.0)
    found = relative_rmse(maps.astype(np.float32), truth.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("periodic", [True, False])
def test_minkowski(periodic):
    maps, truth = pair((2, 24, 24))
    levels = [-0.5, 0.0, 1.0]
    found = minkowski_difference(maps, truth, levels, periodic=periodic)
    for i in range(2):
        thresholds = truth[i].mean() + truth[i].std() * np.array(levels)
        one, other = (
            minkowski_functionals(x[i], thresholds, periodic=periodic) for x in (maps, truth)
        )
        expected = [
            np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(one, other, strict=True)
        ]
        np.testing.assert_allclose([part[i] for part in found], expected, rtol=1e-10)
    # the area of a map that is above everywhere
    assert minkowski_difference(truth[0] + 1e3, truth[0]).area > 0.5


@pytest.mark.parametrize("periodic", [True, False])
def test_kurtosis_of_increments(periodic):
    x = pair((32, 40))[0]
    lags, found = increment_kurtosis(x, [1, 3], periodic=periodic)
    for lag, one in zip(lags, found, strict=True):
        if periodic:
            steps = [np.roll(x, -lag, axis) - x for axis in (0, 1)]
        else:
            steps = [x[lag:] - x[:-lag], x[:, lag:] - x[:, :-lag]]
        steps = np.concatenate([step.ravel() for step in steps])
        # a law that is symmetric about 0
        expected = kurtosis(np.concatenate([steps, -steps]), fisher=False)
        assert one == pytest.approx(expected, rel=1e-10)
    assert increment_kurtosis(x)[0].tolist() == [1, 2, 4, 8]
    assert increment_kurtosis(np.tile(x, (8, 8)))[0].tolist() == [1, 2, 4, 8, 16, 32]
    assert np.isnan(increment_kurtosis(np.ones((8, 8)))[1]).all()


def test_summary_is_the_parts():
    maps, truth = pair((3, 2, 32, 32))
    found = separation_summary(maps, truth, periodic=True)
    np.testing.assert_array_equal(found.power_error, power_error(maps, truth)[1])
    np.testing.assert_array_equal(found.power_error_fine, power_error(maps, truth, "fine")[1])
    np.testing.assert_array_equal(found.correlation, scale_correlation(maps, truth)[1])
    np.testing.assert_array_equal(found.rmse, relative_rmse(maps, truth))
    distance = wasserstein_distance(maps[1, 0].ravel(), truth[1, 0].ravel()) / truth[1, 0].std()
    assert found.histogram_distance.shape == (3, 2)
    assert found.histogram_distance[1, 0] == pytest.approx(distance)
    difference = minkowski_difference(maps, truth, periodic=True)
    np.testing.assert_array_equal(np.stack(found.minkowski), np.stack(difference))
    assert found.minkowski.area.shape == (3, 2)
    for name, one in (("kurtosis", maps), ("kurtosis_truth", truth)):
        np.testing.assert_array_equal(found[name], increment_kurtosis(one, periodic=True)[1])
    single = separation_summary(maps[0, 0], truth[0, 0], periodic=True)
    assert single.rmse == found.rmse[0, 0] and np.ndim(single.rmse) == 0
    assert single.kurtosis.shape == found.kurtosis.shape[2:]


def test_one_truth_for_many_maps_and_units():
    from astropy import units

    maps, truth = pair((4, 16, 16))
    assert separation_summary(maps, truth[0]).rmse.shape == (4,)
    found = relative_rmse(maps * units.mK, truth * units.uK * 1e3)
    np.testing.assert_allclose(found, relative_rmse(maps, truth), rtol=1e-10)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_input(function):
    from astropy import units

    maps, truth = pair((2, 16, 16))
    with pytest.raises(ValueError, match="truth has a constant map, at 1"):
        function(maps, np.stack([truth[0], np.ones((16, 16))]))
    with pytest.raises(ValueError, match=r"truth has shape \(2, 16, 8\)"):
        function(maps, truth[..., :8])
    with pytest.raises(ValueError, match="maps has nan"):
        function(np.where(maps > 1, np.nan, maps), truth)
    with pytest.raises(ValueError, match="Complex data"):
        function(maps + 1j, truth)
    with pytest.raises(ValueError, match="truth has unit"):
        function(maps, truth * units.K)
    with pytest.raises(ValueError, match=r"maps has shape \(0, 16, 16\)"):
        function(maps[:0], truth)


def test_bad_options():
    maps, truth = pair((8, 8))
    with pytest.raises(ValueError, match="bins='log'; expected 'octaves' or 'fine'"):
        power_error(maps, truth, "log")
    with pytest.raises(ValueError, match="3 x 3 pixels; expected a side of at least 4"):
        power_error(maps[:3, :3], truth[:3, :3])
    with pytest.raises(ValueError, match="window='box'"):
        scale_correlation(maps, truth, window="box")
    with pytest.raises(ValueError, match="thresholds has shape"):
        minkowski_difference(maps, truth, [[0.0]])
    with pytest.raises(ValueError, match="perimeter of a truth is 0 at all of them"):
        minkowski_difference(maps, truth, [-50.0])
    with pytest.raises(ValueError, match="lags has 8"):
        increment_kurtosis(maps, [8])
