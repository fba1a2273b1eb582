"""Histograms and increments of maps against closed forms."""

import numpy as np
import pytest
from astropy import units as u
from scipy.stats import norm

from skastro.field_metrics import histogram_distance, increments, structure_functions

rng = np.random.default_rng(0)


def test_histogram_distance_of_shifts_and_scales():
    target = rng.normal(3.0, 2.0, size=(40, 50))
    sigma = target.std()
    maps = np.stack([target, target - 0.5, target[::-1, ::-1]])
    np.testing.assert_allclose(histogram_distance(maps, target), [0, 0.5 / sigma, 0], atol=1e-12)
    # the distance of two distributions is the mean difference of their sorted values
    other = rng.gamma(2.0, size=(2, 40, 50))
    expected = np.abs(np.sort(other.reshape(2, -1)) - np.sort(target.ravel())).mean(axis=1) / sigma
    np.testing.assert_allclose(histogram_distance(other, target), expected, rtol=1e-12)


def test_histogram_distance_of_two_normal_laws():
    """N(0, 1) and N(0, 1.5^2): 0.5 times the mean modulus of a normal variable."""
    p = (np.arange(6400) + 0.5) / 6400
    one = norm.ppf(p).reshape(80, 80)
    found = histogram_distance(1.5 * one[:40], one[None])
    assert found.shape == ()
    full = histogram_distance(1.5 * one, one)
    assert full == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=2e-3)
    # several targets are one distribution
    assert histogram_distance(one, np.stack([one, one])) == pytest.approx(0, abs=1e-12)
    assert histogram_distance(1.5 * one * u.K, one * 1e3 * u.mK) == pytest.approx(full)


def test_increments_of_a_wave():
    """sin(k x): increments at a lag l have the variance 2 sin(k l / 2)^2; none along the other axis."""
    x = np.arange(64)
    wave = np.tile(np.sin(2 * np.pi * 3 * x / 64), (48, 1))
    lags, found = structure_functions(wave, [1, 5, 20], orders=[2])
    expected = np.sin(np.pi * 3 * lags / 64) ** 2
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-12)
    assert found.shape == (3, 1)


@pytest.mark.parametrize("periodic", [True, False])
def test_increments_are_differences(periodic):
    maps = rng.normal(size=(2, 6, 7)).astype("f4")
    found = increments(maps, 2, periodic=periodic)
    expected = [[], []]
    for i, one in enumerate(maps):
        for axis in (0, 1):
            for a in range(6):
                for b in range(7):
                    c, d = (a + 2, b) if axis == 0 else (a, b + 2)
                    if periodic or (c < 6 and d < 7):
                        expected[i].append(one[c % 6, d % 7] - one[a, b])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(expected, "f4"))


def test_structure_functions_of_gaussian_fields():
    """S_2 is twice the variance of white noise; S_1, S_3 and S_4 follow from it."""
    noise = rng.normal(size=(3, 2, 64, 64))
    lags, values = structure_functions(noise)
    assert lags.tolist() == [1, 2, 4, 8, 16] and values.shape == (3, 2, 5, 4)
    one, two, three, four = values.mean(axis=(0, 1)).T
    np.testing.assert_allclose(two, 2.0, rtol=0.03)
    np.testing.assert_allclose(one, np.sqrt(2 * two / np.pi), rtol=0.02)
    np.testing.assert_allclose(three, 2 * np.sqrt(2 / np.pi) * two**1.5, rtol=0.04)
    np.testing.assert_allclose(four, 3 * two**2, rtol=0.05)


def test_every_size_has_lags():
    for side in (2, 3, 5):
        lags, values = structure_functions(np.eye(side))
        assert lags[0] == 1 and np.isfinite(values).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: histogram_distance(x, np.ones((4, 4))), "target is constant at 1; expected"),
        (lambda x: histogram_distance(x, x * u.K), "target has unit 'K'; maps has none"),
        (lambda x: increments(x, 5), "lag has 5; expected integers of pixels from 1 to 4"),
        (lambda x: increments(x, 8, periodic=False), "lag has 8; expected .* from 1 to 7"),
        (lambda x: increments(x, 1.5), "lag has 1.5; expected integers"),
        (lambda x: structure_functions(x, [1, 0]), "lags has 0; expected integers"),
        (
            lambda x: structure_functions(x, orders=[-1]),
            r"orders=\[-1.0\]; expected numbers above 0",
        ),
        (lambda x: structure_functions(x, orders=[]), r"orders=\[\]"),
        (lambda x: increments(x * np.nan, 1), r"maps has nan at \(0, 0\)"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.arange(64.0).reshape(8, 8))
